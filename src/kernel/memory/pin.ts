// Pins (FOLL_PIN): references by which somebody outside the page tables reads and writes a frame. They count 1024 each in
// the reference count, so that fork can tell that a page is pinned and copies it at once (GUP_PIN_COUNTING_BIAS).
import { atomicAdd } from '../machine/instructions.ts'
import { Page } from './page.ts'
import { freePage } from './page-alloc.ts'
import { pageRefs } from './rmap.ts'

/** What one pin adds to the reference count. */
export const PIN_BIAS = 1024

/** try_grab_folio with FOLL_PIN: the caller knows that somebody has a reference, and holds the page-table lock. */
export function pinPage(page: number): void {
  atomicAdd(page + Page.refcount, PIN_BIAS)
}

/** unpin_user_page: gives one pin back; the last reference frees the frame. */
export function unpinPage(page: number): void {
  if (atomicAdd(page + Page.refcount, -PIN_BIAS) === 0) freePage(page)
}

/** folio_maybe_dma_pinned: may also be true of a page with very many references. */
export function pageMaybePinned(page: number): boolean {
  return pageRefs(page) >= PIN_BIAS
}
