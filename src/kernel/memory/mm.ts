// struct mm_struct: one address space. The VMAs hang off `tree`, the page tables off `pgd`.

import { Global } from '../machine/globals.ts'
import { atomicAdd, cmpxchg, load, readOnce, smpProcessorId, store } from '../machine/instructions.ts'
import { ListHead } from '../machine/list.ts'
import { struct } from '../machine/struct.ts'
import { Rwsem } from '../sync/rwsem.ts'
import { Cache, kmemCacheFree } from './slab.ts'

/** Words of a CPU mask: one bit per CPU, up to 1024. */
export const CPUMASK_WORDS = 32

/** struct pgtable_list (s390): pages of two tables of which one is allocated, under `lock`, which also guards whether it is. */
export const PgtableList = struct({ lock: 1, list: ListHead.size })

/**
 * `mapCount`, `totalVm` (pages), `brk` (pages), `tree`: written under mmap_lock for writing. `tableWords`: atomic.
 * `rss`: a line per CPU follows the structure, written by its CPU alone.
 */
export const Mm = struct({
  pgd: 1,
  pageTableLock: 1,
  mmapLock: Rwsem.size,
  mmLockSeq: 1, // the design's count of writers: odd while mmap_lock is held for writing
  writerWait: 1, // futex word of the one writer that waits for a VMA's readers
  users: 1, // mm_users: whoever runs it or reads it
  count: 1, // mm_count: keeps the structure itself

  id: 1,
  tree: 4, // struct MapleTree
  mapCount: 1,
  totalVm: 1,
  startBrk: 1,
  brk: 1, // the page behind the heap
  brkUnused: 1, // bytes of its last page behind the break
  mmapBase: 1,
  pteFragment: 1, // next unused fragment of the current table page; pageTableLock
  pgtableList: PgtableList.size, // see `pagetable/pgtable-list.ts`
  pgtableListAt: 1, // where it lies instead, if the freeing policy wants its memory to be type-safe; else 0
  tableWords: 1, // words of page tables in use
  tablePeak: 1,
  tlbFlushPending: 1, // gathers under way
  lockHeldSince: 1, // statistics
  cpuMask: CPUMASK_WORDS,
  rss: 0,
})

/** Kinds of resident pages, as indices into a CPU's `rss` words. */
export const Rss = Object.freeze({ anon: 0, file: 1, shmem: 2, swap: 3 })
// A cache line for each CPU's counters (an mm is aligned to one).
const RSS_START = (Mm.rss + 15) & ~15
const RSS_STRIDE = 16

/** Words of an mm on a machine of `cpus` CPUs. */
export function mmWords(cpus: number): number {
  return RSS_START + cpus * RSS_STRIDE
}

/** add_mm_counter: counts `delta` pages of kind `member` (see `Rss`), in a word that this CPU alone writes. */
export function addMmCounter(mm: number, member: number, delta: number): void {
  const p = mm + RSS_START + smpProcessorId() * RSS_STRIDE + member
  store(p, load(p) + delta)
}

/** get_mm_counter: pages of kind `member`; exact only while no CPU faults or unmaps. */
export function getMmCounter(mm: number, member: number): number {
  let pages = 0
  const cpus = load(Global.nrCpus)
  for (let i = 0; i < cpus; i++) pages += readOnce(mm + RSS_START + i * RSS_STRIDE + member)
  return pages
}

/** Counts `words` more (or fewer) words of page tables (mm_inc_nr_ptes and the like). */
export function addTableWords(mm: number, words: number): void {
  const now = atomicAdd(mm + Mm.tableWords, words)
  if (words < 0) return
  // Faults of several CPUs may get here at once.
  let peak = readOnce(mm + Mm.tablePeak)
  while (now > peak) {
    const seen = cmpxchg(mm + Mm.tablePeak, peak, now)
    if (seen === peak) return
    peak = seen
  }
}

/** mmgrab: keeps the structure (not the address space) of an mm that is alive now. */
export function mmGrab(mm: number): void {
  atomicAdd(mm + Mm.count, 1)
}

/** mmdrop: lets it go; the last one frees the structure. */
export function mmDrop(mm: number): void {
  if (atomicAdd(mm + Mm.count, -1) !== 0) return
  const list = load(mm + Mm.pgtableListAt)
  if (list !== 0) kmemCacheFree(Cache.pgtableList, list)
  kmemCacheFree(Cache.mm, mm)
}
