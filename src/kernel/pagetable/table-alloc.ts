// Allocation of page tables: whole pages, slabs of a level's size, or (powerpc) fragments of a page handed out one after
// the other. A fragment is never handed out twice, so a page dies when all its fragments have been freed.
import {
  ENTRY_WORDS,
  FRAGMENTS,
  Fragments,
  PAGE_WORDS,
  PGD_IS_PAGE,
  PTE_FRAGMENTS,
  PTE_TABLE_WORDS,
  PTRS_PER_P4D,
  PTRS_PER_PGD,
  PTRS_PER_PMD,
  PTRS_PER_PUD,
  UPPER_TABLE_ORDER,
  UPPER_TABLES_ARE_PAGES,
} from '../arch/arch.ts'
import { Global } from '../machine/globals.ts'
import { atomicAdd, atomicAnd, load, store, thisCpu, writeOnce, zeroPage } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { addTableWords, Mm } from '../memory/mm.ts'
import { Page, PageFlag, pageToVirt, virtToPage } from '../memory/page.ts'
import { allocPage, allocPages, freePage, freePages } from '../memory/page-alloc.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree } from '../memory/slab.ts'
import { callRcu } from '../sync/rcu.ts'
import { RcuFunc } from '../sync/rcu-func.ts'
import { refcountDecAndTest } from '../sync/refcount.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { clearPtes } from './entries.ts'
import { fragmentMapsAlloc, fragmentMapsFree } from './fragment-maps.ts'
import { halfAlloc, halfFree } from './s390-fragments.ts'

/** Levels of tables. */
export const Level = Object.freeze({ pte: 1, pmd: 2, pud: 3, p4d: 4, pgd: 5 })

/** Whether a table of `level` is a page of its own; else it is a fragment of one (PTE), or from a slab. */
export function tableIsPage(level: number): boolean {
  if (level === Level.pte) return PTE_FRAGMENTS === 1
  return level === Level.pgd ? PGD_IS_PAGE : UPPER_TABLES_ARE_PAGES
}

/** Words of a table of `level`. */
export function tableWords(level: number): number {
  if (level === Level.pte) return PTE_TABLE_WORDS
  if (tableIsPage(level)) return PAGE_WORDS << UPPER_TABLE_ORDER
  const entries =
    level === Level.pmd ? PTRS_PER_PMD : level === Level.pud ? PTRS_PER_PUD : level === Level.p4d ? PTRS_PER_P4D : PTRS_PER_PGD
  return entries * ENTRY_WORDS
}

/** Whether tables of `level` are fragments that are handed out once. */
export function tableIsFragment(level: number): boolean {
  return level === Level.pte && PTE_FRAGMENTS > 1 && FRAGMENTS === Fragments.bump
}

function tableCache(level: number): number {
  return level === Level.pmd ? Cache.tablePmd : level === Level.pud ? Cache.tablePud : Cache.tablePgd
}

/** Allocates an empty table of `level` for `mm`. Returns its first word, or 0. */
export function tableAlloc(mm: number, level: number): number {
  const words = tableWords(level)
  let table = 0
  if (level === Level.pte && PTE_FRAGMENTS > 1) table = FRAGMENTS === Fragments.halves ? halfAlloc(mm) : pteFragmentAlloc(mm)
  else if (tableIsPage(level)) {
    const page = level === Level.pte || UPPER_TABLE_ORDER === 0 ? allocPage(PageFlag.table) : allocPages(UPPER_TABLE_ORDER, PageFlag.table)
    if (page === 0) return 0
    table = pageToVirt(page)
    store(page + Page.ptMm, mm)
    if (level === Level.pte) clearPtes(table, words)
    else zeroPage(table, words)
  } else {
    table = kmemCacheAlloc(tableCache(level))
    if (table !== 0) zeroPage(table, words)
  }
  if (table !== 0) {
    addTableWords(mm, words)
    countTableAlloc()
  }
  return table
}

/** Counts one allocation of page tables, be it of one or of a page of them. */
export function countTableAlloc(): void {
  const cpu = thisCpu()
  store(cpu + Cpu.statTableAllocs, load(cpu + Cpu.statTableAllocs) + 1)
}

