// What does fork do to the tail of a fault? The child must see the page as it was at one moment, and the parent must not
// write to a page that the child shares (copy_present_pte beside wp_page_copy).
import { scenario } from './scenario.ts'

/** CPU 0 writes to a page that is there while CPU 1 forks; the child must not see a later value than the fork's. */
export const faultVsFork = scenario({
  name: 'fault-vs-fork',
  question: 'May a write race a fork that shares the page for copy on write?',
  asked: 'thread 002, speculative page faults and fork (the v12 series took mmap_lock out of the fault, not out of fork)',
  cpus: 2,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.write(page, 1))
    return { calls: [[mm.write(page, 7), mm.read(page)], [mm.fork()]] }
  },
  expect: 'safe',
})
