// The red-black tree of VMAs by address (Linux until 6.0): its node lies in struct vm_area_struct. This file is the node and its
// readers; `rb-store.ts` inserts and takes out, `rb-balance.ts` keeps the tree low, `rb-gap.ts` looks for free ranges.
//
// It is no RCU-safe tree. A rotation, and the taking out of a VMA with two children, unhook a subtree for a few stores, and a reader
// who holds no lock passes by what was there before and after. What such a reader can count on: pointers to children are written in
// an order in which none leads back to where one came from, so that its walk ends, if the nodes stay VMAs; what it found covered the
// page when it looked. Whatever else it wants to know it must validate (a sequence count of writers).
import { load, rcuDereference, readOnce } from '../machine/instructions.ts'
import { struct } from '../machine/struct.ts'
import { Vma } from './vma.ts'

/** A tree: `node` is 0 or the VMA at the top. It starts zeroed. */
export const RbRoot = struct({ node: 1 })

/** The colour, in the low bit of `rbParentColor`. */
export const RB_BLACK = 1
/** More nodes than any path has: a tree of n nodes is at most 2 log2(n + 1) high, and there are at most 2^30 mappings. */
export const RB_WALK_LIMIT = 64

const ELOOP = 40

/** The parent of `node`, or 0. The tree's lock is held, as for all that is not marked otherwise. */
export function rbParent(node: number): number {
  return load(node + Vma.rbParentColor) & ~RB_BLACK
}

/** Whether `node` is red; what is not there (0) is black. */
export function rbIsRed(node: number): boolean {
  return node !== 0 && (load(node + Vma.rbParentColor) & RB_BLACK) === 0
}

/**
 * The VMA that holds page `vpn`; 0 if the walk met none; -ELOOP if it was not at its end after `limit` nodes. Marked reads: it may
 * be called without the tree's lock, under RCU or not, if the memory of VMAs stays VMAs meanwhile. Then 0 does not say that there is
 * none, and what it returns may have changed, gone, or become another's.
 */
export function rbWalk(root: number, vpn: number, limit: number): number {
  let node = rcuDereference(root + RbRoot.node)
  for (let seen = 0; node !== 0; seen++) {
    if (seen === limit) return -ELOOP
    if (vpn < readOnce(node + Vma.start)) node = rcuDereference(node + Vma.rbLeft)
    else if (vpn < readOnce(node + Vma.end)) return node
    else node = rcuDereference(node + Vma.rbRight)
  }
  return 0
}

/** The first VMA that ends behind page `vpn`, if it begins at or below `max`; or 0. */
export function rbFind(root: number, vpn: number, max: number): number {
  let node = load(root + RbRoot.node)
  let found = 0
  while (node !== 0) {
    if (load(node + Vma.end) > vpn) {
      found = node
      if (load(node + Vma.start) <= vpn) break
      node = load(node + Vma.rbLeft)
    } else node = load(node + Vma.rbRight)
  }
  return found !== 0 && load(found + Vma.start) <= max ? found : 0
}

/** The last VMA that begins below page `vpn`, or 0. */
export function rbFindBefore(root: number, vpn: number): number {
  let node = load(root + RbRoot.node)
  let found = 0
  while (node !== 0) {
    if (load(node + Vma.start) < vpn) {
      found = node
      node = load(node + Vma.rbRight)
    } else node = load(node + Vma.rbLeft)
  }
  return found
}

/** The other of the two children's fields. */
export function otherSide(side: number): number {
  return Vma.rbLeft + Vma.rbRight - side
}

/** The outermost node of the subtree of `node` on `side`. */
export function rbOutermost(node: number, side: number): number {
  let outermost = node
  for (let child = load(outermost + side); child !== 0; child = load(outermost + side)) outermost = child
  return outermost
}

/** rb_next (`side` is `Vma.rbRight`) and rb_prev (`Vma.rbLeft`): the neighbour of `node` on that side, or 0. */
export function rbNeighbour(node: number, side: number): number {
  const child = load(node + side)
  if (child !== 0) return rbOutermost(child, otherSide(side))
  let below = node
  let parent = rbParent(node)
  while (parent !== 0 && load(parent + side) === below) {
    below = parent
    parent = rbParent(below)
  }
  return parent
}
