// Free ranges of a red-black tree of VMAs. Each knows the free pages before it (`gap`), and the largest such gap in its subtree
// (Linux's rb_subtree_gap, since 3.8), so that a search enters only subtrees that can answer. The tree's lock is held throughout.
import { load, store } from '../machine/instructions.ts'
import { RbRoot, rbOutermost, rbParent } from './rbtree.ts'
import { Vma } from './vma.ts'

const EBUSY = 16

function subtreeGap(node: number): number {
  return node === 0 ? 0 : load(node + Vma.subtreeGap)
}

/** Computes the `subtreeGap` of `node` from those of its children. */
export function rbUpdateGap(node: number): void {
  const below = Math.max(subtreeGap(load(node + Vma.rbLeft)), subtreeGap(load(node + Vma.rbRight)))
  store(node + Vma.subtreeGap, Math.max(load(node + Vma.gap), below))
}

/** The same for `node` (0: none) and all above it. */
export function rbPropagateGap(node: number): void {
  for (let at = node; at !== 0; at = rbParent(at)) rbUpdateGap(at)
}

/** `node`, in the tree, begins at page `start`, behind the VMA `before` (0: none), which ends at page `end`. */
export function rbSetGap(node: number, start: number, before: number, end: number): void {
  // Where VMAs are about to be cut they overlap for a moment.
  store(node + Vma.gap, before === 0 ? start : Math.max(0, start - end))
  rbPropagateGap(node)
}

/** The first ancestor of `node` that has it on the side other than `side`, or 0: the walk goes on there. */
function climb(node: number, side: number): number {
  let below = node
  let parent = rbParent(node)
  while (parent !== 0 && load(parent + side) === below) {
    below = parent
    parent = rbParent(below)
  }
  return parent
}

/** The end of the last VMA, where the free range without end begins. */
function endOfLast(root: number): number {
  const top = load(root + RbRoot.node)
  return top === 0 ? 0 : load(rbOutermost(top, Vma.rbRight) + Vma.end)
}

/** unmapped_area: the lowest start of a free range of `size` pages (at least 1) within [min, max], or -EBUSY. */
export function rbEmptyArea(root: number, min: number, max: number, size: number): number {
  if (max - min + 1 < size) return -EBUSY
  // A gap will do if it is long enough, ends here or above, and begins here or below.
  const lowestEnd = min + size
  const highestStart = max - size + 1
  let node = load(root + RbRoot.node)
  if (subtreeGap(node) < size) node = 0
  let fromAbove = true
  while (node !== 0) {
    const end = load(node + Vma.start)
    const left = load(node + Vma.rbLeft)
    if (fromAbove && subtreeGap(left) >= size && end > lowestEnd) {
      node = left
      continue
    }
    const start = end - load(node + Vma.gap)
    if (start > highestStart) return -EBUSY
    if (end - start >= size && end >= lowestEnd) return Math.max(start, min)
    const right = load(node + Vma.rbRight)
    fromAbove = subtreeGap(right) >= size
    node = fromAbove ? right : climb(node, Vma.rbRight)
  }
  const last = endOfLast(root)
  return last <= highestStart ? Math.max(last, min) : -EBUSY
}

/** unmapped_area_topdown: the highest start of a free range of `size` pages (at least 1) within [min, max], or -EBUSY. */
export function rbEmptyAreaRev(root: number, min: number, max: number, size: number): number {
  if (max - min + 1 < size) return -EBUSY
  const lowestEnd = min + size
  const highestStart = max - size + 1
  if (endOfLast(root) <= highestStart) return highestStart
  let node = load(root + RbRoot.node)
  if (subtreeGap(node) < size) node = 0
  let fromAbove = true
  while (node !== 0) {
    const right = load(node + Vma.rbRight)
    if (fromAbove && subtreeGap(right) >= size && load(node + Vma.end) <= highestStart) {
      node = right
      continue
    }
    const end = load(node + Vma.start)
    const start = end - load(node + Vma.gap)
    if (end < lowestEnd) return -EBUSY
    if (end - start >= size && start <= highestStart) return Math.min(end, max + 1) - size
    const left = load(node + Vma.rbLeft)
    fromAbove = subtreeGap(left) >= size
    node = fromAbove ? left : climb(node, Vma.rbLeft)
  }
  return -EBUSY
}
