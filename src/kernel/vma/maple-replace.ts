// Replacing nodes of a maple tree: the new ones are built bottom-up, as far as nodes over- or underflow, published with one
// pointer, and the old ones go to RCU. Readers therefore see all of a store or nothing of it, however many nodes it spans.
import { load, rcuAssignPointer, store, writeOnce } from '../machine/instructions.ts'
import { callRcu } from '../sync/rcu.ts'
import { RcuFunc } from '../sync/rcu-func.ts'
import { MasStore, masAppend, masAppendSlots, masBuild, masBuilt, masNodesFor, masPopNode, masStoreState } from './maple-build.ts'
import { masUpdateGap } from './maple-gap.ts'
import { masSibling } from './maple-sibling.ts'
import { INNER_MIN, LEAF_MIN, MAPLE_LEAF, MAPLE_MAX, MapleNode, MapleTree, mteParentSlot, mteToNode } from './maple-tree.ts'

const ENOMEM = 12

/** Lays out the leaves of the planned store, with all of leaf `before` in front and of `after` behind (0: none). */
function buildLeaves(s: number, before: number, after: number, total: number): number {
  const left = load(s + MasStore.left)
  const right = load(s + MasStore.right)
  const keep = load(s + MasStore.keep)
  masBuild(1, before !== 0 ? load(before + MapleNode.min) : left !== 0 ? load(left + MapleNode.min) : 0, total)
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
  masBuild(0, before !== 0 ? load(before + MapleNode.min) : left !== 0 ? load(left + MapleNode.min) : 0, total)
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
 * the nodes from `left` to `right` give way to new ones, together with a sibling where `masSibling` names one. With
 * `commit` it builds and publishes; without, it only counts. Returns the number of nodes that it takes. The tree's lock is
 * held for writing, and with `commit` that many nodes are spare.
 */
export function masReplace(tree: number, commit: number): number {
  const s = masStoreState()
  let left = load(s + MasStore.left)
  let right = load(s + MasStore.right)
  let keep = 0
  let from = 0
  let total = load(s + MasStore.total)
  let leaf = 1
  let mark = 0
  let chain = 0
  let needed = 0
  for (;;) {
    const sibling = left === 0 ? 0 : masSibling(left, right, total, leaf)
    const after = sibling !== 0 && load(sibling + MapleNode.min) > load(left + MapleNode.min) ? sibling : 0
    const before = sibling - after
    if (sibling !== 0) total += load(sibling + MapleNode.end) + 1
    else if (total < (leaf !== 0 ? LEAF_MIN : INNER_MIN)) {
      // Nothing of this level lies outside: here is the new root.
      const empty = leaf !== 0 && total === 1 && load(s + MasStore.entry) === 0
      const promoted = leaf === 0 && total === 1
      if (commit !== 0) {
        if (empty) publishRoot(tree, 0)
        else if (promoted) publishRoot(tree, chain | mark)
        else if (leaf !== 0) publishRoot(tree, buildLeaves(s, 0, 0, total) | MAPLE_LEAF)
        else publishRoot(tree, buildInner(0, left, keep, chain, mark, right, from, 0, total))
      }
      return empty || promoted ? needed : needed + 1
    }
    const made = masNodesFor(total, leaf)
    needed += made
    if (commit !== 0)
      chain = leaf !== 0 ? buildLeaves(s, before, after, total) : buildInner(before, left, keep, chain, mark, right, from, after, total)
    mark = leaf !== 0 ? MAPLE_LEAF : 0
    if (before !== 0) left = before
    if (after !== 0) right = after
    if (made === 1 && left === right) {
      if (commit !== 0) publishNode(tree, left, chain, mark, load(chain + MapleNode.chainGap))
      return needed
    }
    const up = load(left + MapleNode.parent)
    keep = mteParentSlot(up)
    from = mteParentSlot(load(right + MapleNode.parent)) + 1
    left = mteToNode(up)
    right = mteToNode(load(right + MapleNode.parent))
    total = left === 0 ? made : keep + made + load(right + MapleNode.end) - from + 1
    leaf = 0
  }
}

/**
 * The common store, done at once: the planned slots of one leaf still make one leaf. Returns 0, or -ENOMEM with nothing
 * changed. The same as what `masReplace` would do, in a third of the time.
 */
export function replaceLeaf(tree: number, s: number, old: number): number {
  const node = masPopNode()
  if (node === 0) return -ENOMEM
  const keep = load(s + MasStore.keep)
  let before = load(old + MapleNode.min) - 1
  let longest = 0
  store(node + MapleNode.min, before + 1)
  for (let i = 0; i < keep; i++) {
    const pivot = load(old + MapleNode.pivot + i)
    const slot = load(old + MapleNode.slot + i)
    store(node + MapleNode.pivot + i, pivot)
    store(node + MapleNode.slot + i, slot)
    if (slot === 0 && pivot - before > longest) longest = pivot - before
    before = pivot
  }
  let to = node + keep
  if (load(s + MasStore.cut) !== 0) {
    const pivot = load(s + MasStore.index) - 1
    const slot = load(old + MapleNode.slot + keep)
    store(to + MapleNode.pivot, pivot)
    store(to + MapleNode.slot, slot)
    if (slot === 0 && pivot - before > longest) longest = pivot - before
    before = pivot
    to++
  }
  const last = load(s + MasStore.last)
  const entry = load(s + MasStore.entry)
  store(to + MapleNode.pivot, last)
  store(to + MapleNode.slot, entry)
  if (entry === 0 && last - before > longest) longest = last - before
  before = last
  const end = old + load(old + MapleNode.end)
  for (let p = old + load(s + MasStore.from); p <= end; p++) {
    const pivot = load(p + MapleNode.pivot)
    const slot = load(p + MapleNode.slot)
    to++
    store(to + MapleNode.pivot, pivot)
    store(to + MapleNode.slot, slot)
    if (slot === 0 && pivot - before > longest) longest = pivot - before
    before = pivot
  }
  store(node + MapleNode.end, to - node)
  store(node + MapleNode.max, before)
  publishNode(tree, old, node, MAPLE_LEAF, longest)
  return 0
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
