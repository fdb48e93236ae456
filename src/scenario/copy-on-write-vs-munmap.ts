// Copy on write in one address space while the other one that shares the page goes away.
import { scenario } from './scenario.ts'

/** The parent writes to the shared page while the child unmaps it: the last reference may be dropped by either. */
export const copyOnWriteVsMunmap = scenario({
  name: 'copy-on-write-vs-munmap',
  question: 'May a page be reused by a write fault while the other sharer unmaps it?',
  asked: 'field: do_wp_page, reuse when the page is ours alone',
  cpus: 2,
  setUp: (stage) => {
    const parent = stage.newMm()
    const page = stage.table(4)
    stage.now(0, parent.mmap(page, 1))
    stage.now(0, parent.write(page, 1))
    const child = stage.callsOn(stage.now(0, parent.fork()), [1])
    return { calls: [[parent.write(page, 2), parent.read(page)], [child.munmap(page, 1)]] }
  },
  expect: 'safe',
})
