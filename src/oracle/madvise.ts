// madvise: DONTNEED, FREE and the two POPULATE forms. None of them changes VMAs.

import { beyondEnd, populateForWrite } from './access.ts'
import * as c from './constants.ts'
import { findVmaIndex, forEachPage, pageAlign, type Space, vmaLookup, zapPages } from './space.ts'
import { type Vma, vmaIsAnonymous } from './vma.ts'

/** Lets `visit` see each mapped part of the range; a hole makes the result -ENOMEM but stops nothing. */
function walkVmas(space: Space, start: number, end: number, visit: (vma: Vma, from: number, to: number) => number): number {
  let result = 0
  let at = start
  for (let index = findVmaIndex(space, start); at < end; index++) {
    const vma = space.vmas[index]
    if (vma === undefined) return -c.ENOMEM
    if (at < vma.start) {
      result = -c.ENOMEM
      at = vma.start
      if (at >= end) break
    }
    const error = visit(vma, at, Math.min(end, vma.end))
    if (error < 0) return error
    at = vma.end
  }
  return result
}

function free(space: Space, vma: Vma, from: number, to: number): number {
  if (!vmaIsAnonymous(vma)) return -c.EINVAL
  forEachPage(space, from, to, (page, content) => space.pages.set(page, { stamp: content.stamp, lazyFree: true }))
  return 0
}

/** Page by page until one cannot be had: a hole, missing rights, or the end of the file. */
function populate(space: Space, start: number, end: number, write: boolean): number {
  for (let at = start; at < end; at += space.layout.pageSize) {
    const vma = vmaLookup(space, at)
    if (vma === undefined) return -c.ENOMEM
    if ((vma.flags & (write ? c.VM_WRITE : c.VM_READ)) === 0 || (vma.flags & c.VM_PFNMAP) !== 0) return -c.EINVAL
    if (write) populateForWrite(space, vma, at)
    if (!space.pages.has(at / space.layout.pageSize) && beyondEnd(space, vma, at)) return -c.EFAULT
  }
  return 0
}

/**
 * madvise(2).
 *
 * @returns 0; -EINVAL for an unaligned address, an unknown advice, MADV_FREE on anything but private
 * anonymous memory, or POPULATE without the right; -ENOMEM for a hole (DONTNEED and FREE go on behind
 * it, POPULATE stops); -EFAULT where POPULATE meets the end of the file.
 */
export function madvise(space: Space, address: number, length: number, advice: number): number {
  const known = [c.MADV_DONTNEED, c.MADV_FREE, c.MADV_POPULATE_READ, c.MADV_POPULATE_WRITE]
  if (!known.includes(advice) || address % space.layout.pageSize !== 0) return -c.EINVAL
  const end = address + pageAlign(space.layout, length)
  switch (advice) {
    case c.MADV_DONTNEED:
      return walkVmas(space, address, end, (vma, from, to) => {
        if ((vma.flags & c.VM_PFNMAP) !== 0) return -c.EINVAL
        zapPages(space, from, to)
        return 0
      })
    case c.MADV_FREE:
      return walkVmas(space, address, end, (vma, from, to) => free(space, vma, from, to))
    default:
      return populate(space, address, end, advice === c.MADV_POPULATE_WRITE)
  }
}
