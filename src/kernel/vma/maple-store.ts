// The writer of a maple tree. A store first plans: which slots of which leaves it replaces, and how many nodes that takes.
// It then builds the replacement bottom-up, as far as nodes over- or underflow, publishes it with one pointer, and gives
// what it replaced to RCU. Readers therefore see all of a store or nothing of it, however many nodes it spans.
import { load, rcuAssignPointer, store, writeOnce } from '../machine/instructions.ts'
import { Cache, kmemCacheFree } from '../memory/slab.ts'
import { callRcu } from '../sync/rcu.ts'
import { RcuFunc } from '../sync/rcu-func.ts'
import {
  MasStore,
  masAllocNodes,
  masAppend,
  masAppendSlots,
  masBuild,
  masBuilt,
  masFreeSpare,
  masNodesFor,
  masPopNode,
  masStoreState,
} from './maple-build.ts'
import { masLeafGap, masUpdateGap } from './maple-gap.ts'
import { masSibling } from './maple-sibling.ts'
import {
  INNER_MIN,
  LEAF_MIN,
  LEAF_SLOTS,
  MAPLE_LEAF,
  MAPLE_MAX,
  MapleNode,
  MapleTree,
  mteFirst,
  mteOffset,
  mteParentSlot,
  mteToNode,
} from './maple-tree.ts'

const ENOMEM = 12

