// Freeing page tables: what happens to a table that is unhooked and flushed. A machine has one policy, by number; the
// mmu_gather collects tables, flushes, and asks here. Some policies are wrong for some walkers: they are here to be shown so.
import { FRAGMENTS, Fragments } from '../arch/arch.ts'
import { Global } from '../machine/globals.ts'
import { load } from '../machine/instructions.ts'
import { HeadBits } from './pgtable-list.ts'
import { pteFreeDefer } from './pte-free-defer.ts'
import { pteFreeDeferBitmap, pteFreeDeferBitmapFixed } from './pte-free-defer-bitmap.ts'
import { pteFreeDeferHeadBits, pteFreeDeferIncrements, pteFreeDeferOneHead } from './pte-free-defer-drafts.ts'
import { halfRemove } from './s390-fragments.ts'
import { Level, tableFreeMemory } from './table-alloc.ts'
import { pmdpGetLocklessSync, tlbRemoveTableSyncOne } from './tlb-flush.ts'

/**
 * The policies, and which lockless walkers they are safe for. Walkers that hold mmap_lock or a VMA's lock are safe under all of
 * them but the one with a single head.
 *
 * - `rcuBatch`: a batch of tables goes through RCU with one rcu_head; without memory for a batch, each table as in
 *   `pteFreeDefer`. Safe for walkers under RCU and with interrupts off.
 * - `immediate`: the invalidation is broadcast, whatever the architecture, so that nobody in the kernel is waited for; then
 *   the tables are freed at once. Safe for no lockless walker.
 * - `ipi`: the architecture's own flush, then the tables are freed at once. Safe for walkers with interrupts off whose CPU
 *   has the mm loaded, on architectures that flush by IPI: nobody else holds the flush up.
 * - `ipiAll`: the flush, an IPI to every CPU in the kernel (tlb_remove_table_sync_one), then the tables are freed at once. Safe
 *   for walkers with interrupts off, on every architecture; not for walkers that hold RCU alone.
 * - `pteFreeDefer`: each table through RCU by itself: fragments by marking their page Active, others by their page's (or
 *   object's) rcu_head. Safe as `rcuBatch`.
 * - `pteFreeDeferOneHead`: the first powerpc draft of 2023: `call_rcu` on the page's one rcu_head for every fragment. Wrong as
 *   soon as two fragments of a page are under way; where a table is a page, the same as `pteFreeDefer`.
 * - `pteFreeDeferIncrements`: its second draft: deferred fragments count 0x10000 in the page's refcount, so that the
 *   rcu_head is queued once. Safe as `rcuBatch`.
 * - `rcuBatchIpiFallback`: as `rcuBatch`, but without memory for a batch, as Linux had it until 2024 (tlb_remove_table_one): the
 *   flush, an IPI to every CPU in the kernel, and the table is freed at once. Safe for walkers with interrupts off; for those that
 *   hold RCU alone only while there is memory.
 * - `pteFreeDeferBitmap`: the sketch of June 2023 for powerpc, as it stands in the mail: bits for deferred fragments in a structure
 *   beside the page. Wrong: one deferral alone is never freed, three queue one rcu_head twice.
 * - `pteFreeDeferBitmapFixed`: the same put right. Safe as `rcuBatch`.
 * - `pteFreeDeferHeadBits`: the second s390 draft of June 2023, as posted (`s390-head-bits.ts`): a third bit of each half says who has the
 *   page's rcu_head, and one lock for all mms guards their lists. Safe as `rcuBatch`. This and the next three are for pages of two tables
 *   that are handed out again; elsewhere they are `pteFreeDefer` and `rcuBatch`.
 * - `pteFreeDeferHeadBitsMmLock`: as it was a week earlier, with the lock of the mm itself. Wrong: the callback takes it in an mm that may
 *   be freed.
 * - `pteFreeDeferHeadBitsTypesafe`: with the patch that was to follow, where list and lock lie in type-safe memory. Safe as `rcuBatch`.
 * - `rcuBatchHeadBits`: `rcuBatch` that defers as the last one does when there is no memory for a batch.
 */
export const Freeing = Object.freeze({
  rcuBatch: 0,
  immediate: 1,
  ipi: 2,
  ipiAll: 3,
  pteFreeDefer: 4,
  pteFreeDeferOneHead: 5,
  pteFreeDeferIncrements: 6,
  rcuBatchIpiFallback: 7,
  pteFreeDeferBitmap: 8,
  pteFreeDeferBitmapFixed: 9,
  pteFreeDeferHeadBits: 10,
  pteFreeDeferHeadBitsMmLock: 11,
  pteFreeDeferHeadBitsTypesafe: 12,
  rcuBatchHeadBits: 13,
})

