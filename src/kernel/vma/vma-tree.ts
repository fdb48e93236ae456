// The index of an address space: what its VMAs hang in, so that they are found by address. A machine has one kind (`VmaIndex`).
// Look-ups are in `find-vma.ts`; this is what changes the index and what looks for free ranges, under one interface.
import { VMA_INDEX, VmaIndex } from '../machine/axes.ts'
import { load } from '../machine/instructions.ts'
import { Mm } from '../memory/mm.ts'
import { mtEmptyArea, mtEmptyAreaRev } from './maple-gap.ts'
import { mtDestroy, mtStoreRange } from './maple-store.ts'
import { rbEmptyArea, rbEmptyAreaRev } from './rb-gap.ts'
import { rbClear, rbDestroy, rbExpand, rbInsert } from './rb-store.ts'
import { Vma } from './vma.ts'

/**
 * vma_link: puts `vma`, whose bounds are set, into the index; what it covers there is free, or the upper part of the one VMA that is
 * about to end where it begins. Returns 0, or -ENOMEM with the index unchanged (an rbtree needs no memory). mmap_lock is held for
 * writing, as below where nothing else is said.
 */
export function vmaTreeLink(mm: number, vma: number): number {
  if (VMA_INDEX !== VmaIndex.rbtree) return mtStoreRange(mm + Mm.tree, load(vma + Vma.start), load(vma + Vma.end) - 1, vma)
  rbInsert(mm + Mm.tree, vma)
  return 0
}

/**
 * Lets `vma` reach from page `low` to `high` (exclusive), over VMAs there of which what lies wholly inside is taken out, and what
 * lies partly inside is about to be cut. The caller sets all bounds afterwards. Returns as `vmaTreeLink`.
 */
export function vmaTreeExpand(mm: number, vma: number, low: number, high: number): number {
  if (VMA_INDEX === VmaIndex.rbtree) {
    rbExpand(mm + Mm.tree, vma, low, high)
    return 0
  }
  // Only the new part is stored; a VMA never grows on both sides at once.
  const from = load(vma + Vma.start)
  return low < from ? mtStoreRange(mm + Mm.tree, low, high - 1, vma) : mtStoreRange(mm + Mm.tree, from, high - 1, vma)
}

/** Takes out what lies from page `start` to `end` (exclusive), all of it whole VMAs. Returns as `vmaTreeLink`. */
export function vmaTreeClear(mm: number, start: number, end: number): number {
  if (VMA_INDEX !== VmaIndex.rbtree) return mtStoreRange(mm + Mm.tree, start, end - 1, 0)
  rbClear(mm + Mm.tree, start, end)
  return 0
}

/**
 * Puts `vma`, whose bounds are set, in the place of whatever whole VMAs lie between them: look-ups without a lock find the old ones or
 * the new one (in an rbtree perhaps none). Returns as `vmaTreeLink`.
 */
export function vmaTreeReplace(mm: number, vma: number): number {
  if (VMA_INDEX === VmaIndex.rbtree) rbClear(mm + Mm.tree, load(vma + Vma.start), load(vma + Vma.end))
  return vmaTreeLink(mm, vma)
}

/** Empties the index at once. Nobody looks any more; the VMAs may be gone already. */
export function vmaTreeDestroy(mm: number): void {
  if (VMA_INDEX === VmaIndex.rbtree) rbDestroy(mm + Mm.tree)
  else mtDestroy(mm + Mm.tree)
}

/** The lowest start of `pages` free pages within [min, max], both pages, or a negative number. mmap_lock is held in either mode. */
export function vmaTreeEmptyArea(mm: number, min: number, max: number, pages: number): number {
  return VMA_INDEX === VmaIndex.rbtree ? rbEmptyArea(mm + Mm.tree, min, max, pages) : mtEmptyArea(mm + Mm.tree, min, max, pages)
}

/** The highest such start. Lock as above. */
export function vmaTreeEmptyAreaRev(mm: number, min: number, max: number, pages: number): number {
  return VMA_INDEX === VmaIndex.rbtree ? rbEmptyAreaRev(mm + Mm.tree, min, max, pages) : mtEmptyAreaRev(mm + Mm.tree, min, max, pages)
}
