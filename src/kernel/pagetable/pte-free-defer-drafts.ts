// The two drafts of pte_free_defer for powerpc that were discussed in May and June 2023 before the merged form in
// `pte-free-defer.ts`. They differ from it only for fragments, of which several share one page, its refcount and its rcu_head.
import { FRAGMENTS, Fragments } from '../arch/arch.ts'
import { atomicAdd } from '../machine/instructions.ts'
import { Page, pageToVirt, virtToPage } from '../memory/page.ts'
import { callRcu } from '../sync/rcu.ts'
import { RcuFunc } from '../sync/rcu-func.ts'
import { pteFreeDefer } from './pte-free-defer.ts'
import { halfFreeDeferOneHead } from './s390-fragments.ts'
import { headBitsFreeDefer } from './s390-head-bits.ts'
import { Level, pteFragmentFree, tableIsFragment } from './table-alloc.ts'

/** What a deferred fragment counts in its page's refcount: more than any page has fragments. */
const DEFERRED = 0x10000

/**
 * The first draft: the page's rcu_head is queued for every fragment. WRONG: with two fragments of a page under way the head is
 * queued while it is queued, and the list of callbacks is broken.
 */
export function pteFreeDeferOneHead(table: number, level: number): void {
  if (level === Level.pte && FRAGMENTS === Fragments.halves) halfFreeDeferOneHead(table)
  else if (tableIsFragment(level)) callRcu(virtToPage(table) + Page.rcuHead, RcuFunc.tableFragment)
  else pteFreeDefer(table, level)
}

/** The second draft for s390: halves of a page have bits for its rcu_head. */
export function pteFreeDeferHeadBits(table: number, level: number): void {
  if (level === Level.pte && FRAGMENTS === Fragments.halves) headBitsFreeDefer(table)
  else pteFreeDefer(table, level)
}

/** RCU callback of the first draft: one fragment less is in use; which one the page does not say and need not know. */
export function fragmentFreeRcu(head: number): void {
  pteFragmentFree(pageToVirt(head - Page.rcuHead))
}

/**
 * The second draft: the fragment's count of one becomes DEFERRED, and only whoever finds no other fragment deferred queues
 * the page's rcu_head.
 */
export function pteFreeDeferIncrements(table: number, level: number): void {
  if (!tableIsFragment(level)) {
    pteFreeDefer(table, level)
    return
  }
  const page = virtToPage(table)
  const count = atomicAdd(page + Page.ptFragRefcount, DEFERRED - 1)
  if (count < 2 * DEFERRED) callRcu(page + Page.rcuHead, RcuFunc.tableIncrements)
}

/**
 * RCU callback of the second draft. One deferral becomes a plain count again. If no other came in meanwhile it is freed; else
 * those that did are folded into one, for which the head is queued again: they get a whole grace period.
 */
export function incrementsFreeRcu(head: number): void {
  const count = head - Page.rcuHead + Page.ptFragRefcount
  let left = atomicAdd(count, 1 - DEFERRED)
  if (left < DEFERRED) {
    pteFragmentFree(pageToVirt(head - Page.rcuHead))
    return
  }
  while (left >= 2 * DEFERRED) left = atomicAdd(count, -DEFERRED)
  // The fragment whose period has passed.
  atomicAdd(count, -1)
  callRcu(head, RcuFunc.tableIncrements)
}