/**
 * Their names on the command line, by number, whether pages of fragments have bitmaps beside them (see `fragment-maps.ts`), which form of
 * head bits the halves of a page have (a value of `HeadBits`; where tables are no halves such a policy is another's equal), and
 * whether they are drafts that lose tables, or worse. A machine records the number: append, never reorder.
 */
export const freeings: readonly {
  readonly name: string
  readonly fragmentMaps?: boolean
  readonly headBits?: number
  readonly draft?: boolean
}[] = Object.freeze([
  Object.freeze({ name: 'rcu-batch' }),
  Object.freeze({ name: 'immediate' }),
  Object.freeze({ name: 'ipi' }),
  Object.freeze({ name: 'ipi-all' }),
  Object.freeze({ name: 'pte-free-defer' }),
  Object.freeze({ name: 'pte-free-defer-one-head', draft: true }),
  Object.freeze({ name: 'pte-free-defer-increments' }),
  Object.freeze({ name: 'rcu-batch-ipi-fallback' }),
  Object.freeze({ name: 'pte-free-defer-bitmap', fragmentMaps: true, draft: true }),
  Object.freeze({ name: 'pte-free-defer-bitmap-fixed', fragmentMaps: true }),
  Object.freeze({ name: 'pte-free-defer-head-bits', headBits: HeadBits.oneLock }),
  Object.freeze({ name: 'pte-free-defer-head-bits-mm-lock', headBits: HeadBits.mmLock, draft: true }),
  Object.freeze({ name: 'pte-free-defer-head-bits-typesafe', headBits: HeadBits.typesafe }),
  Object.freeze({ name: 'rcu-batch-head-bits', headBits: HeadBits.typesafe }),
])

/** The machine's policy: a value of `Freeing`. */
export function freeingPolicy(): number {
  return load(Global.freeingId)
}

/** Whether an unhooked table stays a table until every RCU reader that may have found it is done. */
export function tablesOutliveRcuReaders(): boolean {
  const policy = freeingPolicy()
  return policy !== Freeing.immediate && policy !== Freeing.ipi && policy !== Freeing.ipiAll && policy !== Freeing.rcuBatchIpiFallback
}

/** Whether a full batch of tables goes through RCU by the rcu_head of the batch. */
export function batchesGoThroughRcu(): boolean {
  const policy = freeingPolicy()
  return policy === Freeing.rcuBatch || policy === Freeing.rcuBatchIpiFallback || policy === Freeing.rcuBatchHeadBits
}

/**
 * To be called once between the flush and the freeing of the tables that were unhooked before it, and before anything else can
 * be put in their place. Interrupts are on; it spins until whoever walks with interrupts off is done, where the policy, or how
 * the architecture reads entries, waits for that.
 */
export function beforeTablesAreFreed(): void {
  const policy = freeingPolicy()
  if (policy === Freeing.ipiAll) tlbRemoveTableSyncOne()
  else if (policy !== Freeing.immediate) pmdpGetLocklessSync()
}

/**
 * To be called when an unhooked table joins a batch: a half of a page is pending from then on, so that the other half alone decides
 * what becomes of the page. A half that is deferred by itself still counts as allocated.
 */
export function tableJoinsBatch(table: number, level: number): void {
  if (level === Level.pte && FRAGMENTS === Fragments.halves && !tablesAreDeferredEach()) halfRemove(table, 1)
}

function tablesAreDeferredEach(): boolean {
  const policy = freeingPolicy()
  if (policy === Freeing.pteFreeDefer || policy === Freeing.pteFreeDeferOneHead || policy === Freeing.pteFreeDeferIncrements) return true
  if (policy === Freeing.pteFreeDeferBitmap || policy === Freeing.pteFreeDeferBitmapFixed) return true
  return policy >= Freeing.pteFreeDeferHeadBits && policy <= Freeing.pteFreeDeferHeadBitsTypesafe
}

/** Disposes of one table of `level`, unhooked, flushed and no longer counted by its mm; a batch takes no part in it. */
export function freeUnhookedTable(table: number, level: number): void {
  const policy = freeingPolicy()
  if (policy === Freeing.pteFreeDeferOneHead) pteFreeDeferOneHead(table, level)
  else if (policy === Freeing.pteFreeDeferIncrements) pteFreeDeferIncrements(table, level)
  else if (policy === Freeing.pteFreeDeferBitmap) pteFreeDeferBitmap(table, level)
  else if (policy === Freeing.pteFreeDeferBitmapFixed) pteFreeDeferBitmapFixed(table, level)
  else if (policy === Freeing.rcuBatch || policy === Freeing.pteFreeDefer) pteFreeDefer(table, level)
  else if (policy >= Freeing.pteFreeDeferHeadBits) pteFreeDeferHeadBits(table, level)
  else {
    // No batch was to be had: whoever has interrupts off is waited for, whoever holds RCU is not.
    if (policy === Freeing.rcuBatchIpiFallback) tlbRemoveTableSyncOne()
    tableFreeMemory(table, level)
  }
}