/** What a store has to do. */
const Plan = Object.freeze({ nothing: 0, slot: 1, nodes: 2 })

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
function planStore(tree: number, index: number, last: number, entry: number): number {
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

/** Lays out the leaves of the planned store, with all of leaf `before` in front and of `after` behind (0: none). */
function buildLeaves(s: number, before: number, after: number, total: number): number {
  const left = load(s + MasStore.left)
  const right = load(s + MasStore.right)
  const keep = load(s + MasStore.keep)
  masBuild(true, before !== 0 ? load(before + MapleNode.min) : left !== 0 ? load(left + MapleNode.min) : 0, total)
  if (before !== 0) masAppendSlots(before, 0, load(before + MapleNode.end))
  if (left !== 0) masAppendSlots(left, 0, keep - 1)
  if (load(s + MasStore.cut) !== 0) masAppend(load(s + MasStore.index) - 1, left === 0 ? 0 : load(left + MapleNode.slot + keep), 0)
  masAppend(load(s + MasStore.last), load(s + MasStore.entry), 0)
  if (right !== 0) masAppendSlots(right, load(s + MasStore.from), load(right + MapleNode.end))
  else if (load(s + MasStore.from) === 0) masAppend(MAPLE_MAX, 0, 0)
  if (after !== 0) masAppendSlots(after, 0, load(after + MapleNode.end))
  return masBuilt()
}

/**
 * Lays out the internal nodes above the chain of new nodes at `child` (links to them carry `mark`): slots 0 to keep-1 of
 * `left`, the chain, slots `from` to the end of `right`, between `before` and `after`. `left` and `right` 0: a new root.
 */
function buildInner(
  before: number,
  left: number,
  keep: number,
  child: number,
  mark: number,
  right: number,
  from: number,
  after: number,
  total: number,
): number {
  masBuild(false, before !== 0 ? load(before + MapleNode.min) : left !== 0 ? load(left + MapleNode.min) : 0, total)
  if (before !== 0) masAppendSlots(before, 0, load(before + MapleNode.end))
  if (left !== 0) masAppendSlots(left, 0, keep - 1)
  while (child !== 0) {
    const next = load(child + MapleNode.chain)
    masAppend(load(child + MapleNode.max), child | mark, load(child + MapleNode.chainGap))
    child = next
  }
  if (right !== 0) masAppendSlots(right, from, load(right + MapleNode.end))
  if (after !== 0) masAppendSlots(after, 0, load(after + MapleNode.end))
  return masBuilt()
}

/**
 * Walks up from the leaves of the planned store until what it replaces is one whole node (or the root). At each level
 * the nodes from `left` to `right` give way to new ones, with a sibling when there is too little for a node or when
 * the sibling has room for what would need a split. With `commit` it builds and publishes; without, it only counts. Returns the number of
 * nodes that it takes.
 */
function masReplace(tree: number, commit: boolean): number {
  const s = masStoreState()
  let left = load(s + MasStore.left)
  let right = load(s + MasStore.right)
  let keep = 0
  let from = 0
  let total = load(s + MasStore.total)
  let leaf = true
  let mark = 0
  let chain = 0
  let needed = 0
  for (;;) {
    const sibling = left === 0 ? 0 : masSibling(left, right, total, leaf)
    const after = sibling !== 0 && load(sibling + MapleNode.min) > load(left + MapleNode.min) ? sibling : 0
    const before = sibling - after
    if (sibling !== 0) total += load(sibling + MapleNode.end) + 1
    else if (total < (leaf ? LEAF_MIN : INNER_MIN)) {
      // Nothing of this level lies outside: here is the new root.
      const empty = leaf && total === 1 && load(s + MasStore.entry) === 0
      const promoted = !leaf && total === 1
      if (commit) {
        if (empty) publishRoot(tree, 0)
        else if (promoted) publishRoot(tree, chain | mark)
        else if (leaf) publishRoot(tree, buildLeaves(s, 0, 0, total) | MAPLE_LEAF)
        else publishRoot(tree, buildInner(0, left, keep, chain, mark, right, from, 0, total))
      }
      return empty || promoted ? needed : needed + 1
    }
    const made = masNodesFor(total, leaf)
    needed += made
    if (commit) chain = leaf ? buildLeaves(s, before, after, total) : buildInner(before, left, keep, chain, mark, right, from, after, total)
    mark = leaf ? MAPLE_LEAF : 0
    if (before !== 0) left = before
    if (after !== 0) right = after
    if (made === 1 && left === right) {
      if (commit) publishNode(tree, left, chain, mark, load(chain + MapleNode.chainGap))
      return needed
    }
    const up = load(left + MapleNode.parent)
    keep = mteParentSlot(up)
    from = mteParentSlot(load(right + MapleNode.parent)) + 1
    left = mteToNode(up)
    right = mteToNode(load(right + MapleNode.parent))
    total = left === 0 ? made : keep + made + load(right + MapleNode.end) - from + 1
    leaf = false
  }
}

/**
 * The common store, done at once: the planned slots of one leaf still make one leaf. Returns 0, or -ENOMEM with nothing
 * changed. The same as what `masReplace` would do, in a third of the time.
 */
function replaceLeaf(tree: number, s: number, old: number): number {
  const node = masPopNode()
  if (node === 0) return -ENOMEM
  const keep = load(s + MasStore.keep)
  let first = load(old + MapleNode.min)
  let longest = 0
  store(node + MapleNode.min, first)
  for (let i = 0; i < keep; i++) {
    const pivot = load(old + MapleNode.pivot + i)
    const slot = load(old + MapleNode.slot + i)
    store(node + MapleNode.pivot + i, pivot)
    store(node + MapleNode.slot + i, slot)
    if (slot === 0 && pivot - first >= longest) longest = pivot - first + 1
    first = pivot + 1
  }
  let to = node + keep
  if (load(s + MasStore.cut) !== 0) {
    const pivot = load(s + MasStore.index) - 1
    const slot = load(old + MapleNode.slot + keep)
    store(to + MapleNode.pivot, pivot)
    store(to + MapleNode.slot, slot)
    if (slot === 0 && pivot - first >= longest) longest = pivot - first + 1
    first = pivot + 1
    to++
  }
  const last = load(s + MasStore.last)
  const entry = load(s + MasStore.entry)
  store(to + MapleNode.pivot, last)
  store(to + MapleNode.slot, entry)
  if (entry === 0 && last - first >= longest) longest = last - first + 1
  first = last + 1
  const end = old + load(old + MapleNode.end)
  for (let p = old + load(s + MasStore.from); p <= end; p++) {
    const pivot = load(p + MapleNode.pivot)
    const slot = load(p + MapleNode.slot)
    to++
    store(to + MapleNode.pivot, pivot)
    store(to + MapleNode.slot, slot)
    if (slot === 0 && pivot - first >= longest) longest = pivot - first + 1
    first = pivot + 1
  }
  store(node + MapleNode.end, to - node)
  store(node + MapleNode.max, first - 1)
  publishNode(tree, old, node, MAPLE_LEAF, longest)
  return 0
}

/** Whether the store that `planStore` planned replaces one leaf by one. */
function oneLeaf(s: number): boolean {
  const left = load(s + MasStore.left)
  const total = load(s + MasStore.total)
  if (left === 0 || left !== load(s + MasStore.right) || total > LEAF_SLOTS) return false
  return total >= LEAF_MIN || (load(left + MapleNode.parent) === 0 && total > 1)
}

/** Puts new node `node`, whose longest free range is `gap`, where `old`, which covers the same range, is in the tree. */
function publishNode(tree: number, old: number, node: number, mark: number, gap: number): void {
  const up = load(old + MapleNode.parent)
  store(node + MapleNode.parent, up)
  if (up === 0) {
    rcuAssignPointer(tree + MapleTree.root, node | mark)
  } else {
    rcuAssignPointer(mteToNode(up) + MapleNode.slot + mteParentSlot(up), node | mark)
    masUpdateGap(node, gap)
  }
  if (mark !== 0) bury(old)
  else freeReplaced(old)
}

/** Makes `link` (0: empty) the tree's root. */
function publishRoot(tree: number, link: number): void {
  const old = load(tree + MapleTree.root)
  // A promoted child is new too: nobody reads it yet.
  if (link !== 0) store(mteToNode(link) + MapleNode.parent, 0)
  rcuAssignPointer(tree + MapleTree.root, link)
  if (old !== 0) freeReplaced(old)
}

/**
 * Marks the node behind `top` dead and gives it to RCU, and so on below it: a child whose parent link still leads to the
 * dead node was adopted by no new one. The queue of links runs through `chain`, which no reader reads.
 */
function freeReplaced(top: number): void {
  let tail = mteToNode(top)
  let link = top
  store(tail + MapleNode.chain, 0)
  while (link !== 0) {
    const node = mteToNode(link)
    const end = (link & MAPLE_LEAF) !== 0 ? -1 : load(node + MapleNode.end)
    for (let i = 0; i <= end; i++) {
      const child = load(node + MapleNode.slot + i)
      if (mteToNode(load(mteToNode(child) + MapleNode.parent)) !== node) continue
      store(tail + MapleNode.chain, child)
      tail = mteToNode(child)
      store(tail + MapleNode.chain, 0)
    }
    link = load(node + MapleNode.chain)
    bury(node)
  }
}

/** Marks `node`, which is not reachable any more, dead, and has it freed once its readers are gone. */
function bury(node: number): void {
  writeOnce(node + MapleNode.parent, node)
  callRcu(node + MapleNode.rcuHead, RcuFunc.mapleNode)
}

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
  return masAllocNodes(oneLeaf(masStoreState()) ? 1 : masReplace(tree, false))
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
    const error = single ? replaceLeaf(tree, s, load(s + MasStore.left)) : masAllocNodes(masReplace(tree, false))
    if (error !== 0) return error
    if (!single) masReplace(tree, true)
  }
  if (load(s + MasStore.spare) !== 0) masFreeSpare()
  return 0
}

/** mtree_erase of a range: frees [index, last]. As `mtStoreRange` with entry 0, of which it is the plain name. */
export function mtErase(tree: number, index: number, last: number): number {
  return mtStoreRange(tree, index, last, 0)
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
