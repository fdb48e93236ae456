// Clear, flush, set: a thread that knows the shared page by its TLB must not go on reading it once the copy can be written.
import { scenario } from './scenario.ts'

/** CPU 0 breaks copy on write of a page that a child keeps; CPU 1, a thread of the same address space, has read it before. */
export const copyOnWriteVsReader = scenario({
  name: 'copy-on-write-vs-reader',
  question: 'May a thread read the old page through its TLB after a write fault has put a copy in its place?',
  asked: 'field: wp_page_copy, ptep_clear_flush before the copy is set',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.write(page, 3))
    stage.callsOn(stage.now(0, mm.fork()), [])
    stage.now(1, mm.read(page))
    return { calls: [[mm.write(page, 9)], [mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-flush',
      wrong: 'the old entry is cleared, but the TLBs that hold it are not flushed',
      edits: [{ file: 'fault/copy-on-write.ts', from: '  flushTlbMmRange(mm, vpn, vpn + 1)\n', to: '' }],
      unsafe: /no order of the calls explains|stale translation/,
    },
  ],
})
