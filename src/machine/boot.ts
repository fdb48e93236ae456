// Boot: lays a machine out in a buffer (once), and binds a thread to it (every CPU). The layout, in words: globals, a
// per-CPU area for each CPU, tables of the size of the machine, the struct pages, the frames.

import { bindArch, ENTRY_WORDS, Fragments, GeometryId, geometryOf } from '../kernel/arch/arch.ts'
import { architectures } from '../kernel/arch/architectures.ts'
import { bindDesign, type Design } from '../kernel/design/design.ts'
import { bindAxes } from '../kernel/machine/axes.ts'
import { Global } from '../kernel/machine/globals.ts'
import { bindHeap, type WasmMemory, WORD_BYTES } from '../kernel/machine/heap.ts'
import { bindCpu, load, store } from '../kernel/machine/instructions.ts'
import { CPU_STRIDE } from '../kernel/machine/percpu.ts'
import { File } from '../kernel/memory/file.ts'
import { Inode } from '../kernel/memory/inode.ts'
import { Mempolicy } from '../kernel/memory/mempolicy.ts'
import { mmWords, PgtableList } from '../kernel/memory/mm.ts'
import { Page, PageFlag, pfnToPage } from '../kernel/memory/page.ts'
import { addToZone } from '../kernel/memory/page-alloc.ts'
import { pageCacheWords } from '../kernel/memory/page-cache.ts'
import { Cache, kmemCacheCreate } from '../kernel/memory/slab.ts'
import { fragmentMapsWords } from '../kernel/pagetable/fragment-maps.ts'
import { freeings } from '../kernel/pagetable/freeing.ts'
import { GatherBatch } from '../kernel/pagetable/mmu-gather.ts'
import { Level, tableWords } from '../kernel/pagetable/table-alloc.ts'
import { tableGroup } from '../kernel/pagetable/table-group.ts'
import { interrupt } from '../kernel/pagetable/tlb.ts'
import { SRCU_CPU_WORDS, Srcu } from '../kernel/sync/srcu.ts'
import { AnonVma, AnonVmaChain } from '../kernel/vma/anon-vma.ts'
import { MAPLE_NODE_ALIGN, MapleNode } from '../kernel/vma/maple-tree.ts'
import { Vma } from '../kernel/vma/vma.ts'
import type { OwnDesign } from './own-design.ts'

const MAGIC = 0x67726163

/** What a machine is made of. */
export interface MachineShape {
  readonly cpus: number
  /** Index into `architectures`. */
  readonly arch: number
  /** Which of its geometries: a value of `GeometryId`. */
  readonly geometry: number
  /** How page tables are freed: a value of `Freeing`. */
  readonly freeing: number
  /** Index into the designs, or -1 for one of the user's own. */
  readonly design: number
  /** The user's own design, where `design` is -1. */
  readonly own?: OwnDesign | undefined
  /** What else is chosen: values of `VmaIndex`, `RcuFlavour` and `TableAllocation`. */
  readonly index: number
  readonly rcu: number
  readonly tables: number
  /** Frames of memory. */
  readonly frames: number
  /** Window tops: real page numbers divided by 2^27, ascending, at most 15. */
  readonly windows: readonly number[]
  /** Page below which mmap places what has no address. */
  readonly mmapBase: number
  /** First page behind user space, in the machine's own page numbers. */
  readonly taskSize: number
  readonly mmapMinPage: number
  readonly maxMapCount: number
  /** Microseconds that a read from disk takes. */
  readonly diskLatency: number
  readonly poison: boolean
  readonly lockStatistics: boolean
}

/** Buckets of the page cache's table: a power of two, about as many as there are frames, so that chains stay short. */
function cacheBuckets(frames: number, geometry: number): number {
  return geometry === GeometryId.small ? 16 : 1 << Math.max(6, 31 - Math.clz32(frames))
}

function align(words: number, to: number): number {
  return Math.ceil(words / to) * to
}

function layout(shape: MachineShape): {
  areas: number
  snapshots: number
  srcu: number
  buckets: number
  orders: number
  pages: number
  frames: number
  total: number
} {
  const pageWords = 1 << (geometryOf(architectures[shape.arch]!, shape.geometry).pageShift - 2)
  const areas = align(Global.size + 64, 64)
  const snapshots = areas + shape.cpus * CPU_STRIDE
  const srcu = snapshots + align(shape.cpus, 16)
  const buckets = srcu + align(shape.cpus * SRCU_CPU_WORDS, 16)
  const orders = buckets + pageCacheWords(cacheBuckets(shape.frames, shape.geometry))
  const pages = align(orders + shape.frames, 64)
  const frames = align(pages + shape.frames * Page.size, Math.max(shape.geometry === GeometryId.small ? 64 : 1024, pageWords))
  return { areas, snapshots, srcu, buckets, orders, pages, frames, total: frames + shape.frames * pageWords }
}

/** Bytes of the buffer that a machine of `shape` needs. */
export function machineBytes(shape: MachineShape): number {
  return layout(shape).total * WORD_BYTES
}

/**
 * Lays out a machine in `buffer`, which is zero and `machineBytes(shape)` long; `memory`'s, if that is given. The thread is
 * CPU 0 meanwhile.
 */
