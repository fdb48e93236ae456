// The page is copied without the page-table lock. Whoever comes back with a copy must look whether the entry is still the
// one that was copied: another thread, or MADV_DONTNEED, may have been faster.
import type { Variant } from './scenario.ts'
import { scenario } from './scenario.ts'

const NO_RECHECK: Variant = {
  name: 'no-recheck',
  wrong: 'the entry is replaced without another look after the copy',
  edits: [
    {
      file: 'fault/copy-on-write.ts',
      from: `  if (!ptePresent(now) || ptePfn(now) !== ptePfn(old) || (now & Pte.write) !== 0) {
    pteUnmapUnlock(ptep, ptl)
    putPage(copy)
    return 0
  }
`,
      to: '',
    },
  ],
  unsafe: /leak|no order of the calls explains|map count|bad page|rss|freed|data race/,
}

/** Both CPUs, threads of one address space, write to a page that a child keeps. */
export const copyOnWriteTwice = scenario({
  name: 'copy-on-write-twice',
  question: 'May two threads of one address space break copy on write of one page at the same time?',
  asked: 'field: wp_page_copy, pte_same under the page-table lock',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.write(page, 3))
    stage.callsOn(stage.now(0, mm.fork()), [])
    return { calls: [[mm.write(page, 9)], [mm.write(page, 8)]] }
  },
  expect: 'safe',
  variants: [NO_RECHECK],
})

/** CPU 0 writes to a page that a child keeps; CPU 1 gives it back meanwhile. */
export const copyOnWriteVsDontneed = scenario({
  name: 'copy-on-write-vs-dontneed',
  question: 'May MADV_DONTNEED take a page away while a write fault copies it?',
  asked: 'field: wp_page_copy, pte_same under the page-table lock',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.write(page, 3))
    stage.callsOn(stage.now(0, mm.fork()), [])
    return { calls: [[mm.write(page, 9)], [mm.dontneed(page, 1)]] }
  },
  expect: 'safe',
  variants: [NO_RECHECK],
})
