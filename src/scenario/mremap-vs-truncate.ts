// Truncation of a file takes pages away through the reverse map: under the lock of the page table, without mmap_lock. It finds the page
// that mremap has just moved at its new place, and flushes that place only.
import { Advice } from '../kernel/syscall/madvise.ts'
import { Remap } from '../kernel/syscall/mremap.ts'
import { hex } from './runner/calls.ts'
import { scenario } from './scenario.ts'

/** CPU 0 moves a page; CPU 1, which has its old place in its TLB, takes it away at its new place and reads at the old one. */
export const mremapVsTruncate = scenario({
  name: 'mremap-vs-truncate',
  question: 'May a page that mremap is moving be freed through its new place while a TLB still has its old one?',
  asked: 'bugs.md, B4: mremap dropped the page-table locks before it flushed (CVE-2018-18281, eb66ae030829)',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'], // mremap holds mmap_lock for writing whatever the design
  setUp: async (stage) => {
    const { unmapMappingPage } = await stage.program<typeof import('./programs/reverse-map.ts')>('reverse-map')
    const mm = stage.newMm([1])
    const page = stage.table(4)
    const target = page + 2
    stage.now(1, mm.mmap(page, 1))
    stage.now(1, mm.write(page, 1))
    // What it leaves of the address space is what DONTNEED leaves.
    const truncate = {
      text: `ftruncate(), which unmaps ${hex(target)}`,
      description: { name: 'madvise', mm: mm.mm, start: target, pages: 1, advice: Advice.dontneed },
      begin: () => unmapMappingPage(mm.mm, target),
    }
    return { calls: [[mm.mremap(page, 1, 1, Remap.mayMove | Remap.fixed, target)], [truncate, mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'flushed-after-the-locks',
      wrong: 'mremap flushes the old place when it has dropped the locks of the page tables',
      edits: [
        {
          file: 'pagetable/move-page-tables.ts',
          from: '  if (moved !== 0) flushTlbMmRange(mm, from, from + count)\n  if (newPtl !== oldPtl) spinUnlock(newPtl)\n  pteUnmap(newPte)\n  pteUnmapUnlock(oldPte, oldPtl)\n',
          to: '  if (newPtl !== oldPtl) spinUnlock(newPtl)\n  pteUnmap(newPte)\n  pteUnmapUnlock(oldPte, oldPtl)\n  if (moved !== 0) flushTlbMmRange(mm, from, from + count)\n',
        },
      ],
      unsafe: /stale translation|use after free|freed/,
    },
  ],
})
