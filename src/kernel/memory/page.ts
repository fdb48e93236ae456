// struct page: one per frame. As in Linux, fields lie over each other: `lru`, `rcu_head` and the free list share two
// words, and what is `mapping` for data is the mm of a page table. That overlay is the subject of some of the bugs.

import { PAGE_SHIFT, PAGE_WORDS } from '../arch/arch.ts'
import { Global } from '../machine/globals.ts'
import { copiesWordByWord, copyPage, load, readOnce, store } from '../machine/instructions.ts'
import { struct } from '../machine/struct.ts'

/**
 * `next`/`prev`: `lru`, or `rcu_head` (next, func), or the buddy or per-CPU free list, or where a table page has its `fragmentMaps`. `mapping`: anon_vma | 1, file, or a
 * table's mm or struct pgtable_list. `index`: page offset, or how many fragments of a table page are in use (`pt_frag_refcount`). `ptl`: the page-table lock, over `private`. `mapcount`: mappings less one, or the page's type.
 */
export const Page = struct({
  flags: 1,
  next: 1,
  prev: 1,
  rcuHead: { at: 'next' },
  fragmentMaps: { at: 'next' },
  mapping: 1,
  ptMm: { at: 'mapping' },
  ptList: { at: 'mapping' },
  index: 1,
  ptFragRefcount: { at: 'index' },
  ptl: 1,
  private: { at: 'ptl' },
  mapcount: 1,
  refcount: 1,
})

/** log2 of the words of a struct page. */
export const PAGE_STRUCT_SHIFT = 31 - Math.clz32(Page.size)

/** Bits of `flags`. */
export const PageFlag = Object.freeze({
  table: 2,
  slab: 4,
  anonExclusive: 8,
  uptodate: 16,
  locked: 32,
  waiters: 64,
  active: 128,
  dirty: 256,
  pinned: 512,
  reserved: 1024,
  lazyfree: 2048,
})

/** The struct page of frame `pfn`. */
export function pfnToPage(pfn: number): number {
  return load(Global.pages) + (pfn << PAGE_STRUCT_SHIFT)
}

/** The frame number of the struct page at `page`. */
export function pageToPfn(page: number): number {
  return (page - load(Global.pages)) >> PAGE_STRUCT_SHIFT
}

/** The first word of frame `pfn`. */
export function pfnToVirt(pfn: number): number {
  return load(Global.frames) + (pfn << (PAGE_SHIFT - 2))
}

/** The first word of the frame whose struct page is at `page`. */
export function pageToVirt(page: number): number {
  return pfnToVirt(pageToPfn(page))
}

/** The struct page of the frame that holds word `p`. */
export function virtToPage(p: number): number {
  return pfnToPage((p - load(Global.frames)) >> (PAGE_SHIFT - 2))
}

/** page_to_nid: which half of memory the frame lies in, 0 or 1. */
export function pageToNid(page: number): number {
  return pageToPfn(page) < load(Global.nrFrames) >> 1 ? 0 : 1
}

/** Clears what an allocation must find clear and sets the reference count to one. */
export function prepNewPage(page: number, flags: number): void {
  store(page + Page.flags, flags)
  store(page + Page.mapping, 0)
  store(page + Page.index, 0)
  store(page + Page.ptl, 0)
  store(page + Page.mapcount, -1)
  store(page + Page.refcount, 1)
}

/**
 * Copies the frame at `source`, to which users or a device may be writing meanwhile, to the one at `target`, which is the caller's:
 * each word is read once, so that it is an old or a new one. (`copyPage` is for frames that nobody may write to.)
 */
export function copyLivePage(target: number, source: number): void {
  if (!copiesWordByWord()) copyPage(target, source, PAGE_WORDS)
  else for (let i = 0; i < PAGE_WORDS; i++) store(target + i, readOnce(source + i))
}
