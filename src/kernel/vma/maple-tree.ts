// The maple tree (Linux 6.1 lib/maple_tree.c): a B-tree of ranges that readers walk under RCU alone. This file is the
// node and its readers; `maple-store.ts` writes, `maple-gap.ts` looks for free ranges.
//
// A published node never changes but for four kinds of words: a slot (another child of the same range, another entry of
// the same range), a gap, the parent link, and the rcu_head. Pivots, bounds and length stay, so readers load those plain
// and pay one atomic access for each slot. Whatever else a store wants to change, it changes in a copy, publishes
// the copy with one pointer and marks what that replaced dead.
//
// Every range between two entries is a slot of its own, 0; two such slots are never neighbours, and no leaf but the last
// ends with one, so that a free range lies in one leaf whole.
import { load, rcuDereference, readOnce, store, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { struct } from '../machine/struct.ts'

/** A tree: `root` is 0 (empty) or a node as it stands in a slot. It starts zeroed. */
export const MapleTree = struct({ root: 1 })

/**
 * A node, leaf or internal. `min` and `max`: the bounds of what it covers; slot i covers what is above pivot i-1 up to
 * pivot i, and pivot `end` repeats `max`. A leaf has 16 slots; an internal node 10, each with the longest free range
 * below it. `rcuHead` does not lie over `parent`, where late readers see that the node is dead; while a node is private to
 * a store, the same two words chain it to the next one of its level and hold its longest free range.
 */
export const MapleNode = struct({
  parent: 1, // parent | slot there; 0 in the root; the node itself once dead
  end: 1,
  min: 1,
  rcuHead: 1,
  rcuFunc: 1,
  chain: { at: 'rcuHead' },
  chainGap: { at: 'rcuFunc' },
  pivot: 15,
  max: 1,
  slot: 16,
  gap: 10,
})

/** Alignment of nodes in words: the low bits of links hold a slot number, or the mark of a leaf. */
export const MAPLE_NODE_ALIGN = 16
/** The highest index. */
export const MAPLE_MAX = 0x7fffffff
/** Set in a slot (or root) that points to a leaf. */
export const MAPLE_LEAF = 1
export const LEAF_SLOTS = 16
export const INNER_SLOTS = 10
/** Fewest slots in use of any node but the root. */
export const LEAF_MIN = 6
export const INNER_MIN = 4

/** The node that a slot, a root or a parent link points to. */
export function mteToNode(link: number): number {
  return link & -MAPLE_NODE_ALIGN
}

/** The slot number in a parent link. */
export function mteParentSlot(link: number): number {
  return link & (MAPLE_NODE_ALIGN - 1)
}

/** Whether `node` has been replaced: what was read from it may be out of date. */
export function mteDeadNode(node: number): boolean {
  return readOnce(node + MapleNode.parent) === node
}

/** The slot of `node` that covers `index`, which lies within its bounds. */
export function mteOffset(node: number, index: number): number {
  let p = node + MapleNode.pivot
  while (load(p) < index) p++
  return p - node - MapleNode.pivot
}

/** The first index that slot `offset` of `node` covers. */
export function mteFirst(node: number, offset: number): number {
  return offset === 0 ? load(node + MapleNode.min) : load(node + MapleNode.pivot + offset - 1) + 1
}

/** The leaf that covers `index`, or 0 if the tree is empty. RCU section, or the tree's lock. */
function mtLeaf(tree: number, index: number): number {
  let link = rcuDereference(tree + MapleTree.root)
  if (link === 0) return 0
  while ((link & MAPLE_LEAF) === 0) {
    let p = link + MapleNode.pivot
    while (load(p) < index) p++
    link = rcuDereference(p + (MapleNode.slot - MapleNode.pivot))
  }
  return link - MAPLE_LEAF
}

/** mtree_load: the entry whose range covers `index`, or 0. The caller is in an RCU section or holds the tree's lock. */
export function mtLoad(tree: number, index: number): number {
  for (;;) {
    const leaf = mtLeaf(tree, index)
    if (leaf === 0) return 0
    const entry = readOnce(leaf + MapleNode.slot + mteOffset(leaf, index))
    if (!mteDeadNode(leaf)) return entry
  }
}

/** Remembers slot `offset` of `leaf` as this CPU's position, and its bounds as out0 and out1. Returns `entry`. */
function masSet(tree: number, leaf: number, offset: number, entry: number): number {
  const cpu = thisCpu()
  const first = mteFirst(leaf, offset)
  const last = load(leaf + MapleNode.pivot + offset)
  store(cpu + Cpu.out0, first)
  store(cpu + Cpu.out1, last)
  store(cpu + Cpu.masTree, tree)
  store(cpu + Cpu.masNode, leaf)
  store(cpu + Cpu.masOffset, offset)
  store(cpu + Cpu.masIndex, first)
  store(cpu + Cpu.masLast, last)
  return entry
}

/**
 * mas_walk: the entry whose range covers `index`, or 0; out0 and out1 are the first and last index of that range (also of
 * a free one), and `masNext` and `masPrev` go on from there. RCU section or the tree's lock.
 */
export function masWalk(tree: number, index: number): number {
  for (;;) {
    const leaf = mtLeaf(tree, index)
    if (leaf === 0) break
    const offset = mteOffset(leaf, index)
    const entry = readOnce(leaf + MapleNode.slot + offset)
    if (!mteDeadNode(leaf)) return masSet(tree, leaf, offset, entry)
  }
  const cpu = thisCpu()
  store(cpu + Cpu.out0, 0)
  store(cpu + Cpu.out1, MAPLE_MAX)
  store(cpu + Cpu.masTree, tree)
  store(cpu + Cpu.masNode, 0)
  store(cpu + Cpu.masIndex, 0)
  store(cpu + Cpu.masLast, MAPLE_MAX)
  return 0
}

/**
 * The first entry from slot `offset` of `leaf` on, or, where `leaf` is 0 or turns out dead, from `index` on. Each leaf is
 * reached from the root: an entry that stays in the tree is never missed, whatever happens around it.
 */
function scanForward(tree: number, leaf: number, offset: number, index: number, max: number): number {
  for (;;) {
    if (leaf === 0) {
      leaf = mtLeaf(tree, index)
      if (leaf === 0) return 0
      offset = mteOffset(leaf, index)
    }
    const end = load(leaf + MapleNode.end)
    let entry = 0
    while (offset <= end) {
      entry = readOnce(leaf + MapleNode.slot + offset)
      if (entry !== 0) break
      offset++
    }
    if (mteDeadNode(leaf)) {
      leaf = 0
      continue
    }
    if (entry !== 0) return mteFirst(leaf, offset) > max ? 0 : masSet(tree, leaf, offset, entry)
    if (load(leaf + MapleNode.max) >= max) return 0
    index = load(leaf + MapleNode.max) + 1
    leaf = 0
  }
}

/** The mirror image: the last entry up to slot `offset` of `leaf`, or up to `index`. */
function scanBackward(tree: number, leaf: number, offset: number, index: number, min: number): number {
  for (;;) {
    if (leaf === 0) {
      leaf = mtLeaf(tree, index)
      if (leaf === 0) return 0
      offset = mteOffset(leaf, index)
    }
    let entry = 0
    while (offset >= 0) {
      entry = readOnce(leaf + MapleNode.slot + offset)
      if (entry !== 0) break
      offset--
    }
    if (mteDeadNode(leaf)) {
      leaf = 0
      continue
    }
    if (entry !== 0) return load(leaf + MapleNode.pivot + offset) < min ? 0 : masSet(tree, leaf, offset, entry)
    if (load(leaf + MapleNode.min) <= min) return 0
    index = load(leaf + MapleNode.min) - 1
    leaf = 0
  }
}

/**
 * mt_find: the entry that covers `index` or, failing that, the first one that begins at or below `max`; 0 if none does.
 * out0 and out1 are its first and last index, and `masNext` goes on from there. RCU section or the tree's lock. Under RCU
 * alone the bounds are the tree's at some moment during the call; an entry's own fields are the last word.
 */
export function mtFind(tree: number, index: number, max: number): number {
  return index > max ? 0 : scanForward(tree, 0, 0, index, max)
}

/** mt_next: the first entry behind the range (entry or free) that covers `index`, if it begins at or below `max`. As `mtFind`. */
export function mtNext(tree: number, index: number, max: number): number {
  masWalk(tree, index)
  return masNext(max)
}

/** mt_prev: the last entry before the range (entry or free) that covers `index`, if it ends at or above `min`. As `mtFind`. */
export function mtPrev(tree: number, index: number, min: number): number {
  masWalk(tree, index)
  return masPrev(min)
}

/**
 * mas_next: the entry after the one that this CPU's last `masWalk`, `mtFind`, `mtNext`, `mtPrev`, `masNext` or `masPrev`
 * returned, if it begins at or below `max`. Same RCU section, or the tree's lock held throughout; stores may have
 * happened in between. Results as `mtFind`.
 */
export function masNext(max: number): number {
  const cpu = thisCpu()
  const last = load(cpu + Cpu.masLast)
  if (last >= max) return 0
  return scanForward(load(cpu + Cpu.masTree), load(cpu + Cpu.masNode), load(cpu + Cpu.masOffset) + 1, last + 1, max)
}

/** mas_prev: the entry before, if it ends at or above `min`. As `masNext`. */
export function masPrev(min: number): number {
  const cpu = thisCpu()
  const first = load(cpu + Cpu.masIndex)
  if (first <= min) return 0
  return scanBackward(load(cpu + Cpu.masTree), load(cpu + Cpu.masNode), load(cpu + Cpu.masOffset) - 1, first - 1, min)
}
