// munmap: the range disappears; VMAs that reach over its ends are split.

import { EINVAL, ENOMEM } from './constants.ts'
import { findVmaIndex, pageAlign, type Space, splitVma, zapPages } from './space.ts'
import type { Vma } from './vma.ts'

/** Removes what is mapped in [start, end), both page aligned. */
export function unmapRange(space: Space, start: number, end: number): number {
  let index = findVmaIndex(space, start)
  const first = space.vmas[index]
  if (first === undefined || first.start >= end) return 0
  const splitsFirst = first.start < start
  if (splitsFirst && first.end > end && space.vmas.length >= space.layout.maxMapCount) return -ENOMEM
  if (splitsFirst) {
    splitVma(space, first, start)
    index++
  }
  let stop = index
  while (stop < space.vmas.length && (space.vmas[stop] as Vma).start < end) stop++
  const last = space.vmas[stop - 1] as Vma
  const splitsLast = last.end > end
  if (splitsLast) splitVma(space, last, end)
  if (splitsFirst || splitsLast) space.counters.partialUnmaps++
  space.vmas.splice(index, stop - index)
  zapPages(space, start, end)
  return 0
}

/**
 * munmap(2).
 *
 * @returns 0, also when nothing was mapped; -EINVAL for an unaligned address, a length of 0 or a range
 * that leaves user space; -ENOMEM when the split would exceed the map count.
 */
export function munmap(space: Space, address: number, length: number): number {
  const { pageSize, taskSize } = space.layout
  if (address % pageSize !== 0 || address > taskSize || length > taskSize - address) return -EINVAL
  const bytes = pageAlign(space.layout, length)
  if (bytes === 0) return -EINVAL
  return unmapRange(space, address, address + bytes)
}
