// Slab caches for small structures: a free list per CPU, refilled from and drained to a shared list. An object is
// preceded by one word, its generation, which each free bumps; freed objects are poisoned, except in type-safe-by-RCU
// caches, whose objects stay what they are while any RCU section that saw them lasts. Slab frames are never given back.
import { PAGE_WORDS } from '../arch/arch.ts'
import { allocated, freed, Kind } from '../machine/annotations.ts'
import { Global, SlabCache } from '../machine/globals.ts'
import { load, perCpu, store, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { PageFlag, pageToVirt } from './page.ts'
import { allocPage, allocPages, POISON } from './page-alloc.ts'

/** The caches of a machine: what `kmemCacheAlloc` takes. */
export const Cache = Object.freeze({
  mm: 0,
  vma: 1,
  mapleNode: 2,
  anonVma: 3,
  anonVmaChain: 4,
  file: 5,
  tablePmd: 6,
  tablePud: 7,
  tablePgd: 8,
  gatherBatch: 9,
  inode: 10,
  fragmentMaps: 11,
  mempolicy: 12,
  pgtableList: 13,
})

/**
 * Offset of the rcu_head that every object has in front of it (next to its free-list link and generation), for objects
 * that late readers may still look at.
 */
export const SLAB_RCU_HEAD = -4

const CPU_BATCH = 16
const CPU_HIGH = 48

function cacheAddress(cache: number): number {
  return Global.slabs + cache * SlabCache.size
}

/**
 * kmem_cache_create: objects of `words` words, aligned to `align` words (a power of two). `typesafe` 1: freed objects
 * keep their contents (SLAB_TYPESAFE_BY_RCU).
 */
export function kmemCacheCreate(cache: number, words: number, align: number, typesafe: number): void {
  const c = cacheAddress(cache)
  // The generation word sits in front, so objects begin `align` words into their slot.
  store(c + SlabCache.headerWords, align)
  store(c + SlabCache.objectWords, (align + words + align - 1) & ~(align - 1))
  store(c + SlabCache.kind, typesafe !== 0 ? Kind.typesafeSlab : Kind.slab)
}

/** kmem_cache_alloc: returns an object with undefined contents (type-safe: as it was freed), or 0 without memory. */
export function kmemCacheAlloc(cache: number): number {
  const cpu = thisCpu() + cache
  let object = load(cpu + Cpu.slabHead)
  if (object === 0) {
    refill(cache, cpu)
    object = load(cpu + Cpu.slabHead)
    if (object === 0) return 0
  }

  store(cpu + Cpu.slabHead, load(freeLink(object)))
  store(cpu + Cpu.slabCount, load(cpu + Cpu.slabCount) - 1)
  store(cpu + Cpu.slabInUse, load(cpu + Cpu.slabInUse) + 1)
  const c = cacheAddress(cache)
  allocated(object, load(c + SlabCache.objectWords) - load(c + SlabCache.headerWords), load(c + SlabCache.kind))
  return object
}

/** kmem_cache_free. Type-safe objects may still be read by RCU sections that found them earlier. */
export function kmemCacheFree(cache: number, object: number): void {
  const c = cacheAddress(cache)
  const words = load(c + SlabCache.objectWords) - load(c + SlabCache.headerWords)
  if (load(c + SlabCache.kind) === Kind.slab) for (let p = object; p < object + words; p++) store(p, POISON)
  freed(object, words, load(c + SlabCache.kind))
  store(object - 1, (load(object - 1) + 1) | 0)
  const cpu = thisCpu() + cache
  store(freeLink(object), load(cpu + Cpu.slabHead))
  store(cpu + Cpu.slabHead, object)
  store(cpu + Cpu.slabInUse, load(cpu + Cpu.slabInUse) - 1)
  const count = load(cpu + Cpu.slabCount) + 1
  store(cpu + Cpu.slabCount, count)
  if (count > CPU_HIGH) drain(cache, cpu)
}

/** Where a free object's link lies: in front of it, so that a type-safe object's own words are never touched. */
function freeLink(object: number): number {
  return object - 2
}

function refill(cache: number, cpu: number): void {
  const c = cacheAddress(cache)
  spinLock(c + SlabCache.lock)
  if (load(c + SlabCache.free) === 0) grow(cache)
  for (let i = 0; i < CPU_BATCH; i++) {
    const object = load(c + SlabCache.free)
    if (object === 0) break
    store(c + SlabCache.free, load(freeLink(object)))
    store(freeLink(object), load(cpu + Cpu.slabHead))
    store(cpu + Cpu.slabHead, object)
    store(cpu + Cpu.slabCount, load(cpu + Cpu.slabCount) + 1)
  }
  spinUnlock(c + SlabCache.lock)
}

function drain(cache: number, cpu: number): void {
  const c = cacheAddress(cache)
  spinLock(c + SlabCache.lock)
  for (let i = 0; i < CPU_BATCH; i++) {
    const object = load(cpu + Cpu.slabHead)
    store(cpu + Cpu.slabHead, load(freeLink(object)))
    store(freeLink(object), load(c + SlabCache.free))
    store(c + SlabCache.free, object)
  }
  store(cpu + Cpu.slabCount, load(cpu + Cpu.slabCount) - CPU_BATCH)
  spinUnlock(c + SlabCache.lock)
}

/** Cuts a fresh frame (or more, for large objects) into objects. The caller holds the cache's lock. */
function grow(cache: number): void {
  const c = cacheAddress(cache)
  const step = load(c + SlabCache.objectWords)
  const header = load(c + SlabCache.headerWords)
  let order = 0
  while (PAGE_WORDS << order < step) order++
  const page = order === 0 ? allocPage(PageFlag.slab) : allocPages(order, PageFlag.slab)
  if (page === 0) return
  store(c + SlabCache.pages, load(c + SlabCache.pages) + (1 << order))
  const start = pageToVirt(page)
  const end = start + (PAGE_WORDS << order)
  for (let slot = start; slot + step <= end; slot += step) {
    const object = slot + header
    // A fresh type-safe object must look like one that was never in use: all zero.
    for (let p = slot; p < slot + step; p++) store(p, 0)
    store(freeLink(object), load(c + SlabCache.free))
    store(c + SlabCache.free, object)
    store(c + SlabCache.objects, load(c + SlabCache.objects) + 1)
  }
}

/** Objects of `cache` in use by all CPUs; exact only while no CPU allocates. */
export function slabObjectsInUse(cache: number): number {
  let inUse = 0
  const cpus = load(Global.nrCpus)
  for (let i = 0; i < cpus; i++) inUse += load(perCpu(i) + Cpu.slabInUse + cache)
  return inUse
}
