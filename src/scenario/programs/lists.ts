// Users of the allocators' lists: whoever takes from an empty list or gives to a full one meets others at the shared one.
import { allocPage, allocPages, freePage, freePages } from '../../kernel/memory/page-alloc.ts'
import { kmemCacheAlloc, kmemCacheFree } from '../../kernel/memory/slab.ts'

/** Takes a frame and gives it back. Returns whether there was one. */
export function takeFrame(): number {
  const page = allocPage(0)
  if (page === 0) return 0
  freePage(page)
  return 1
}

/** Gives frame `page` back. */
export function giveFrame(page: number): number {
  freePage(page)
  return 0
}

/** Takes a block of 2^`order` frames and gives it back. Returns whether there was one. */
export function takeBlock(order: number): number {
  const page = allocPages(order, 0)
  if (page === 0) return 0
  freePages(page, order)
  return 1
}

/** Takes an object of `cache` and gives it back. Returns whether there was one. */
export function takeObject(cache: number): number {
  const object = kmemCacheAlloc(cache)
  if (object === 0) return 0
  kmemCacheFree(cache, object)
  return 1
}

/** Gives `object` of `cache` back. */
export function giveObject(cache: number, object: number): number {
  kmemCacheFree(cache, object)
  return 0
}