/** Frees a table at once: nobody can reach it, be it because it was never linked or because a grace period has passed. */
export function tableFree(mm: number, table: number, level: number): void {
  addTableWords(mm, -tableWords(level))
  tableFreeMemory(table, level)
}

/** The memory part of `tableFree`, for tables that their mm no longer counts. */
export function tableFreeMemory(table: number, level: number): void {
  if (tableIsFragment(level)) pteFragmentFree(table)
  else if (level === Level.pte && FRAGMENTS === Fragments.halves) halfFree(table)
  else if (tableIsPage(level) && (level === Level.pte || UPPER_TABLE_ORDER === 0)) freePage(virtToPage(table))
  else if (tableIsPage(level)) freePages(virtToPage(table), UPPER_TABLE_ORDER)
  else kmemCacheFree(tableCache(level), table)
}

/** pte_fragment_alloc: the next fragment of the mm's current page, or the first of a fresh one. */
function pteFragmentAlloc(mm: number): number {
  spinLock(mm + Mm.pageTableLock)
  const fragment = load(mm + Mm.pteFragment)
  if (fragment !== 0) {
    const next = fragment + PTE_TABLE_WORDS
    store(mm + Mm.pteFragment, next >= pageToVirt(virtToPage(fragment)) + PTE_FRAGMENTS * PTE_TABLE_WORDS ? 0 : next)
  }
  spinUnlock(mm + Mm.pageTableLock)
  return fragment !== 0 ? fragment : pteFragmentFromFreshPage(mm)
}

/** An empty page for fragments of `mm`, which has still to be counted: its struct page, or 0. */
export function freshTablePage(mm: number): number {
  const page = allocPage(PageFlag.table)
  if (page === 0) return 0
  if (load(Global.fragmentMaps) !== 0 && fragmentMapsAlloc(page) !== 0) {
    freePage(page)
    return 0
  }
  clearPtes(pageToVirt(page), PAGE_WORDS)
  store(page + Page.ptMm, mm)
  return page
}

function pteFragmentFromFreshPage(mm: number): number {
  const page = freshTablePage(mm)
  if (page === 0) return 0
  const table = pageToVirt(page)
  writeOnce(page + Page.ptFragRefcount, 1)
  spinLock(mm + Mm.pageTableLock)
  // Whoever loses this race keeps a page of which only one fragment is ever used.
  if (load(mm + Mm.pteFragment) === 0) {
    writeOnce(page + Page.ptFragRefcount, PTE_FRAGMENTS)
    store(mm + Mm.pteFragment, table + PTE_TABLE_WORDS)
  }
  spinUnlock(mm + Mm.pageTableLock)
  return table
}

/** pte_fragment_free: gives one fragment back. The last one frees the page, through RCU if any was deferred. */
export function pteFragmentFree(table: number): void {
  const page = virtToPage(table)
  if (refcountDecAndTest(page + Page.ptFragRefcount) !== 0) freeTablePage(page)
}

/** Frees a page whose last fragment is gone, through its rcu_head if one of them was deferred (PageActive). */
function freeTablePage(page: number): void {
  if (load(Global.fragmentMaps) !== 0) fragmentMapsFree(page)
  if ((atomicAnd(page + Page.flags, ~PageFlag.active) & PageFlag.active) !== 0) callRcu(page + Page.rcuHead, RcuFunc.tablePage)
  else freePage(page)
}

/** pte_frag_destroy: at the end of an mm, gives back the fragments of the current page that were never handed out. */
export function pteFragmentDestroy(mm: number): void {
  const fragment = load(mm + Mm.pteFragment)
  if (fragment === 0) return
  store(mm + Mm.pteFragment, 0)
  const page = virtToPage(fragment)
  pteFragmentsPut(page, PTE_FRAGMENTS - (fragment - pageToVirt(page)) / PTE_TABLE_WORDS)
}

/** Gives back `unused` fragments of `page` that were never handed out. */
export function pteFragmentsPut(page: number, unused: number): void {
  if (atomicAdd(page + Page.ptFragRefcount, -unused) === 0) freeTablePage(page)
}
