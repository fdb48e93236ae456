// Page tables by the page: the first fault below a group of neighbouring PMD entries fills all of it that is empty with the tables of
// one page, so that the next faults find theirs (M. Wilcox, "Freeing page tables through RCU", 25 February 2021, for powerpc with 64
// KiB pages and tables of 4 KiB). So there are tables below which no VMA lies. They go with the last VMA of their group.
import { ENTRY_WORDS, FRAGMENTS, Fragments, PMD_SHIFT, PTE_FRAGMENTS, PTE_TABLE_WORDS, PTRS_PER_PMD } from '../arch/arch.ts'
import { TABLES_BY_THE_PAGE } from '../machine/axes.ts'
import { readOnce, writeOnce } from '../machine/instructions.ts'
import { addTableWords, Mm } from '../memory/mm.ts'
import { Page, pageToVirt } from '../memory/page.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { Upper, upperNone, upperSet } from './entries.ts'
import { countTableAlloc, freshTablePage, pteFragmentsPut } from './table-alloc.ts'

/**
 * PMD entries, next to each other and aligned to as many, whose tables are allocated together: 1 where each is by itself, as the halves
 * of a page are (s390), which are handed out again and again.
 */
export function tableGroup(): number {
  return TABLES_BY_THE_PAGE && FRAGMENTS === Fragments.bump ? Math.min(PTE_FRAGMENTS, PTRS_PER_PMD) : 1
}

/** The first page of the group that page `vpn` lies in. */
export function groupStart(vpn: number): number {
  return vpn & -(tableGroup() << PMD_SHIFT)
}

/** The page behind the group that ends at or behind page `vpn`, itself the page behind something. */
export function groupEnd(vpn: number): number {
  return groupStart(vpn + (tableGroup() << PMD_SHIFT) - 1)
}

/**
 * Fills the empty PMD entries around slot `pmd` with tables. Returns 0, or 1 without memory. The caller holds mmap_lock or the lock of
 * a VMA in the span of `pmd`, as for one table: what munmap has just cleaned up beside it may be filled again, and is left to the
 * munmap of that VMA.
 */
export function pteAllocGroup(mm: number, pmd: number): number {
  const page = freshTablePage(mm)
  if (page === 0) return 1
  const group = tableGroup()
  // Before anybody can reach one of them, and give it back.
  writeOnce(page + Page.ptFragRefcount, group)
  const first = pmd & -(group * ENTRY_WORDS)
  let filled = 0
  spinLock(mm + Mm.pageTableLock)
  for (let i = 0; i < group; i++) {
    const slot = first + i * ENTRY_WORDS
    if (!upperNone(readOnce(slot))) continue
    upperSet(slot, (pageToVirt(page) + i * PTE_TABLE_WORDS) | Upper.present)
    filled++
  }
  spinUnlock(mm + Mm.pageTableLock)
  if (filled > 0) {
    addTableWords(mm, filled * PTE_TABLE_WORDS)
    countTableAlloc()
  }
  // Those that somebody else had put there: all of them, if it was the first fault of this group as well.
  if (filled < group) pteFragmentsPut(page, group - filled)
  return 0
}
