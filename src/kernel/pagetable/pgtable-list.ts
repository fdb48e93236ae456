// Pages of two tables (s390): the bits that each half has in the page's reference count, and the list of the pages of which exactly one
// half is allocated: where it lies, what its lock is, and how a page names it. One form of deferral keeps it in type-safe memory.
import { PTE_TABLE_WORDS } from '../arch/arch.ts'
import { Global } from '../machine/globals.ts'
import { load, store } from '../machine/instructions.ts'
import { initListHead } from '../machine/list.ts'
import { Mm, PgtableList } from '../memory/mm.ts'
import { Page, pageToVirt, virtToPage } from '../memory/page.ts'
import { Cache, kmemCacheAlloc } from '../memory/slab.ts'

/** The first bits, of half 0, in the reference count: allocated (A), waiting for or with the page's rcu_head (H), pending (P). */
export const ALLOCATED_SHIFT = 24
export const HEAD_SHIFT = 26
export const PENDING_SHIFT = 28
/** Both halves, in any of the three. */
export const BOTH = 3

/**
 * Forms of deferral by head bits (`s390-head-bits.ts`), by what guards the list: the lock of its mm, one lock for all mms, or a lock that
 * lies with the list in type-safe memory. `none`: no head bits, and the lock of its mm.
 */
export const HeadBits = Object.freeze({ none: 0, mmLock: 1, oneLock: 2, typesafe: 3 })

/** Whether this machine's halves have head bits. */
export function usesHeadBits(): boolean {
  return load(Global.headBits) !== HeadBits.none
}

/** Which half of its page `table` is. */
export function halfNumber(table: number): number {
  return (table - pageToVirt(virtToPage(table))) / PTE_TABLE_WORDS
}

/** init_new_context: gives the fresh `mm` its list, empty. Returns 0, or 1 without memory. */
export function pgtableListAlloc(mm: number): number {
  let list = mm + Mm.pgtableList
  if (load(Global.headBits) === HeadBits.typesafe) {
    list = kmemCacheAlloc(Cache.pgtableList)
    if (list === 0) return 1
    store(mm + Mm.pgtableListAt, list)
  }
  // Its lock stays as it is: who was late for the list's last mm may hold it.
  initListHead(list + PgtableList.list)
  return 0
}

/** The struct PgtableList of `mm`, which is alive. */
export function pgtableListOf(mm: number): number {
  return load(Global.headBits) === HeadBits.typesafe ? load(mm + Mm.pgtableListAt) : mm + Mm.pgtableList
}

/** The lock of a list. */
export function pgtableListLock(list: number): number {
  return load(Global.headBits) === HeadBits.oneLock ? Global.pgtableListLock : list + PgtableList.lock
}

/** Says of a fresh page whose tables lie in it. */
export function setPgtableListOfPage(page: number, mm: number): void {
  store(page + Page.ptMm, load(Global.headBits) === HeadBits.typesafe ? pgtableListOf(mm) : mm)
}

/** The mm whose tables lie in `page`, where pages name it. The first draft of deferral keeps the number of a half in the low bit. */
export function mmOfPage(page: number): number {
  return load(page + Page.ptMm) & ~1
}

/** The list of the mm whose tables lie in `page`. Nothing of it may be touched unless that mm is known to be alive. */
export function pgtableListOfPage(page: number): number {
  return load(Global.headBits) === HeadBits.typesafe ? load(page + Page.ptList) : mmOfPage(page) + Mm.pgtableList
}
