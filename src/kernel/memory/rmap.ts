// The reverse map as far as faults and unmaps keep it: what a page belongs to (an anon_vma or a file) and how many
// entries map it. `mapcount` is the number of mappings less one, as in struct page.
import { atomicAdd, load, readOnce, store } from '../machine/instructions.ts'
import { refcountDecAndTest } from '../sync/refcount.ts'
import { Page, PageFlag } from './page.ts'
import { freePage } from './page-alloc.ts'

/** Marks a `mapping` that points to an anon_vma. */
export const PAGE_MAPPING_ANON = 1

/**
 * folio_add_new_anon_rmap: the fresh page is mapped once, by a VMA with `anonVma`, at page offset `pgoff`, exclusively. Nobody
 * else knows it before the caller sets its entry.
 */
export function addNewAnonRmap(page: number, anonVma: number, pgoff: number): void {
  store(page + Page.mapping, anonVma | PAGE_MAPPING_ANON)
  store(page + Page.index, pgoff)
  store(page + Page.flags, load(page + Page.flags) | PageFlag.anonExclusive)
  store(page + Page.mapcount, 0)
}

/** One more entry maps the page (the caller has a reference to give to it). */
export function dupRmap(page: number): void {
  atomicAdd(page + Page.mapcount, 1)
}

/** folio_remove_rmap_pte: one entry less maps the page. */
export function removeRmap(page: number): void {
  atomicAdd(page + Page.mapcount, -1)
}

/** folio_test_anon. */
export function pageAnon(page: number): boolean {
  return (load(page + Page.mapping) & PAGE_MAPPING_ANON) !== 0
}

/** folio_get: the caller knows that somebody has a reference. */
export function getPage(page: number): void {
  atomicAdd(page + Page.refcount, 1)
}

/** folio_put: gives one reference back; the last one frees the frame. */
export function putPage(page: number): void {
  if (refcountDecAndTest(page + Page.refcount) !== 0) freePage(page)
}

/** folio_ref_count. */
export function pageRefs(page: number): number {
  return readOnce(page + Page.refcount)
}
