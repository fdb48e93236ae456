// brk: the heap grows by a VMA of its own that expands, and shrinks by unmapping.

import * as c from './constants.ts'
import { mergeNewRange } from './merge.ts'
import { unmapRange } from './munmap.ts'
import { findIntersection, findVmaIndex, insertVma, pageAlign, type Space } from './space.ts'
import type { Vma } from './vma.ts'

const HEAP = c.VM_READ | c.VM_WRITE | c.VM_MAYREAD | c.VM_MAYWRITE | c.VM_MAYEXEC | c.VM_ACCOUNT

/** Adds [start, end) to the heap VMA below it if they fit (do_brk_flags never looks to the right). */
function grow(space: Space, start: number, end: number): void {
  const prev = space.vmas[findVmaIndex(space, start) - 1]
  const heap: Vma = { start, end, flags: HEAP, pgoff: start / space.layout.pageSize, file: undefined, anonVma: undefined }
  if (prev !== undefined && prev.end === start && prev.end > space.startBrk) {
    if (mergeNewRange(space, { ...heap, prev, next: undefined }, true) !== undefined) return
  }
  insertVma(space, heap)
}

/**
 * The system call brk (not the libc function).
 *
 * @param address wanted end of the heap in bytes; not rounded.
 * @returns the end of the heap afterwards: `address` on success, the unchanged one on any failure.
 */
export function brk(space: Space, address: number): number {
  const { layout } = space
  if (address < space.startBrk) return space.brk
  const newEnd = pageAlign(layout, address)
  const oldEnd = pageAlign(layout, space.brk)
  if (newEnd < oldEnd) {
    const vma = findIntersection(space, newEnd, oldEnd)
    if (vma === undefined || unmapRange(space, newEnd, oldEnd) < 0) return space.brk
  } else if (newEnd > oldEnd) {
    // One page of distance to whatever comes next.
    const room = newEnd + layout.pageSize <= layout.end && !findIntersection(space, oldEnd, newEnd + layout.pageSize)
    if (!room) return space.brk
    grow(space, oldEnd, newEnd)
  }
  space.brk = address
  return address
}
