// Finding VMAs: the look-ups of the index in Linux's names. Under mmap_lock in either mode, or, where the index is a maple tree,
// under RCU, where what is found may be about to change.
import { VMA_INDEX, VmaIndex } from '../machine/axes.ts'
import { load } from '../machine/instructions.ts'
import { Mm } from '../memory/mm.ts'
import { mtFind, mtLoad, mtPrev } from './maple-tree.ts'
import { RB_WALK_LIMIT, rbFind, rbFindBefore, rbWalk } from './rbtree.ts'
import { Vma } from './vma.ts'

const LAST_PAGE = 0x7ffffffe

/** find_vma: the first VMA that ends behind page `vpn`, or 0. It may begin behind it too. */
export function findVma(mm: number, vpn: number): number {
  return VMA_INDEX === VmaIndex.rbtree ? rbFind(mm + Mm.tree, vpn, LAST_PAGE) : mtFind(mm + Mm.tree, vpn, LAST_PAGE)
}

/**
 * vma_lookup: the VMA that holds page `vpn`, or 0. Under RCU alone an rbtree may say 0 although there is one, and return one that
 * no longer holds the page: whoever does not hold mmap_lock must validate (see `rbWalk`).
 */
export function vmaLookup(mm: number, vpn: number): number {
  if (VMA_INDEX !== VmaIndex.rbtree) return mtLoad(mm + Mm.tree, vpn)
  return Math.max(0, rbWalk(mm + Mm.tree, vpn, RB_WALK_LIMIT))
}

/** find_vma_intersection: the first VMA that overlaps the pages from `start` to `end` (exclusive), or 0. */
export function findVmaIntersection(mm: number, start: number, end: number): number {
  return VMA_INDEX === VmaIndex.rbtree ? rbFind(mm + Mm.tree, start, end - 1) : mtFind(mm + Mm.tree, start, end - 1)
}

/** The last VMA that lies wholly below page `vpn`, which begins a VMA or lies in none; or 0. */
export function findVmaBefore(mm: number, vpn: number): number {
  if (vpn === 0) return 0
  return VMA_INDEX === VmaIndex.rbtree ? rbFindBefore(mm + Mm.tree, vpn) : mtPrev(mm + Mm.tree, vpn, 0)
}

/** The VMA that ends exactly where `vma` begins, or 0. */
export function touchingPrev(mm: number, vma: number): number {
  const start = load(vma + Vma.start)
  return start === 0 ? 0 : vmaLookup(mm, start - 1)
}

/** The VMA that begins exactly where `vma` ends, or 0. */
export function touchingNext(mm: number, vma: number): number {
  return vmaLookup(mm, load(vma + Vma.end))
}
