// Storing to a maple tree. A store plans what it replaces (`maple-plan.ts`), counts and allocates the nodes that this takes,
// and only then changes the tree (`maple-replace.ts`).
import { load, rcuAssignPointer, store, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { Cache, kmemCacheFree } from '../memory/slab.ts'
import { MasStore, masAllocNodes, masFreeSpare, masStoreState } from './maple-build.ts'
import { masLeafGap, masUpdateGap } from './maple-gap.ts'
import { oneLeaf, Plan, planStore } from './maple-plan.ts'
import { masReplace, replaceLeaf } from './maple-replace.ts'
import { MAPLE_LEAF, MapleNode, MapleTree, masWalk, mteToNode } from './maple-tree.ts'

/** The RCU callback of a replaced node, for the dispatcher of `RcuFunc.mapleNode`. */
export function mapleNodeFreeRcu(head: number): void {
  kmemCacheFree(Cache.mapleNode, head - MapleNode.rcuHead)
}

/**
 * mas_preallocate: makes sure that this CPU's next `mtStoreRange`, if it is this one on the tree as it is now, cannot
 * fail. Returns 0 or -ENOMEM. The tree's lock is held for writing, until the store or `mtCancelPreallocation`.
 */
export function mtPreallocate(tree: number, index: number, last: number, entry: number): number {
  if (planStore(tree, index, last, entry) !== Plan.nodes) return 0
  return masAllocNodes(oneLeaf(masStoreState()) ? 1 : masReplace(tree, 0))
}

/** mas_destroy: gives back what `mtPreallocate` set aside, when the store does not happen. */
export function mtCancelPreallocation(): void {
  masFreeSpare()
}

/**
 * mtree_store_range: `entry` (a pointer to a structure that is initialised; 0 erases) takes the place of whatever
 * [index, last] held, both ends inclusive. Returns 0, or -ENOMEM with the tree unchanged. The tree's lock is held for
 * writing; readers may be in RCU sections.
 */
export function mtStoreRange(tree: number, index: number, last: number, entry: number): number {
  const plan = planStore(tree, index, last, entry)
  const s = masStoreState()
  if (plan === Plan.slot) {
    const leaf = load(s + MasStore.left)
    const p = leaf + MapleNode.slot + load(s + MasStore.keep)
    const was = load(p)
    rcuAssignPointer(p, entry)
    if ((was === 0) !== (entry === 0)) masUpdateGap(leaf, masLeafGap(leaf))
  } else if (plan === Plan.nodes) {
    const single = oneLeaf(s)
    const error = single ? replaceLeaf(tree, s, load(s + MasStore.left)) : masAllocNodes(masReplace(tree, 0))
    if (error !== 0) return error
    if (!single) masReplace(tree, 1)
  }
  if (load(s + MasStore.spare) !== 0) masFreeSpare()
  return 0
}

/**
 * mtree_erase: takes the entry that covers `index` out of the tree, its whole range. Returns the entry, 0 if there is
 * none, or -ENOMEM with the tree unchanged. Its bounds are out0 and out1. Lock as `mtStoreRange`.
 */
export function mtErase(tree: number, index: number): number {
  const entry = masWalk(tree, index)
  if (entry === 0) return 0
  const cpu = thisCpu()
  const error = mtStoreRange(tree, load(cpu + Cpu.out0), load(cpu + Cpu.out1), 0)
  return error !== 0 ? error : entry
}

/** __mt_destroy: frees all nodes at once and empties the tree. Nobody reads it any more, under RCU or otherwise. */
export function mtDestroy(tree: number): void {
  let link = load(tree + MapleTree.root)
  let tail = mteToNode(link)
  store(tree + MapleTree.root, 0)
  if (link !== 0) store(tail + MapleNode.chain, 0)
  while (link !== 0) {
    const node = mteToNode(link)
    const end = (link & MAPLE_LEAF) !== 0 ? -1 : load(node + MapleNode.end)
    for (let i = 0; i <= end; i++) {
      const child = load(node + MapleNode.slot + i)
      store(tail + MapleNode.chain, child)
      tail = mteToNode(child)
      store(tail + MapleNode.chain, 0)
    }
    link = load(node + MapleNode.chain)
    kmemCacheFree(Cache.mapleNode, node)
  }
}
