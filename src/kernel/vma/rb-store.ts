// Putting VMAs into a red-black tree and taking them out. No memory is needed: nothing here fails. The tree's lock (mmap_lock) is
// held for writing; readers without it may be about (`rbWalk`), so that what they follow is stored whole and in order.
import { load, rcuAssignPointer, store, writeOnce } from '../machine/instructions.ts'
import { rbEraseFixup, rbInsertFixup, rbReplaceChild, rbSetParent } from './rb-balance.ts'
import { rbPropagateGap, rbSetGap } from './rb-gap.ts'
import { RB_BLACK, RbRoot, rbFind, rbIsRed, rbNeighbour, rbParent } from './rbtree.ts'
import { Vma } from './vma.ts'

/** Puts `vma`, whose bounds are set, into the tree (vma_rb_insert). No VMA there begins where it begins. */
export function rbInsert(root: number, vma: number): void {
  const start = load(vma + Vma.start)
  let parent = 0
  let slot = root + RbRoot.node
  let prev = 0
  let next = 0
  for (let node = load(slot); node !== 0; node = load(slot)) {
    parent = node
    if (start < load(node + Vma.start)) {
      next = node
      slot = node + Vma.rbLeft
    } else {
      prev = node
      slot = node + Vma.rbRight
    }
  }
  // Its memory may have been a VMA before, in which a late reader stands.
  writeOnce(vma + Vma.rbLeft, 0)
  writeOnce(vma + Vma.rbRight, 0)
  store(vma + Vma.rbParentColor, parent)
  rcuAssignPointer(slot, vma)
  rbSetGap(vma, start, prev, prev === 0 ? 0 : load(prev + Vma.end))
  if (next !== 0) rbSetGap(next, load(next + Vma.start), vma, load(vma + Vma.end))
  rbInsertFixup(root, vma)
}

/**
 * Takes `vma` out of the tree (vma_rb_erase). Its own pointers stay as they are: whoever stands there walks on. Of two children
 * the successor takes its place, and cannot be found until it does; in this order none of its pointers leads back up.
 */
export function rbErase(root: number, vma: number): void {
  const left = load(vma + Vma.rbLeft)
  const right = load(vma + Vma.rbRight)
  const prev = rbNeighbour(vma, Vma.rbLeft)
  const next = rbNeighbour(vma, Vma.rbRight)
  if (next !== 0) rbSetGap(next, load(next + Vma.start), prev, prev === 0 ? 0 : load(prev + Vma.end))
  let parent = rbParent(vma)
  let child = left !== 0 ? left : right
  let black = !rbIsRed(vma)
  if (left !== 0 && right !== 0) {
    child = load(next + Vma.rbRight)
    black = !rbIsRed(next)
    parent = rbParent(next)
    if (parent === vma) parent = next
    else {
      writeOnce(parent + Vma.rbLeft, child)
      writeOnce(next + Vma.rbRight, right)
      rbSetParent(right, next)
    }
    writeOnce(next + Vma.rbLeft, left)
    rbSetParent(left, next)
    rbReplaceChild(root, rbParent(vma), vma, next)
    store(next + Vma.rbParentColor, rbParent(vma) | (rbIsRed(vma) ? 0 : RB_BLACK))
  } else rbReplaceChild(root, parent, vma, child)
  if (child !== 0) rbSetParent(child, parent)
  rbPropagateGap(parent)
  if (black) rbEraseFixup(root, child, parent)
}

/** Takes out all VMAs that lie from page `start` to `end` (exclusive), except `but`; who lies there in part stays. */
function eraseWithin(root: number, start: number, end: number, but: number): void {
  let vma = rbFind(root, start, end - 1)
  while (vma !== 0) {
    const behind = load(vma + Vma.end)
    if (vma !== but && load(vma + Vma.start) >= start && behind <= end) rbErase(root, vma)
    vma = rbFind(root, behind, end - 1)
  }
}

/** Takes out all VMAs that lie from page `start` to `end` (exclusive). */
export function rbClear(root: number, start: number, end: number): void {
  eraseWithin(root, start, end, 0)
}

/** `vma` is going to reach from page `low` to `high` (exclusive): takes out what it swallows. The caller sets its bounds. */
export function rbExpand(root: number, vma: number, low: number, high: number): void {
  eraseWithin(root, low, high, vma)
  const prev = rbNeighbour(vma, Vma.rbLeft)
  const next = rbNeighbour(vma, Vma.rbRight)
  rbSetGap(vma, low, prev, prev === 0 ? 0 : load(prev + Vma.end))
  if (next !== 0) rbSetGap(next, load(next + Vma.start), vma, high)
}

/** Empties the tree at once. Nobody reads it any more. */
export function rbDestroy(root: number): void {
  store(root + RbRoot.node, 0)
}
