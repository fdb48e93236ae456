// One address space of the sequential model: the sorted VMAs, the private pages, and the counters
// that say what kinds of change happened. Only lookups, splits and insertions live here.

import type { Vma } from './vma.ts'

/** A private page: its stamp, and whether MADV_FREE allows it to read as zero (or file content) instead. */
export interface PrivatePage {
  readonly stamp: number
  readonly lazyFree: boolean
}

/** What has happened so far; only ever counts up. A merge with both neighbours counts once. */
export interface Counters {
  splits: number
  merges: number
  partialUnmaps: number
  copies: number
}

/** Limits and page size, shared by all address spaces of one oracle. */
export interface Layout {
  readonly pageShift: number
  readonly pageSize: number
  /** Lowest address placement may use (mmap_min_addr). */
  readonly base: number
  /** Placement searches downwards from here (mmap_base). */
  readonly limit: number
  /** From here on everything counts as occupied; equal to `taskSize` where nothing is. */
  readonly end: number
  /** First address that user space can never have (TASK_SIZE). */
  readonly taskSize: number
  /** Most VMAs an address space may have (vm.max_map_count). */
  readonly maxMapCount: number
}

/** One process's memory. */
export interface Space {
  readonly layout: Layout
  readonly counters: Counters
  /** Sorted by start, never overlapping. */
  readonly vmas: Vma[]
  /** Private pages by page number. A page that is absent shows the object below, or zeros. */
  readonly pages: Map<number, PrivatePage>
  startBrk: number
  brk: number
}

/** Index of the first VMA that ends above `address`; `vmas.length` if there is none (find_vma). */
export function findVmaIndex(space: Space, address: number): number {
  let low = 0
  let high = space.vmas.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((space.vmas[middle] as Vma).end > address) high = middle
    else low = middle + 1
  }
  return low
}

/** The first VMA that ends above `address` (find_vma). */
export function findVma(space: Space, address: number): Vma | undefined {
  return space.vmas[findVmaIndex(space, address)]
}

/** The VMA that contains `address` (vma_lookup). */
export function vmaLookup(space: Space, address: number): Vma | undefined {
  const vma = findVma(space, address)
  return vma !== undefined && vma.start <= address ? vma : undefined
}

/** The lowest VMA with a byte in [start, end). */
export function findIntersection(space: Space, start: number, end: number): Vma | undefined {
  const vma = findVma(space, start)
  return vma !== undefined && vma.start < end ? vma : undefined
}

/** The VMA below `vma`, touching or not. */
export function vmaPrev(space: Space, vma: Vma): Vma | undefined {
  return space.vmas[findVmaIndex(space, vma.start) - 1]
}

/** The VMA above `vma`, touching or not. */
export function vmaNext(space: Space, vma: Vma): Vma | undefined {
  return space.vmas[findVmaIndex(space, vma.start) + 1]
}

/** Puts a VMA into its place; the range must be free. */
export function insertVma(space: Space, vma: Vma): void {
  space.vmas.splice(findVmaIndex(space, vma.start), 0, vma)
}

/** Takes a VMA out. */
export function removeVma(space: Space, vma: Vma): void {
  space.vmas.splice(findVmaIndex(space, vma.start), 1)
}

/** Number of pages that `bytes` needs; `bytes` rounded up. */
export function pageAlign(layout: Layout, bytes: number): number {
  return Math.ceil(bytes / layout.pageSize) * layout.pageSize
}

/** Splits `vma` at `address`, which must lie inside. Both halves keep flags, file and anon_vma. */
export function splitVma(space: Space, vma: Vma, address: number): Vma {
  const upper: Vma = { ...vma, start: address }
  upper.pgoff += (address - vma.start) / space.layout.pageSize
  vma.end = address
  insertVma(space, upper)
  space.counters.splits++
  return upper
}

/** Calls `visit` for each private page in [start, end), in no particular order. */
export function forEachPage(space: Space, start: number, end: number, visit: (page: number, content: PrivatePage) => void): void {
  const first = start / space.layout.pageSize
  const last = end / space.layout.pageSize
  if (last - first > space.pages.size) {
    for (const [page, content] of space.pages) if (page >= first && page < last) visit(page, content)
    return
  }
  for (let page = first; page < last; page++) {
    const content = space.pages.get(page)
    if (content !== undefined) visit(page, content)
  }
}

/** Drops the private pages of [start, end). */
export function zapPages(space: Space, start: number, end: number): void {
  forEachPage(space, start, end, (page) => space.pages.delete(page))
}
