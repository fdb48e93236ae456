// PTE tables that are halves of a page, as s390 had them until Linux 6.8: two bits for each half in the page's reference count, A
// (allocated) and P (pending: its freeing is on its way), and for each mm a list of the pages of which exactly one half is allocated.
// Both halves are handed out again and again, a pending one only when it is no longer. The list runs through `lru`, which lies over
// `rcu_head` in struct page: so a page that is to go through RCU must never be on it.
import { PAGE_WORDS, PTE_TABLE_WORDS } from '../arch/arch.ts'
import { allocated, freed, Kind } from '../machine/annotations.ts'
import { atomicAdd, atomicAnd, atomicOr, load, readOnce, store } from '../machine/instructions.ts'
import { listAdd, listAddTail, listDelInit, listFirst } from '../machine/list.ts'
import { mmDrop, mmGrab, PgtableList } from '../memory/mm.ts'
import { Page, PageFlag, pageToVirt, virtToPage } from '../memory/page.ts'
import { allocPage, freePage } from '../memory/page-alloc.ts'
import { callRcu } from '../sync/rcu.ts'
import { RcuFunc } from '../sync/rcu-func.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { clearPtes } from './entries.ts'
import {
  ALLOCATED_SHIFT,
  BOTH,
  halfNumber,
  mmOfPage,
  PENDING_SHIFT,
  pgtableListLock,
  pgtableListOf,
  pgtableListOfPage,
  setPgtableListOfPage,
  usesHeadBits,
} from './pgtable-list.ts'
import { headBitsFree, headBitsRemove } from './s390-head-bits.ts'

/** page_table_alloc: an empty half for `mm`, from the first page of its list or a fresh one. Returns its first word, or 0. */
export function halfAlloc(mm: number): number {
  const list = pgtableListOf(mm)
  const lock = pgtableListLock(list)
  spinLock(lock)
  const first = listFirst(list + PgtableList.list)
  const table = first === 0 ? 0 : halfTake(first - Page.next)
  spinUnlock(lock)
  return table !== 0 ? table : halfFromFreshPage(mm)
}

/** The free half of a page on the list, or 0 if that is still pending. The list's lock is held. */
function halfTake(page: number): number {
  const count = readOnce(page + Page.refcount)
  const inUse = ((count >>> ALLOCATED_SHIFT) | (count >>> PENDING_SHIFT)) & BOTH
  if (inUse === BOTH) return 0
  const half = inUse & 1
  const table = pageToVirt(page) + half * PTE_TABLE_WORDS
  // A table that is freed is empty, so a half that was used before needs no clearing.
  allocated(table, PTE_TABLE_WORDS, Kind.tablePart)
  atomicAdd(page + Page.refcount, 1 << (ALLOCATED_SHIFT + half))
  listDelInit(page + Page.next)
  return table
}

function halfFromFreshPage(mm: number): number {
  const page = allocPage(PageFlag.table)
  if (page === 0) return 0
  const table = pageToVirt(page)
  clearPtes(table, PAGE_WORDS)
  setPgtableListOfPage(page, mm)
  store(page + Page.refcount, load(page + Page.refcount) | (1 << ALLOCATED_SHIFT))
  allocated(table, PTE_TABLE_WORDS, Kind.tablePart)
  const list = pgtableListOf(mm)
  const lock = pgtableListLock(list)
  spinLock(lock)
  listAdd(page + Page.next, list + PgtableList.list)
  spinUnlock(lock)
  return table
}

/**
 * The first part of page_table_free and page_table_free_rcu: an allocated half is pending from now on. `delayed` 1: for some time, so
 * that its page goes to the end of the list. Its mm is still there.
 */
export function halfRemove(table: number, delayed: number): void {
  if (usesHeadBits()) {
    headBitsRemove(table, 0)
    return
  }
  const page = virtToPage(table)
  const half = halfNumber(table)
  const list = pgtableListOfPage(page)
  const lock = pgtableListLock(list)
  spinLock(lock)
  const count = atomicAdd(page + Page.refcount, (1 << (PENDING_SHIFT + half)) - (1 << (ALLOCATED_SHIFT + half)))
  const otherInUse = ((count >>> ALLOCATED_SHIFT) & BOTH) !== 0
  // Of a page with a deferred half nothing is handed out any more, and its rcu_head must stay free.
  if (!otherInUse || (readOnce(page + Page.flags) & PageFlag.active) !== 0) listDelInit(page + Page.next)
  else if (delayed !== 0) listAddTail(page + Page.next, list + PgtableList.list)
  else listAdd(page + Page.next, list + PgtableList.list)
  spinUnlock(lock)
}

/** The second part, __tlb_remove_table: the half is pending no more. Its mm may be gone. The last one frees the page. */
function halfRelease(table: number): void {
  const page = virtToPage(table)
  const count = atomicAdd(page + Page.refcount, -(1 << (PENDING_SHIFT + halfNumber(table))))
  if (((count >>> ALLOCATED_SHIFT) | (count >>> PENDING_SHIFT)) & BOTH) return
  // Through RCU if one of its halves was deferred.
  if ((atomicAnd(page + Page.flags, ~PageFlag.active) & PageFlag.active) !== 0) callRcu(page + Page.rcuHead, RcuFunc.tablePage)
  else freePage(page)
}

/** Frees a half that nobody can reach: one that is pending since it was unhooked, or page_table_free of one that is not. */
export function halfFree(table: number): void {
  if (usesHeadBits()) {
    headBitsFree(table)
    return
  }
  if ((readOnce(virtToPage(table) + Page.refcount) & (1 << (PENDING_SHIFT + halfNumber(table)))) === 0) halfRemove(table, 0)
  freed(table, PTE_TABLE_WORDS, Kind.tablePart)
  halfRelease(table)
}

/**
 * pte_free_defer, as merged: the page is marked Active and the half given back. Neither half is handed out again; when both are free
 * the page goes through RCU, by an rcu_head that nobody has used before. So walkers of the half stay in a table for all that time.
 */
export function halfFreeDefer(table: number): void {
  atomicOr(virtToPage(table) + Page.flags, PageFlag.active)
  halfRemove(table, 0)
  halfRelease(table)
}

/**
 * pte_free_defer, first draft: the page's rcu_head is queued for the half, whose number goes with the page's mm, which is kept. WRONG:
 * two halves have one rcu_head, and while one half is allocated `lru` is in use over it.
 */
export function halfFreeDeferOneHead(table: number): void {
  const page = virtToPage(table)
  const mm = mmOfPage(page)
  mmGrab(mm)
  store(page + Page.ptMm, mm | halfNumber(table))
  callRcu(page + Page.rcuHead, RcuFunc.tableHalf)
}

/** RCU callback of the first draft. */
export function halfFreeRcu(head: number): void {
  const page = head - Page.rcuHead
  const half = load(page + Page.ptMm) & 1
  const mm = mmOfPage(page)
  store(page + Page.ptMm, mm)
  halfFree(pageToVirt(page) + half * PTE_TABLE_WORDS)
  mmDrop(mm)
}
