// Copy on write after a fork, from both sides at once: the parent writes while the child does.
import { scenario } from './scenario.ts'

/** Parent and child, on a CPU each, write to the page that they share. Each must keep its own. */
export const copyOnWriteBothSides = scenario({
  name: 'copy-on-write-both-sides',
  question: 'May parent and child break copy on write of one page at the same time?',
  asked: 'field: do_wp_page, reuse or copy, and the reference counts between',
  cpus: 2,
  setUp: (stage) => {
    const parent = stage.newMm()
    const page = stage.table(4)
    stage.now(0, parent.mmap(page, 1))
    stage.now(0, parent.write(page, 1))
    const child = stage.callsOn(stage.now(0, parent.fork()), [1])
    return {
      calls: [
        [parent.write(page, 2), parent.read(page)],
        [child.write(page, 3), child.read(page)],
      ],
    }
  },
  expect: 'safe',
})
