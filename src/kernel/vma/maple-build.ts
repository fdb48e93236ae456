// The builder of maple nodes: it lays a sequence of (pivot, slot, gap) out over new nodes from left to right, in equal
// shares. Nodes come from this CPU's list of spare ones, filled beforehand, so that building cannot fail. What is being
// built belongs to the executing CPU alone and is not published yet.
import { load, store, thisCpu, writeOnce } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { struct } from '../machine/struct.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree } from '../memory/slab.ts'
import { masInnerGap, masLeafGap } from './maple-gap.ts'
import { INNER_SLOTS, LEAF_SLOTS, MapleNode, mteToNode } from './maple-tree.ts'

const ENOMEM = 12

/**
 * The words of `Cpu.masSpare`. `spare`: chain of spare nodes. Then the builder: `first` of the chain of finished nodes,
 * `node` being filled up to slot `offset`, of which it shall have `room`; `items` and `nodes` not begun yet; `leaf`.
 * Then the store that is planned, see `maple-plan.ts`.
 */
export const MasStore = struct({
  spare: 1,
  first: 1,
  node: 1,
  offset: 1,
  room: 1,
  items: 1,
  nodes: 1,
  leaf: 1,
  left: 1,
  keep: 1,
  cut: 1,
  right: 1,
  from: 1,
  index: 1,
  last: 1,
  entry: 1,
  total: 1,
})

/** The executing CPU's `MasStore`. */
export function masStoreState(): number {
  return thisCpu() + Cpu.masSpare
}

/** mas_alloc_nodes: fills the CPU's list up to `count` spare nodes. Returns 0, or -ENOMEM and an empty list. */
export function masAllocNodes(count: number): number {
  const cpu = thisCpu()
  let have = load(cpu + Cpu.masSpareCount)
  while (have < count) {
    const node = kmemCacheAlloc(Cache.mapleNode)
    if (node === 0) {
      masFreeSpare()
      return -ENOMEM
    }
    store(node + MapleNode.chain, load(cpu + Cpu.masSpare + MasStore.spare))
    store(cpu + Cpu.masSpare + MasStore.spare, node)
    have++
    store(cpu + Cpu.masSpareCount, have)
  }
  return 0
}

/** mas_pop_node: a spare node, or one fresh from the slab; 0 without memory. */
export function masPopNode(): number {
  const cpu = thisCpu()
  const node = load(cpu + Cpu.masSpare + MasStore.spare)
  if (node === 0) return kmemCacheAlloc(Cache.mapleNode)
  store(cpu + Cpu.masSpare + MasStore.spare, load(node + MapleNode.chain))
  store(cpu + Cpu.masSpareCount, load(cpu + Cpu.masSpareCount) - 1)
  return node
}

/** mas_destroy: gives the CPU's spare nodes back. */
export function masFreeSpare(): void {
  const cpu = thisCpu()
  let node = load(cpu + Cpu.masSpare + MasStore.spare)
  while (node !== 0) {
    const next = load(node + MapleNode.chain)
    kmemCacheFree(Cache.mapleNode, node)
    node = next
  }
  store(cpu + Cpu.masSpare + MasStore.spare, 0)
  store(cpu + Cpu.masSpareCount, 0)
}

/** How many nodes hold `items` slots. Leaves that are split leave one slot free: see `isFull`. */
export function masNodesFor(items: number, leaf: number): number {
  if (leaf === 0) return ((items + INNER_SLOTS - 1) / INNER_SLOTS) | 0
  return items <= LEAF_SLOTS ? 1 : ((items + LEAF_SLOTS - 2) / (LEAF_SLOTS - 1)) | 0
}

/** Begins a level: `items` slots, of which the first begins at index `min`. */
export function masBuild(leaf: number, min: number, items: number): void {
  const s = masStoreState()
  store(s + MasStore.leaf, leaf)
  store(s + MasStore.items, items)
  store(s + MasStore.nodes, masNodesFor(items, leaf))
  store(s + MasStore.first, 0)
  store(s + MasStore.node, 0)
  openNode(s, min)
}

