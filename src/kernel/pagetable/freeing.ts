// Freeing page tables: what happens to a table that is unhooked and flushed. A machine has one policy, by number; the
// mmu_gather collects tables, flushes, and asks here. Some policies are wrong for some walkers: they are here to be shown so.
import { Global } from '../machine/globals.ts'
import { load } from '../machine/instructions.ts'
import { pteFreeDefer } from './pte-free-defer.ts'
import { pteFreeDeferIncrements, pteFreeDeferOneHead } from './pte-free-defer-drafts.ts'
import { tableFreeMemory } from './table-alloc.ts'
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
 */
export const Freeing = Object.freeze({
  rcuBatch: 0,
  immediate: 1,
  ipi: 2,
  ipiAll: 3,
  pteFreeDefer: 4,
  pteFreeDeferOneHead: 5,
  pteFreeDeferIncrements: 6,
})

/** Their names on the command line, by number. A machine records the number: append, never reorder. */
export const freeings: readonly { readonly name: string }[] = Object.freeze([
  Object.freeze({ name: 'rcu-batch' }),
  Object.freeze({ name: 'immediate' }),
  Object.freeze({ name: 'ipi' }),
  Object.freeze({ name: 'ipi-all' }),
  Object.freeze({ name: 'pte-free-defer' }),
  Object.freeze({ name: 'pte-free-defer-one-head' }),
  Object.freeze({ name: 'pte-free-defer-increments' }),
])

/** The machine's policy: a value of `Freeing`. */
export function freeingPolicy(): number {
  return load(Global.freeingId)
}

/** Whether an unhooked table stays a table until every RCU reader that may have found it is done. */
export function tablesOutliveRcuReaders(): boolean {
  const policy = freeingPolicy()
  return policy !== Freeing.immediate && policy !== Freeing.ipi && policy !== Freeing.ipiAll
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

/** Disposes of one table of `level`, unhooked, flushed and no longer counted by its mm; a batch takes no part in it. */
export function freeUnhookedTable(table: number, level: number): void {
  const policy = freeingPolicy()
  if (policy === Freeing.pteFreeDeferOneHead) pteFreeDeferOneHead(table, level)
  else if (policy === Freeing.pteFreeDeferIncrements) pteFreeDeferIncrements(table, level)
  else if (policy === Freeing.rcuBatch || policy === Freeing.pteFreeDefer) pteFreeDefer(table, level)
  else tableFreeMemory(table, level)
}
