// pte_free_defer: frees one unhooked table after a grace period without allocating anything. A table that fills its page
// uses the page's rcu_head. Fragments share one rcu_head, so a fragment only marks its page Active and is given back: the
// page as a whole goes through RCU when its last fragment is freed, which is enough because no fragment is handed out
// twice (the merged form of the 2023 series; the drafts before it are in the thread "powerpc: add pte_free_defer()"). Halves, which
// are handed out again, are in `s390-fragments.ts`.
import { FRAGMENTS, Fragments, UPPER_TABLE_ORDER } from '../arch/arch.ts'
import { atomicOr } from '../machine/instructions.ts'
import { Page, PageFlag, virtToPage } from '../memory/page.ts'
import { freePage, freePages } from '../memory/page-alloc.ts'
import { SLAB_RCU_HEAD } from '../memory/slab.ts'
import { callRcu } from '../sync/rcu.ts'
import { RcuFunc } from '../sync/rcu-func.ts'
import { halfFreeDefer } from './s390-fragments.ts'
import { Level, pteFragmentFree, tableFreeMemory, tableIsFragment, tableIsPage } from './table-alloc.ts'

/** Frees `table` of `level` after a grace period. It is unhooked, flushed and no longer counted by its mm. */
export function pteFreeDefer(table: number, level: number): void {
  const page = virtToPage(table)
  if (level === Level.pte && FRAGMENTS === Fragments.halves) halfFreeDefer(table)
  else if (tableIsFragment(level)) {
    atomicOr(page + Page.flags, PageFlag.active)
    pteFragmentFree(table)
  } else if (tableIsPage(level) && (level === Level.pte || UPPER_TABLE_ORDER === 0)) callRcu(page + Page.rcuHead, RcuFunc.tablePage)
  else if (tableIsPage(level)) callRcu(page + Page.rcuHead, RcuFunc.tablePages)
  else callRcu(table + SLAB_RCU_HEAD, RcuFunc.tablePmd + level - Level.pmd)
}

/** RCU callback of a whole page of tables. */
export function tablePageFreeRcu(head: number): void {
  freePage(head - Page.rcuHead)
}

/** RCU callback of a table that has several pages. */
export function tablePagesFreeRcu(head: number): void {
  freePages(head - Page.rcuHead, UPPER_TABLE_ORDER)
}

/** RCU callback of a table of `level` that came from a slab. */
export function tableSlabFreeRcu(head: number, level: number): void {
  tableFreeMemory(head - SLAB_RCU_HEAD, level)
}
