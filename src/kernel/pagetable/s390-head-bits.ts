// pte_free_defer of halves with head bits, the second version of the series of 2023 (H. Dickins, June 2023): a page is on the list of its
// mm only while neither half is pending, so that its rcu_head is free for deferral; a third bit of each half, H, says that it uses that
// rcu_head or waits for it, so that the head is queued once; and a half that was deferred is handed out again, for which the callback puts
// the page back on the list of an mm that may be gone. Three forms differ in what makes taking the list's lock safe there.
import { PTE_TABLE_WORDS } from '../arch/arch.ts'
import { freed, Kind } from '../machine/annotations.ts'
import { atomicAdd, readOnce } from '../machine/instructions.ts'
import { listAdd, listDelInit } from '../machine/list.ts'
import { PgtableList } from '../memory/mm.ts'
import { Page, pageToVirt, virtToPage } from '../memory/page.ts'
import { freePage } from '../memory/page-alloc.ts'
import { callRcu, rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'
import { RcuFunc } from '../sync/rcu-func.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { ALLOCATED_SHIFT, BOTH, HEAD_SHIFT, halfNumber, PENDING_SHIFT, pgtableListLock, pgtableListOfPage } from './pgtable-list.ts'

/**
 * The first part of page_table_free_rcu (`head` 0) and of pte_free_defer (1): an allocated half is pending from now on, and its page on
 * no list. Its mm is still there. Returns the page's reference count, with the bits as they are now.
 */
export function headBitsRemove(table: number, head: number): number {
  const page = virtToPage(table)
  const half = halfNumber(table)
  const lock = pgtableListLock(pgtableListOfPage(page))
  spinLock(lock)
  const bits = (1 << (PENDING_SHIFT + half)) + (head << (HEAD_SHIFT + half))
  const count = atomicAdd(page + Page.refcount, bits - (1 << (ALLOCATED_SHIFT + half)))
  // It was on the list if the other half was free, and not pending either.
  if (((count >>> ALLOCATED_SHIFT) & BOTH) === 0 && ((count >>> PENDING_SHIFT) & BOTH) !== BOTH) listDelInit(page + Page.next)
  spinUnlock(lock)
  return count
}

/** Frees a half that nobody can reach: one that is pending, in whatever context, or page_table_free of one that was never used. */
export function headBitsFree(table: number): void {
  freed(table, PTE_TABLE_WORDS, Kind.tablePart)
  if ((readOnce(virtToPage(table) + Page.refcount) & (1 << (PENDING_SHIFT + halfNumber(table)))) !== 0) release(table)
  else freeUnused(table)
}

/** page_table_free of a half whose mm is there. */
function freeUnused(table: number): void {
  const page = virtToPage(table)
  const list = pgtableListOfPage(page)
  const lock = pgtableListLock(list)
  spinLock(lock)
  const count = atomicAdd(page + Page.refcount, -(1 << (ALLOCATED_SHIFT + halfNumber(table))))
  if (((count >>> ALLOCATED_SHIFT) & BOTH) !== 0) listAdd(page + Page.next, list + PgtableList.list)
  else if (((count >>> PENDING_SHIFT) & BOTH) === 0) listDelInit(page + Page.next)
  spinUnlock(lock)
  freeIfUnused(page, count)
}

/**
 * __tlb_remove_table: a half is pending no more; its page goes back to the list of its mm, if the other half is allocated, or is freed. An
 * allocated half means that its mm is alive, but only at that moment: so the lock must be there to be taken, and then says whether the
 * other half still is. (What tells that a page has gone off the list is under the same lock.)
 */
function release(table: number): void {
  const page = virtToPage(table)
  const pending = 1 << (PENDING_SHIFT + halfNumber(table))
  rcuReadLock()
  let count = readOnce(page + Page.refcount)
  if (((count >>> ALLOCATED_SHIFT) & BOTH) !== 0) {
    const list = pgtableListOfPage(page)
    const lock = pgtableListLock(list)
    spinLock(lock)
    count = atomicAdd(page + Page.refcount, -pending)
    if (((count >>> ALLOCATED_SHIFT) & BOTH) !== 0) listAdd(page + Page.next, list + PgtableList.list)
    spinUnlock(lock)
  } else count = atomicAdd(page + Page.refcount, -pending)
  rcuReadUnlock()
  freeIfUnused(page, count)
}

function freeIfUnused(page: number, count: number): void {
  if ((((count >>> ALLOCATED_SHIFT) | (count >>> PENDING_SHIFT)) & BOTH) === 0) freePage(page)
}

/** pte_free_defer: queues the page's rcu_head for this half, or leaves that to the callback of the other, which has it. */
export function headBitsFreeDefer(table: number): void {
  const count = headBitsRemove(table, 1)
  if (((count >>> HEAD_SHIFT) & BOTH) !== BOTH) queue(virtToPage(table), halfNumber(table))
}

/** RCU callback of half `half`: it lets go of the rcu_head and is freed; then the head is queued for the other half, if that waits. */
export function headBitsFreeRcu(head: number, half: number): void {
  const page = head - Page.rcuHead
  const count = atomicAdd(page + Page.refcount, -(1 << (HEAD_SHIFT + half)))
  headBitsFree(pageToVirt(page) + half * PTE_TABLE_WORDS)
  if (((count >>> HEAD_SHIFT) & BOTH) !== 0) queue(page, 1 - half)
}

function queue(page: number, half: number): void {
  callRcu(page + Page.rcuHead, half === 0 ? RcuFunc.tableLowHalf : RcuFunc.tableHighHalf)
}
