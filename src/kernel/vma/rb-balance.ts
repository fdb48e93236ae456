// Keeping a red-black tree low (Cormen, Leiserson, Rivest, Stein, ch. 13): no red node has a red child, and every path from a node
// down to where nothing hangs passes as many black ones. The lock of the tree is held for writing; readers without it may be about.
import { load, rcuAssignPointer, store, writeOnce } from '../machine/instructions.ts'
import { rbUpdateGap } from './rb-gap.ts'
import { otherSide, RB_BLACK, RbRoot, rbIsRed, rbParent } from './rbtree.ts'
import { Vma } from './vma.ts'

/** Gives `node` another parent; its colour stays. */
export function rbSetParent(node: number, parent: number): void {
  store(node + Vma.rbParentColor, parent | (load(node + Vma.rbParentColor) & RB_BLACK))
}

function blacken(node: number): void {
  store(node + Vma.rbParentColor, load(node + Vma.rbParentColor) | RB_BLACK)
}

function redden(node: number): void {
  store(node + Vma.rbParentColor, load(node + Vma.rbParentColor) & ~RB_BLACK)
}

/** Hangs `node` (or nothing, 0) where `old` hangs: below `parent`, or at the top if that is 0. Sets no parent. */
export function rbReplaceChild(root: number, parent: number, old: number, node: number): void {
  if (parent === 0) rcuAssignPointer(root + RbRoot.node, node)
  else if (load(parent + Vma.rbLeft) === old) rcuAssignPointer(parent + Vma.rbLeft, node)
  else rcuAssignPointer(parent + Vma.rbRight, node)
}

/**
 * Rotates `node` down to `side`: its child on the other side takes its place. The order of the three stores: the first unhooks the
 * child (a reader without lock misses it until the third), so that no two nodes are each below the other.
 */
function rotate(root: number, node: number, side: number): void {
  const child = load(node + otherSide(side))
  const inner = load(child + side)
  const parent = rbParent(node)
  writeOnce(node + otherSide(side), inner)
  writeOnce(child + side, node)
  rbReplaceChild(root, parent, node, child)
  if (inner !== 0) rbSetParent(inner, node)
  rbSetParent(child, parent)
  rbSetParent(node, child)
  rbUpdateGap(node)
  rbUpdateGap(child)
}

/** `node`, red, has been hung in: makes the tree red-black again. */
export function rbInsertFixup(root: number, inserted: number): void {
  let node = inserted
  let parent = rbParent(node)
  while (rbIsRed(parent)) {
    // A red parent is not at the top.
    const grandparent = rbParent(parent)
    const side = load(grandparent + Vma.rbLeft) === parent ? Vma.rbLeft : Vma.rbRight
    const uncle = load(grandparent + otherSide(side))
    if (rbIsRed(uncle)) {
      blacken(parent)
      blacken(uncle)
      redden(grandparent)
      node = grandparent
      parent = rbParent(node)
      continue
    }
    if (load(parent + otherSide(side)) === node) {
      rotate(root, parent, side)
      parent = node
    }
    blacken(parent)
    redden(grandparent)
    rotate(root, grandparent, otherSide(side))
    return
  }
  if (parent === 0) blacken(node)
}

/** Paths through `node` (which may be 0), below `above`, have lost a black node: makes the tree red-black again. */
export function rbEraseFixup(root: number, node: number, above: number): void {
  let parent = above
  while (parent !== 0 && !rbIsRed(node)) {
    const side = load(parent + Vma.rbLeft) === node ? Vma.rbLeft : Vma.rbRight
    const far = otherSide(side)
    let sibling = load(parent + far)
    if (rbIsRed(sibling)) {
      blacken(sibling)
      redden(parent)
      rotate(root, parent, side)
      sibling = load(parent + far)
    }
    if (!rbIsRed(load(sibling + side)) && !rbIsRed(load(sibling + far))) {
      redden(sibling)
      node = parent
      parent = rbParent(node)
      continue
    }
    if (!rbIsRed(load(sibling + far))) {
      blacken(load(sibling + side))
      redden(sibling)
      rotate(root, sibling, far)
      sibling = load(parent + far)
    }
    if (rbIsRed(parent)) redden(sibling)
    else blacken(sibling)
    blacken(parent)
    blacken(load(sibling + far))
    rotate(root, parent, side)
    return
  }
  if (node !== 0) blacken(node)
}
