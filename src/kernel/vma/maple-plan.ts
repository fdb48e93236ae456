// What a store to a maple tree has to do: which slots of which leaves it replaces, free ranges beside it included.
import { load, store } from '../machine/instructions.ts'
import { MasStore, masStoreState } from './maple-build.ts'
import { LEAF_MIN, LEAF_SLOTS, MAPLE_LEAF, MAPLE_MAX, MapleNode, MapleTree, mteFirst, mteOffset } from './maple-tree.ts'

/** What a store has to do. */
export const Plan = Object.freeze({ nothing: 0, slot: 1, nodes: 2 })

/** The leaf that covers `index`, for the writer. The tree is not empty. */
function leafAt(tree: number, index: number): number {
  let link = load(tree + MapleTree.root)
  while ((link & MAPLE_LEAF) === 0) link = load(link + MapleNode.slot + mteOffset(link, index))
  return link - MAPLE_LEAF
}

/**
 * Plans to store `entry` at [index, last]: slots 0 to keep-1 of leaf `left` stay, and with `cut` what slot `keep` has below
 * `index`; then comes the entry; then slots `from` to the end of leaf `right`. A free range takes in the free ranges
 * beside it, and one that would end a leaf goes to the next leaf.
 */
export function planStore(tree: number, index: number, last: number, entry: number): number {
  const s = masStoreState()
  store(s + MasStore.entry, entry)
  if (load(tree + MapleTree.root) === 0) return planFirst(s, index, last, entry)
  const left = leafAt(tree, index)
  let keep = mteOffset(left, index)
  let first = mteFirst(left, keep)
  let right = left
  let to = keep
  if (last > load(left + MapleNode.max)) {
    right = leafAt(tree, last)
    to = mteOffset(right, last)
  } else {
    while (load(left + MapleNode.pivot + to) < last) to++
  }
  let end = load(right + MapleNode.pivot + to)
  const exact = left === right && keep === to && index === first && last === end
  if (entry === 0) {
    if (left === right && keep === to && load(left + MapleNode.slot + keep) === 0) return Plan.nothing
    if (load(left + MapleNode.slot + keep) === 0) {
      index = first
    } else if (index === first && keep > 0 && load(left + MapleNode.slot + keep - 1) === 0) {
      keep--
      first = mteFirst(left, keep)
      index = first
    }
    if (load(right + MapleNode.slot + to) === 0) last = end
    if (last === end && to < load(right + MapleNode.end) && load(right + MapleNode.slot + to + 1) === 0) {
      to++
      end = load(right + MapleNode.pivot + to)
      last = end
    }
  }
  let from = last < end ? to : to + 1
  if (entry === 0 && last === load(right + MapleNode.max) && last !== MAPLE_MAX) {
    right = leafAt(tree, last + 1)
    from = 0
    if (load(right + MapleNode.slot) === 0) {
      last = load(right + MapleNode.pivot)
      from = 1
    }
  }
  store(s + MasStore.left, left)
  store(s + MasStore.keep, keep)
  if (exact && left === right && keep === to && from === to + 1) return Plan.slot
  const cut = index > first ? 1 : 0
  store(s + MasStore.cut, cut)
  store(s + MasStore.right, right)
  store(s + MasStore.from, from)
  store(s + MasStore.index, index)
  store(s + MasStore.last, last)
  store(s + MasStore.total, keep + cut + 1 + load(right + MapleNode.end) - from + 1)
  return Plan.nodes
}

/** Plans the first store to an empty tree. */
function planFirst(s: number, index: number, last: number, entry: number): number {
  if (entry === 0) return Plan.nothing
  store(s + MasStore.left, 0)
  store(s + MasStore.keep, 0)
  store(s + MasStore.cut, index > 0 ? 1 : 0)
  store(s + MasStore.right, 0)
  store(s + MasStore.from, last < MAPLE_MAX ? 0 : 1)
  store(s + MasStore.index, index)
  store(s + MasStore.last, last)
  store(s + MasStore.total, (index > 0 ? 1 : 0) + 1 + (last < MAPLE_MAX ? 1 : 0))
  return Plan.nodes
}

/** Whether the store that `planStore` planned replaces one leaf by one. */
export function oneLeaf(s: number): boolean {
  const left = load(s + MasStore.left)
  const total = load(s + MasStore.total)
  if (left === 0 || left !== load(s + MasStore.right) || total > LEAF_SLOTS) return false
  return total >= LEAF_MIN || (load(left + MapleNode.parent) === 0 && total > 1)
}
