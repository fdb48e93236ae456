// mmap: checks in Linux's order, placement, replacement of what a fixed mapping covers, merging.

import * as c from './constants.ts'
import { addRange } from './merge.ts'
import { unmapRange } from './munmap.ts'
import { getUnmappedArea, roundHint } from './placement.ts'
import { findIntersection, pageAlign, type Space } from './space.ts'
import type { MappedObject, OpenFile } from './vma.ts'

/** What mmap(2) is asked for. */
export interface MmapRequest {
  /** Hint or fixed address in bytes; 0 for none. */
  readonly address: number
  readonly length: number
  readonly prot: number
  readonly flags: number
  /** Ignored with MAP_ANONYMOUS; undefined stands for a descriptor that is not open. */
  readonly file?: OpenFile | undefined
  /** In bytes. */
  readonly offset?: number
}

/** The VM_* bits of a file mapping, or a negative error. */
function fileFlags(flags: number, prot: number, file: OpenFile): number {
  const type = flags & c.MAP_TYPE
  if (type !== c.MAP_SHARED && type !== c.MAP_SHARED_VALIDATE && type !== c.MAP_PRIVATE) return -c.EINVAL
  // NOREPLACE is newer than the flags that every file is known to support.
  if (type === c.MAP_SHARED_VALIDATE && (flags & c.MAP_FIXED_NOREPLACE) !== 0) return -c.EOPNOTSUPP
  let vmFlags = 0
  if (type !== c.MAP_PRIVATE) {
    if ((prot & c.PROT_WRITE) !== 0 && !file.writable) return -c.EACCES
    vmFlags = c.VM_MAYSHARE | (file.writable ? c.VM_SHARED : 0)
  }
  if (!file.readable) return -c.EACCES
  const mayWrite = type === c.MAP_PRIVATE || file.writable
  return vmFlags | c.VM_MAYREAD | c.VM_MAYEXEC | (mayWrite ? c.VM_MAYWRITE : 0)
}

/** The VM_* bits of an anonymous mapping, or a negative error. */
function anonymousFlags(flags: number): number {
  const may = c.VM_MAYREAD | c.VM_MAYWRITE | c.VM_MAYEXEC
  switch (flags & c.MAP_TYPE) {
    case c.MAP_SHARED:
      return may | c.VM_SHARED | c.VM_MAYSHARE
    case c.MAP_PRIVATE:
      return may
    default:
      return -c.EINVAL
  }
}

/** A private mapping that can be written is charged against the commit limit (accountable_mapping). */
function accountable(vmFlags: number): boolean {
  return (vmFlags & (c.VM_NORESERVE | c.VM_SHARED | c.VM_WRITE)) === c.VM_WRITE
}

/**
 * mmap(2).
 *
 * @param newObject makes the object behind a shared anonymous mapping of so many bytes.
 * @returns the address, or a negative errno: EINVAL, EBADF, ENOMEM, EEXIST, EACCES, EOVERFLOW.
 */
export function mmap(space: Space, request: MmapRequest, newObject: (size: number) => MappedObject): number {
  const { layout } = space
  const { prot, flags, offset = 0 } = request
  const anonymous = (flags & c.MAP_ANONYMOUS) !== 0
  if (offset % layout.pageSize !== 0) return -c.EINVAL
  if (!anonymous && request.file === undefined) return -c.EBADF
  if (request.length === 0) return -c.EINVAL
  const fixed = (flags & (c.MAP_FIXED | c.MAP_FIXED_NOREPLACE)) !== 0
  const hint = fixed ? request.address : roundHint(layout, request.address)
  const length = pageAlign(layout, request.length)
  if (space.vmas.length > layout.maxMapCount) return -c.ENOMEM
  const start = getUnmappedArea(space, hint, length, fixed)
  if (start < 0) return start
  const end = start + length
  if ((flags & c.MAP_FIXED_NOREPLACE) !== 0 && findIntersection(space, start, end)) return -c.EEXIST

  let file = anonymous ? undefined : request.file
  let vmFlags = file === undefined ? anonymousFlags(flags) : fileFlags(flags, prot, file)
  if (vmFlags < 0) return vmFlags
  if (file?.object.device === true) {
    if ((vmFlags & c.VM_MAYSHARE) === 0) return -c.EINVAL
    vmFlags |= c.VM_PFNMAP
  }
  vmFlags |= prot & c.VM_ACCESS_FLAGS
  if ((flags & c.MAP_NORESERVE) !== 0) vmFlags |= c.VM_NORESERVE
  if (accountable(vmFlags)) vmFlags |= c.VM_ACCOUNT
  let pgoff = offset / layout.pageSize
  if (anonymous) {
    const shared = (vmFlags & c.VM_SHARED) !== 0
    // A new object per mapping: shared anonymous memory never merges with its neighbours.
    if (shared) file = { object: newObject(length), readable: true, writable: true }
    pgoff = shared ? 0 : start / layout.pageSize
  }
  const result = unmapRange(space, start, end)
  if (result < 0) return result
  addRange(space, { start, end, flags: vmFlags, pgoff, file, anonVma: undefined })
  return start
}
