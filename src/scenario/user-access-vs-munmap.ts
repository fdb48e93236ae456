// The plainest use of a stale TLB entry: the page is in both TLBs, one CPU writes it again and again, the other unmaps it
// and the page is handed out again at once.
import { scenario } from './scenario.ts'

/** CPU 0 writes twice to a page in its TLB; CPU 1 unmaps it and takes a fresh page for another address. */
export const userAccessVsMunmap = scenario({
  name: 'user-access-vs-munmap',
  question: 'Can a write through a TLB reach a page after munmap has returned and the page was reused?',
  asked: 'bugs.md, B4: the TLB flush comes after the page is free (CVE-2018-18281 and its like)',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 3))
    for (const cpu of [0, 1]) stage.now(cpu, mm.write(page, 1))
    stage.now(1, mm.write(page + 2, 1))
    return { calls: [[mm.write(page, 7)], [mm.munmap(page, 1), mm.write(page + 1, 2)]] }
  },
  expect: 'safe',
})