/** Takes a spare node, links it behind the one before it, and gives it its share of what is left. */
function openNode(s: number, min: number): void {
  const node = masPopNode()
  const before = load(s + MasStore.node)
  const nodes = load(s + MasStore.nodes)
  store(node + MapleNode.min, min)
  store(node + MapleNode.chain, 0)
  if (before === 0) store(s + MasStore.first, node)
  else store(before + MapleNode.chain, node)
  store(s + MasStore.node, node)
  store(s + MasStore.offset, 0)
  store(s + MasStore.nodes, nodes - 1)
  store(s + MasStore.room, ((load(s + MasStore.items) + nodes - 1) / nodes) | 0)
}

/** Completes the node being filled: bounds, longest free range, and the parent links of its children. */
function closeNode(s: number): void {
  const node = load(s + MasStore.node)
  const offset = load(s + MasStore.offset)
  const end = offset - 1
  store(node + MapleNode.end, end)
  store(node + MapleNode.max, load(node + MapleNode.pivot + end))
  if (load(s + MasStore.leaf) !== 0) {
    store(node + MapleNode.chainGap, masLeafGap(node))
  } else {
    store(node + MapleNode.chainGap, masInnerGap(node))
    // Readers of the children may be looking whether they are dead.
    for (let i = 0; i <= end; i++) writeOnce(mteToNode(load(node + MapleNode.slot + i)) + MapleNode.parent, node | i)
  }
  store(s + MasStore.items, load(s + MasStore.items) - offset)
}

/** Whether the node being filled has had its share. A leaf that would end with a free range takes one slot more. */
function isFull(s: number): boolean {
  const offset = load(s + MasStore.offset)
  if (offset < load(s + MasStore.room)) return false
  return load(s + MasStore.leaf) === 0 || load(load(s + MasStore.node) + MapleNode.slot + offset - 1) !== 0
}

/** Goes on to the next node. */
function nextNode(s: number): void {
  closeNode(s)
  openNode(s, load(load(s + MasStore.node) + MapleNode.max) + 1)
}

/** Adds one slot: what lies above the last pivot up to `pivot`. */
export function masAppend(pivot: number, slot: number, gap: number): void {
  const s = masStoreState()
  if (isFull(s)) nextNode(s)
  const offset = load(s + MasStore.offset)
  const node = load(s + MasStore.node) + offset
  store(node + MapleNode.pivot, pivot)
  store(node + MapleNode.slot, slot)
  if (load(s + MasStore.leaf) === 0) store(node + MapleNode.gap, gap)
  store(s + MasStore.offset, offset + 1)
}

/** Adds slots `from` to `to` of `source`, a node of the tree. */
export function masAppendSlots(source: number, from: number, to: number): void {
  const s = masStoreState()
  const inner = load(s + MasStore.leaf) === 0
  while (from <= to) {
    if (isFull(s)) nextNode(s)
    const offset = load(s + MasStore.offset)
    const left = load(s + MasStore.room) - offset
    const count = left < 1 ? 1 : Math.min(left, to - from + 1)
    const end = source + from + count
    let target = load(s + MasStore.node) + offset
    for (let p = source + from; p < end; p++) {
      store(target + MapleNode.pivot, load(p + MapleNode.pivot))
      store(target + MapleNode.slot, load(p + MapleNode.slot))
      if (inner) store(target + MapleNode.gap, load(p + MapleNode.gap))
      target++
    }
    from += count
    store(s + MasStore.offset, offset + count)
  }
}

/** Ends the level. Returns the first of its nodes; `chain` leads to the others. */
export function masBuilt(): number {
  const s = masStoreState()
  closeNode(s)
  return load(s + MasStore.first)
}