export function boot(buffer: SharedArrayBuffer, shape: MachineShape, design: Design, memory: WasmMemory | undefined = undefined): void {
  const at = layout(shape)
  bindHeap(buffer, memory)
  store(Global.nrCpus, shape.cpus)
  store(Global.archId, shape.arch)
  store(Global.geometryId, shape.geometry)
  store(Global.freeingId, shape.freeing)
  const fragmentMaps =
    freeings[shape.freeing]!.fragmentMaps === true &&
    architectures[shape.arch]!.pteFragments > 1 &&
    architectures[shape.arch]!.fragments !== Fragments.halves
  store(Global.fragmentMaps, fragmentMaps ? 1 : 0)
  const halves = architectures[shape.arch]!.fragments === Fragments.halves
  store(Global.headBits, halves ? (freeings[shape.freeing]!.headBits ?? 0) : 0)
  store(Global.designId, shape.design)
  store(Global.indexId, shape.index)
  store(Global.rcuId, shape.rcu)
  store(Global.tablesId, shape.tables)
  store(Global.perCpuAreas, at.areas)
  attach(buffer, 0, design, false, memory)
  store(Global.lockStatistics, shape.lockStatistics ? 1 : 0)
  store(Global.diskLatency, shape.diskLatency)
  store(Global.poison, shape.poison ? 1 : 0)
  store(Global.rcuSnapshots, at.snapshots)
  store(Global.srcuDomain + Srcu.counters, at.srcu)
  store(Global.pageCacheBuckets, at.buckets)
  store(Global.pageCacheMask, cacheBuckets(shape.frames, shape.geometry) - 1)
  store(Global.buddyOrders, at.orders)
  store(Global.pages, at.pages)
  store(Global.frames, at.frames)
  store(Global.nrFrames, shape.frames)
  store(Global.windowCount, shape.windows.length)
  for (let i = 0; i < shape.windows.length; i++) store(Global.windows + i, shape.windows[i]!)
  store(Global.mmapBase, shape.mmapBase)
  store(Global.mmapMinPage, shape.mmapMinPage)
  store(Global.taskSize, shape.taskSize)
  store(Global.maxMapCount, shape.maxMapCount)
  bootMemory(shape.frames)
  bootSlabs(shape.cpus)
  store(Global.magic, MAGIC)
}

/** Gives every frame but the zero page to the allocator, in the largest blocks that fit. */
function bootMemory(frames: number): void {
  const zero = pfnToPage(0)
  store(Global.zeroPfn, 0)
  store(zero + Page.flags, PageFlag.reserved)
  store(zero + Page.refcount, 1)
  let pfn = 1
  while (pfn < frames) {
    let order = 10
    while (pfn % (1 << order) !== 0 || pfn + (1 << order) > frames) order--
    addToZone(pfnToPage(pfn), order)
    pfn += 1 << order
  }
  store(Global.managedPages, frames - 1)
}

function bootSlabs(cpus: number): void {
  kmemCacheCreate(Cache.mm, mmWords(cpus), 16, 0)
  kmemCacheCreate(Cache.vma, Vma.size, 16, 1)
  kmemCacheCreate(Cache.mapleNode, MapleNode.size, MAPLE_NODE_ALIGN, 0)
  kmemCacheCreate(Cache.anonVma, AnonVma.size, 8, 0)
  kmemCacheCreate(Cache.anonVmaChain, AnonVmaChain.size, 8, 0)
  kmemCacheCreate(Cache.file, File.size, 8, 1)
  kmemCacheCreate(Cache.inode, Inode.size, 8, 0)
  kmemCacheCreate(Cache.gatherBatch, GatherBatch.size, 8, 0)
  kmemCacheCreate(Cache.mempolicy, Mempolicy.size, 8, 0)
  kmemCacheCreate(Cache.fragmentMaps, fragmentMapsWords(), 8, 0)
  kmemCacheCreate(Cache.pgtableList, PgtableList.size, 8, 1)
  // A group of entries is found by the address of one of them.
  kmemCacheCreate(Cache.tablePmd, tableWords(Level.pmd), Math.max(16, tableGroup() * ENTRY_WORDS), 0)
  kmemCacheCreate(Cache.tablePud, tableWords(Level.pud), 16, 0)
  kmemCacheCreate(Cache.tablePgd, tableWords(Level.pgd), 16, 0)
}

/** Makes this thread CPU `cpu` of the machine in `buffer`. `crowded`: there are more CPUs than cores. */
export function attach(
  buffer: SharedArrayBuffer,
  cpu: number,
  design: Design,
  crowded: boolean,
  memory: WasmMemory | undefined = undefined,
): void {
  bindHeap(buffer, memory)
  bindArch(architectures[load(Global.archId)]!, load(Global.geometryId))
  bindDesign(design)
  bindAxes(load(Global.indexId), load(Global.rcuId), load(Global.tablesId))
  bindCpu(cpu, load(Global.perCpuAreas), interrupt, crowded)
}

/** Whether `buffer` holds a machine. */
export function isMachine(buffer: SharedArrayBuffer): boolean {
  return new Int32Array(buffer)[Global.magic] === MAGIC
}
