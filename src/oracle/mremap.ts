// mremap in all its forms: shrink, expand in place, move, duplicate (old length 0), DONTUNMAP, and the
// move of several VMAs at once that Linux has since 6.17. Facts: Linux 6.18 mm/mremap.c, copy_vma.

import * as c from './constants.ts'
import { mergeNewRange } from './merge.ts'
import { munmap, unmapRange } from './munmap.ts'
import { getUnmappedArea } from './placement.ts'
import {
  findIntersection,
  findVmaIndex,
  forEachPage,
  insertVma,
  type PrivatePage,
  pageAlign,
  type Space,
  vmaLookup,
  vmaNext,
} from './space.ts'
import { type Vma, vmaIsAnonymous } from './vma.ts'

/** What mremap(2) is asked for; lengths already rounded up to pages. */
interface Remap {
  readonly address: number
  readonly oldLength: number
  readonly newLength: number
  readonly flags: number
  /** Target or, with DONTUNMAP alone, a hint. */
  readonly newAddress: number
}

/** The target is given by the caller or must be found: this is a move in any case. */
function impliesNewAddress(flags: number): boolean {
  return (flags & (c.MREMAP_FIXED | c.MREMAP_DONTUNMAP)) !== 0
}

/** Checks that need no VMA, in Linux's order. */
function checkParameters(space: Space, remap: Remap): number {
  const { taskSize, pageSize, maxMapCount } = space.layout
  const { address, oldLength, newLength, flags, newAddress } = remap
  if ((flags & ~(c.MREMAP_MAYMOVE | c.MREMAP_FIXED | c.MREMAP_DONTUNMAP)) !== 0) return -c.EINVAL
  if (address % pageSize !== 0 || newLength === 0 || newLength > taskSize) return -c.EINVAL
  if (!impliesNewAddress(flags)) return 0
  if (newAddress > taskSize - newLength || newAddress % pageSize !== 0) return -c.EINVAL
  if ((flags & c.MREMAP_MAYMOVE) === 0) return -c.EINVAL
  if ((flags & c.MREMAP_DONTUNMAP) !== 0 && oldLength !== newLength) return -c.EINVAL
  if (address + oldLength > newAddress && newAddress + newLength > address) return -c.EINVAL
  return space.vmas.length + 2 >= maxMapCount - 3 ? -c.ENOMEM : 0
}

/** Checks that need the VMA (check_prep_vma). */
function checkVma(vma: Vma | undefined, remap: Remap): number {
  const { address, oldLength, newLength, flags } = remap
  if (vma === undefined) return -c.EFAULT
  if (newLength <= oldLength && !impliesNewAddress(flags)) return 0
  if (oldLength === 0 && (vma.flags & (c.VM_SHARED | c.VM_MAYSHARE)) === 0) return -c.EINVAL
  const device = (vma.flags & c.VM_PFNMAP) !== 0
  if (device && (flags & c.MREMAP_DONTUNMAP) !== 0) return -c.EINVAL
  if (device && newLength > oldLength) return -c.EFAULT
  // The part that a shrink cuts off may reach into other VMAs; the part that moves may not.
  return Math.min(oldLength, newLength) > vma.end - address ? -c.EFAULT : 0
}

/**
 * The VMA at the target (copy_vma): joined with its neighbours there if they fit, else new. Untouched
 * private anonymous memory gets the page offset of its new place, other memory keeps its own.
 */
function copyVma(space: Space, vma: Vma, remap: Remap): Vma {
  const start = remap.newAddress
  const end = start + remap.newLength
  const untouched = vmaIsAnonymous(vma) && vma.anonVma === undefined
  const pgoff = untouched ? start / space.layout.pageSize : vma.pgoff + (remap.address - vma.start) / space.layout.pageSize
  const { flags, file, anonVma, policy } = vma
  const index = findVmaIndex(space, start)
  const around = { prev: space.vmas[index - 1], next: space.vmas[index] }
  const merged = mergeNewRange(space, { start, end, flags, pgoff, file, anonVma, policy, copiedFrom: vma, ...around })
  if (merged !== undefined) return merged
  const copy: Vma = { start, end, flags, pgoff, file, anonVma, policy }
  insertVma(space, copy)
  return copy
}

function movePages(space: Space, from: number, length: number, to: number): void {
  const moved: [number, PrivatePage][] = []
  forEachPage(space, from, from + length, (page, content) => moved.push([page, content]))
  for (const [page] of moved) space.pages.delete(page)
  const shift = (to - from) / space.layout.pageSize
  for (const [page, content] of moved) space.pages.set(page + shift, content)
}

