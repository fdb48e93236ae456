// A machine of the parts that the maple tree needs, built by hand: heap, per-CPU areas, page allocator, one slab cache.
import { Global, MAX_ORDER, SlabCache } from '../../src/kernel/machine/globals.ts'
import { bindHeap } from '../../src/kernel/machine/heap.ts'
import { bindCpu, load, store, thisCpu } from '../../src/kernel/machine/instructions.ts'
import { CPU_STRIDE, Cpu } from '../../src/kernel/machine/percpu.ts'
import { Page, pfnToPage } from '../../src/kernel/memory/page.ts'
import { addToZone } from '../../src/kernel/memory/page-alloc.ts'
import { Cache, kmemCacheCreate } from '../../src/kernel/memory/slab.ts'
import { RcuHead, rcuAdvance } from '../../src/kernel/sync/rcu.ts'
import { RcuFunc } from '../../src/kernel/sync/rcu-func.ts'
import { mapleNodeFreeRcu } from '../../src/kernel/vma/maple-store.ts'
import { MAPLE_NODE_ALIGN, MapleNode } from '../../src/kernel/vma/maple-tree.ts'

const PAGE_WORDS = 1024
const AREAS = 4096
/** Where the tree under test has its root word, and words free for a test's own use behind it. */
export const TREE = 3072

/** Boots a machine with `frames` page frames and `cpus` CPUs, and binds this thread to it as CPU 0. Returns its memory. */
export function bootMachine(frames: number, cpus = 1): SharedArrayBuffer {
  const snapshots = AREAS + cpus * CPU_STRIDE
  const orders = snapshots + cpus
  const pages = (orders + frames + 15) & ~15
  const first = (pages + frames * Page.size + PAGE_WORDS - 1) & -PAGE_WORDS
  const buffer = new SharedArrayBuffer((first + frames * PAGE_WORDS) * 4)
  bindHeap(buffer)
  bindCpu(0, AREAS, () => {}, true)
  store(Global.nrCpus, cpus)
  store(Global.perCpuAreas, AREAS)
  store(Global.rcuSnapshots, snapshots)
  store(Global.buddyOrders, orders)
  store(Global.pages, pages)
  store(Global.frames, first)
  store(Global.nrFrames, frames)
  for (let i = 0; i < frames; i++) addToZone(pfnToPage(i), 0)
  kmemCacheCreate(Cache.mapleNode, MapleNode.size, MAPLE_NODE_ALIGN, 0)
  return buffer
}

/** Binds this thread to a machine that another thread booted, as CPU `cpu`. */
export function joinMachine(buffer: SharedArrayBuffer, cpu: number): void {
  bindHeap(buffer)
  bindCpu(cpu, AREAS, () => {}, true)
}

/** Calls the callbacks whose grace period is over. The CPU is in no reader. */
export function runCallbacks(): void {
  let head = rcuAdvance()
  while (head !== 0) {
    const next = load(head + RcuHead.next)
    if (load(head + RcuHead.func) !== RcuFunc.mapleNode) throw new Error('a callback that is not a maple node')
    store(thisCpu() + Cpu.rcuCallbacks, load(thisCpu() + Cpu.rcuCallbacks) - 1)
    mapleNodeFreeRcu(head)
    head = next
  }
}

/** Runs callbacks until none is queued on this CPU. */
export function drainCallbacks(): void {
  while (load(thisCpu() + Cpu.rcuCallbacks) !== 0) runCallbacks()
}

/**
 * Takes all free memory away but `nodes` nodes on this CPU's list, so that the allocation behind them fails. Returns what
 * gives it back.
 */
export function exhaust(nodes: number): () => void {
  const cpu = thisCpu()
  const head = cpu + Cpu.slabHead + Cache.mapleNode
  const count = cpu + Cpu.slabCount + Cache.mapleNode
  const link = (object: number): number => object - 2
  let place = head
  for (let i = 0; i < nodes; i++) {
    if (load(place) === 0) throw new Error(`only ${i} nodes on the list`)
    place = link(load(place))
  }
  const hidden = load(place)
  const hiddenCount = load(count) - nodes
  store(place, 0)
  store(count, nodes)
  const elsewhere = [Global.slabs + Cache.mapleNode * SlabCache.size + SlabCache.free, cpu + Cpu.pcpHead]
  for (let order = 0; order < MAX_ORDER; order++) elsewhere.push(Global.freeHeads + order)
  const saved = elsewhere.map(load)
  for (const p of elsewhere) store(p, 0)
  return () => {
    let end = head
    while (load(end) !== 0) end = link(load(end))
    store(end, hidden)
    store(count, load(count) + hiddenCount)
    elsewhere.forEach((p, i) => void store(p, saved[i]!))
  }
}
