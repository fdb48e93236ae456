// mmu_gather: unhook, flush, free, always in that order. Pages and tables that were unhooked are collected while the
// range grows; `tlbFinishMmu` flushes once, drops the pages and frees the tables as the machine's policy says: by default a
// batch of them goes through RCU with one rcu_head (see `freeing.ts`). Where no batch can be had, a table is deferred by its
// own page (see `pte-free-defer.ts`), never freed at once: walkers may hold nothing but RCU.
import { atomicAdd, load, readOnce, store, thisCpu } from '../machine/instructions.ts'
import { Cpu, MMU_GATHER_INLINE } from '../machine/percpu.ts'
import { struct } from '../machine/struct.ts'
import { addTableWords, Mm } from '../memory/mm.ts'
import { putPage } from '../memory/rmap.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree } from '../memory/slab.ts'
import { callRcu, RcuHead } from '../sync/rcu.ts'
import { RcuFunc } from '../sync/rcu-func.ts'
import { batchesGoThroughRcu, beforeTablesAreFreed, Freeing, freeingPolicy, freeUnhookedTable, tableJoinsBatch } from './freeing.ts'
import { tableFreeMemory, tableWords } from './table-alloc.ts'
import { flushTlbMmRange, flushTlbMmRangeBroadcast } from './tlb-flush.ts'

/** Entries of one batch. */
export const GATHER_BATCH_ENTRIES = 56
/** Batches of pages after which a gather flushes in between. */
const MAX_BATCHES = 20
const LEVEL_MASK = 7
const EVERYTHING = 0x7fffffff

/** A batch of pages (struct page) or of tables (first word | level). */
export const GatherBatch = struct({ rcuHead: RcuHead.size, next: 1, count: 1, entries: GATHER_BATCH_ENTRIES })

/** tlb_gather_mmu: begins a gather on `mm`. One at a time per CPU. */
export function tlbGatherMmu(mm: number): void {
  const cpu = thisCpu()
  store(cpu + Cpu.gatherMm, mm)
  store(cpu + Cpu.gatherStart, 0x7fffffff)
  store(cpu + Cpu.gatherEnd, 0)
  store(cpu + Cpu.gatherCount, 0)
  store(cpu + Cpu.gatherBatch, 0)
  store(cpu + Cpu.gatherBatches, 0)
  store(cpu + Cpu.gatherTables, 0)
  atomicAdd(mm + Mm.tlbFlushPending, 1)
}

/** tlb_flush_pte_range: the entries of pages `start` to `end` (exclusive) were cleared and need a flush. */
export function tlbAddRange(start: number, end: number): void {
  const cpu = thisCpu()
  if (start < load(cpu + Cpu.gatherStart)) store(cpu + Cpu.gatherStart, start)
  if (end > load(cpu + Cpu.gatherEnd)) store(cpu + Cpu.gatherEnd, end)
}

/** tlb_remove_page: the reference that a cleared entry had is dropped after the flush. */
export function tlbRemovePage(page: number): void {
  const cpu = thisCpu()
  const count = load(cpu + Cpu.gatherCount)
  if (count < MMU_GATHER_INLINE) {
    store(cpu + Cpu.gatherPages + count, page)
    store(cpu + Cpu.gatherCount, count + 1)
    return
  }
  let batch = load(cpu + Cpu.gatherBatch)
  if (batch === 0 || load(batch + GatherBatch.count) === GATHER_BATCH_ENTRIES) batch = nextPageBatch(cpu)
  if (batch === 0) {
    tlbFlushMmu()
    putPage(page) // the flush covered its entry: ranges are added before pages
    return
  }
  const n = load(batch + GatherBatch.count)
  store(batch + GatherBatch.entries + n, page)
  store(batch + GatherBatch.count, n + 1)
}

function nextPageBatch(cpu: number): number {
  if (load(cpu + Cpu.gatherBatches) === MAX_BATCHES) return 0
  const batch = kmemCacheAlloc(Cache.gatherBatch)
  if (batch === 0) return 0
  store(batch + GatherBatch.count, 0)
  store(batch + GatherBatch.next, load(cpu + Cpu.gatherBatch))
  store(cpu + Cpu.gatherBatch, batch)
  store(cpu + Cpu.gatherBatches, load(cpu + Cpu.gatherBatches) + 1)
  return batch
}

