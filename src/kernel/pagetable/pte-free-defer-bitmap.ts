// pte_free_defer by bitmaps, J. Gunthorpe's sketch for powerpc in the thread of June 2023: a structure beside the page says which of
// its fragments are deferred, so that one rcu_head serves many. Once as sketched, and once put right. What the sketch keeps in a second
// bitmap, `free`, is a count here (`ptFragRefcount`): our fragments are never handed out a second time.
import { atomicAnd, atomicOr, load, store, xchg } from '../machine/instructions.ts'
import { pageToVirt } from '../memory/page.ts'
import { callRcu } from '../sync/rcu.ts'
import { RcuFunc } from '../sync/rcu-func.ts'
import { FragmentMap, fragmentBit, fragmentMap } from './fragment-maps.ts'
import { pteFreeDefer } from './pte-free-defer.ts'
import { pteFragmentFree, tableIsFragment } from './table-alloc.ts'

/**
 * As sketched. WRONG twice: the head is queued by whoever finds bits set, so that the first deferral is queued by nobody and the third
 * queues a queued head; and the callback takes bits that were set while its grace period was under way.
 */
export function pteFreeDeferBitmap(table: number, level: number): void {
  if (!tableIsFragment(level)) {
    pteFreeDefer(table, level)
    return
  }
  const map = fragmentMap(table)
  const old = atomicOr(map + FragmentMap.pending, fragmentBit(table))
  if (old !== 0) callRcu(map + FragmentMap.rcuHead, RcuFunc.tableBitmap)
}

/** RCU callback of the sketch. */
export function bitmapFreeRcu(head: number): void {
  const map = head - FragmentMap.rcuHead
  freeFragments(load(map + FragmentMap.page), xchg(map + FragmentMap.pending, 0))
}

/** Put right: whoever finds no bit set queues the head, for its own fragment; nobody else does until the callback leaves no bit. */
export function pteFreeDeferBitmapFixed(table: number, level: number): void {
  if (!tableIsFragment(level)) {
    pteFreeDefer(table, level)
    return
  }
  const map = fragmentMap(table)
  const bit = fragmentBit(table)
  if (atomicOr(map + FragmentMap.pending, bit) !== 0) return
  store(map + FragmentMap.due, bit)
  callRcu(map + FragmentMap.rcuHead, RcuFunc.tableBitmapFixed)
}

/** RCU callback of the repaired form: frees the fragments that it was queued for; for those that came later it is queued again. */
export function bitmapFixedFreeRcu(head: number): void {
  const map = head - FragmentMap.rcuHead
  const page = load(map + FragmentMap.page)
  const due = load(map + FragmentMap.due)
  const later = atomicAnd(map + FragmentMap.pending, ~due) & ~due
  if (later !== 0) {
    store(map + FragmentMap.due, later)
    callRcu(head, RcuFunc.tableBitmapFixed)
  }
  freeFragments(page, due)
}

/** Gives back as many fragments of `page` as `bits` has bits; with the last one the page goes, and its maps. */
function freeFragments(page: number, bits: number): void {
  for (let left = bits; left !== 0; left &= left - 1) pteFragmentFree(pageToVirt(page))
}