/** Moves or copies one range to `remap.newAddress`, which is free. */
function moveVma(space: Space, vma: Vma, remap: Remap): number {
  const { address, oldLength, newAddress } = remap
  const { maxMapCount } = space.layout
  if (space.vmas.length >= maxMapCount - 3) return -c.ENOMEM
  const copy = copyVma(space, vma, remap)
  movePages(space, address, oldLength, newAddress)
  if ((remap.flags & c.MREMAP_DONTUNMAP) === 0) {
    if (oldLength > 0) unmapRange(space, address, address + oldLength)
    return newAddress
  }
  // The source stays, empty and still charged; it forgets its anon_vma if all of it was copied.
  const source = vmaLookup(space, address) as Vma
  if (source !== copy && source.start === address && source.end === address + oldLength) source.anonVma = undefined
  return newAddress
}

/** A move to a given or hinted place (mremap_to). */
function remapTo(space: Space, remap: Remap): number {
  const { address, newLength, flags } = remap
  const fixed = (flags & c.MREMAP_FIXED) !== 0
  if (fixed) {
    const error = munmap(space, remap.newAddress, newLength)
    if (error < 0) return error
  }
  let { oldLength } = remap
  if (oldLength > newLength) {
    const error = unmapRange(space, address + newLength, address + oldLength)
    if (error < 0) return error
    oldLength = newLength
  }
  const vma = vmaLookup(space, address)
  if (vma === undefined) return -c.EFAULT
  const newAddress = getUnmappedArea(space, remap.newAddress, newLength, fixed)
  if (newAddress < 0) return newAddress
  return moveVma(space, vma, { ...remap, oldLength, newAddress })
}

/** A pure move may take several VMAs, which keep the gaps between them (remap_move). */
function remapSeveral(space: Space, remap: Remap): number {
  const end = remap.address + remap.oldLength
  let result = -c.EFAULT
  let at = remap.address
  while (at < end) {
    const vma = space.vmas[findVmaIndex(space, at)]
    if (vma === undefined || vma.start >= end) break
    const address = Math.max(vma.start, at)
    if (result < 0 && address > remap.address) return -c.EFAULT
    const length = Math.min(vma.end, end) - address
    const newAddress = remap.newAddress + (address - remap.address)
    const one: Remap = { address, oldLength: length, newLength: length, flags: remap.flags, newAddress }
    const moved = checkVma(vma, one) || remapTo(space, one)
    if (moved < 0) return moved
    if (result < 0) result = moved
    at = address + length
  }
  return result
}

/** Growth without a given place: in place if the room behind is free, else by a move (expand_vma). */
function expand(space: Space, vma: Vma, remap: Remap): number {
  const { address, oldLength, newLength, flags } = remap
  const end = address + newLength
  const room = end <= space.layout.end && !findIntersection(space, vma.end, end)
  if (vma.end - address === oldLength && room) {
    const pgoff = vma.pgoff + (vma.end - vma.start) / space.layout.pageSize
    const request = { start: vma.end, end, flags: vma.flags, pgoff, file: vma.file, anonVma: vma.anonVma, policy: vma.policy }
    mergeNewRange(space, { ...request, prev: vma, next: vmaNext(space, vma) })
    return address
  }
  if ((flags & c.MREMAP_MAYMOVE) === 0) return -c.ENOMEM
  const newAddress = getUnmappedArea(space, 0, newLength, false)
  return newAddress < 0 ? newAddress : moveVma(space, vma, { ...remap, newAddress })
}

/**
 * mremap(2).
 *
 * @param newAddress only read with MREMAP_FIXED (target) or MREMAP_DONTUNMAP (hint); 0 for none.
 * @returns the new address; -EINVAL for arguments that make no sense; -EFAULT where the range is not
 * mapped or not one mapping; -ENOMEM where there is no room, or no leave to move.
 */
export function mremap(space: Space, address: number, oldLength: number, newLength: number, flags: number, newAddress = 0): number {
  const lengths = { oldLength: pageAlign(space.layout, oldLength), newLength: pageAlign(space.layout, newLength) }
  const remap: Remap = { address, ...lengths, flags, newAddress }
  const invalid = checkParameters(space, remap)
  if (invalid < 0) return invalid
  if ((flags & c.MREMAP_FIXED) !== 0 && remap.oldLength === remap.newLength) return remapSeveral(space, remap)
  const vma = vmaLookup(space, address)
  const error = checkVma(vma, remap)
  if (error < 0 || vma === undefined) return error
  if (impliesNewAddress(flags)) return remapTo(space, remap)
  if (remap.oldLength === remap.newLength) return address
  if (remap.oldLength < remap.newLength) return expand(space, vma, remap)
  return unmapRange(space, address + remap.newLength, address + remap.oldLength) || address
}