/** tlb_remove_table: the unhooked table is freed after the flush, as the policy says. Its mm counts it no longer. */
export function tlbRemoveTable(table: number, level: number): void {
  const cpu = thisCpu()
  addTableWords(load(cpu + Cpu.gatherMm), -tableWords(level))
  // The hardware may be walking the table: whatever its range, a flush must wait for accesses under way.
  if (load(cpu + Cpu.gatherEnd) === 0) tlbAddRange(0, 1)
  let batch = load(cpu + Cpu.gatherTables)
  if (batch === 0) {
    batch = kmemCacheAlloc(Cache.gatherBatch)
    if (batch === 0) {
      tlbFlushMmu()
      beforeTablesAreFreed()
      freeUnhookedTable(table, level)
      return
    }
    store(batch + GatherBatch.count, 0)
    store(cpu + Cpu.gatherTables, batch)
  }
  tableJoinsBatch(table, level)
  const n = load(batch + GatherBatch.count)
  store(batch + GatherBatch.entries + n, table | level)
  store(batch + GatherBatch.count, n + 1)
  if (n + 1 === GATHER_BATCH_ENTRIES) tlbFlushMmu()
}

/** tlb_flush_mmu: flushes what was collected and frees it; the gather goes on. */
export function tlbFlushMmu(): void {
  const cpu = thisCpu()
  if (load(cpu + Cpu.gatherEnd) !== 0) flushGathered(cpu)
  store(cpu + Cpu.gatherStart, 0x7fffffff)
  store(cpu + Cpu.gatherEnd, 0)
  const count = load(cpu + Cpu.gatherCount)
  store(cpu + Cpu.gatherCount, 0)
  for (let i = 0; i < count; i++) putPage(load(cpu + Cpu.gatherPages + i))
  let batch = load(cpu + Cpu.gatherBatch)
  store(cpu + Cpu.gatherBatch, 0)
  store(cpu + Cpu.gatherBatches, 0)
  while (batch !== 0) {
    const next = load(batch + GatherBatch.next)
    const n = load(batch + GatherBatch.count)
    for (let i = 0; i < n; i++) putPage(load(batch + GatherBatch.entries + i))
    kmemCacheFree(Cache.gatherBatch, batch)
    batch = next
  }
  const tables = load(cpu + Cpu.gatherTables)
  store(cpu + Cpu.gatherTables, 0)
  if (tables === 0) return
  beforeTablesAreFreed()
  if (batchesGoThroughRcu()) callRcu(tables + GatherBatch.rcuHead, RcuFunc.tableBatch)
  else freeTables(tables)
}

function flushGathered(cpu: number): void {
  const mm = load(cpu + Cpu.gatherMm)
  const start = load(cpu + Cpu.gatherStart)
  const end = load(cpu + Cpu.gatherEnd)
  if (freeingPolicy() === Freeing.immediate) flushTlbMmRangeBroadcast(mm, start, end)
  else flushTlbMmRange(mm, start, end)
}

/** Frees a batch of flushed tables one by one. */
function freeTables(batch: number): void {
  const n = load(batch + GatherBatch.count)
  for (let i = 0; i < n; i++) {
    const entry = load(batch + GatherBatch.entries + i)
    freeUnhookedTable(entry & ~LEVEL_MASK, entry & LEVEL_MASK)
  }
  kmemCacheFree(Cache.gatherBatch, batch)
}

/**
 * tlb_finish_mmu. Afterwards nobody reaches the old pages through any TLB: neither those whose entries this gather cleared
 * nor those that another gather on the mm had cleared before, whose flush may still be due. So with another one under way
 * everything is flushed (mm_tlb_flush_nested).
 */
export function tlbFinishMmu(): void {
  const mm = load(thisCpu() + Cpu.gatherMm)
  if (readOnce(mm + Mm.tlbFlushPending) > 1) tlbAddRange(0, EVERYTHING)
  tlbFlushMmu()
  atomicAdd(mm + Mm.tlbFlushPending, -1)
}

/** RCU callback of a batch of tables. */
export function tableBatchFreeRcu(head: number): void {
  const batch = head - GatherBatch.rcuHead
  const n = load(batch + GatherBatch.count)
  for (let i = 0; i < n; i++) {
    const entry = load(batch + GatherBatch.entries + i)
    tableFreeMemory(entry & ~LEVEL_MASK, entry & LEVEL_MASK)
  }
  kmemCacheFree(Cache.gatherBatch, batch)
}
