// mremap: shrink, expand in place, move, duplicate (old length 0), DONTUNMAP, and the move of several VMAs at once that
// Linux has since 6.17. Addresses and lengths are in pages; unaligned and absurd arguments were refused by the caller.
import { runEnd } from '../arch/windows.ts'
import { design } from '../design/design.ts'
import { Errno } from '../machine/errno.ts'
import { Global } from '../machine/globals.ts'
import { load, store } from '../machine/instructions.ts'
import { getFile } from '../memory/file.ts'
import { mpolGet } from '../memory/mempolicy.ts'
import { Mm } from '../memory/mm.ts'
import { movePageTables, movePrepare } from '../pagetable/move-page-tables.ts'
import { anonVmaClone, unlinkAnonVmas } from '../vma/anon-vma.ts'
import { findVma, findVmaIntersection, vmaLookup } from '../vma/find-vma.ts'
import { vmaLinkFile } from '../vma/i-mmap.ts'
import { vmaMergeNewRange, vmgSet, vmgSetAnonVma, vmgSetPolicy } from '../vma/merge.ts'
import { mmapWriteLock, mmapWriteUnlock } from '../vma/mmap-lock.ts'
import { Vm, Vma, vmAreaDup, vmaIsAnonymous } from '../vma/vma.ts'
import { vmaTreeLink } from '../vma/vma-tree.ts'
import { enterKernel, exitKernel } from './entry.ts'
import { getUnmappedArea } from './mmap.ts'
import { doMunmap, freeUnusedTables } from './munmap.ts'

/** Flags of mremap; the values are Linux's MREMAP_. */
export const Remap = Object.freeze({ mayMove: 1, fixed: 2, dontUnmap: 4 })

/** The target is given by the caller or must be found: this is a move in any case. */
function impliesNewAddress(flags: number): boolean {
  return (flags & (Remap.fixed | Remap.dontUnmap)) !== 0
}

/** Checks that need the VMA (check_prep_vma). Returns 0 or -errno. */
function checkVma(vma: number, address: number, oldPages: number, newPages: number, flags: number): number {
  if (vma === 0) return -Errno.EFAULT
  if (newPages <= oldPages && !impliesNewAddress(flags)) return 0
  if (oldPages === 0 && (load(vma + Vma.flags) & (Vm.shared | Vm.mayShare)) === 0) return -Errno.EINVAL
  const device = (load(vma + Vma.flags) & Vm.pfnMap) !== 0
  if (device && (flags & Remap.dontUnmap) !== 0) return -Errno.EINVAL
  if (device && newPages > oldPages) return -Errno.EFAULT
  // The part that a shrink cuts off may reach into other VMAs; the part that moves may not.
  return Math.min(oldPages, newPages) > load(vma + Vma.end) - address ? -Errno.EFAULT : 0
}

/**
 * copy_vma: a VMA for `pages` pages at `target` like `vma` from page `address` on; joined with its neighbours there if they
 * fit. Memory that was never written gets the page offset of its new place. Returns the VMA, or 0 without memory.
 */
function copyVma(mm: number, vma: number, address: number, target: number, pages: number): number {
  const untouched = vmaIsAnonymous(vma) && load(vma + Vma.anonVma) === 0
  const pgoff = untouched ? target : (load(vma + Vma.pgoff) + address - load(vma + Vma.start)) | 0
  // userfaultfd did not ask for MREMAP events: what moves is no longer registered.
  const flags = load(vma + Vma.flags) & ~Vm.userfault
  vmgSet(mm, target, target + pages, flags, pgoff, load(vma + Vma.file), vma)
  const merged = vmaMergeNewRange(0)
  if (merged !== 0) return merged
  const copy = vmAreaDup(vma, mm)
  if (copy === 0) return 0
  store(copy + Vma.start, target)
  store(copy + Vma.end, target + pages)
  store(copy + Vma.flags, flags)
  store(copy + Vma.pgoff, pgoff)
  if (anonVmaClone(copy, vma, 1) !== 0) {
    design.vmaFree(copy)
    return 0
  }
  design.vmaStartWrite(copy)
  design.vmaAttach(copy)
  if (vmaTreeLink(mm, copy) !== 0) {
    design.vmaDetach(copy)
    unlinkAnonVmas(copy)
    design.vmaFree(copy)
    return 0
  }
  if (load(copy + Vma.file) !== 0) getFile(load(copy + Vma.file))
  mpolGet(load(copy + Vma.policy))
  vmaLinkFile(copy)
  store(mm + Mm.mapCount, load(mm + Mm.mapCount) + 1)
  return copy
}

/** move_vma: moves or copies one range to `target`, which is free. Returns `target` or -ENOMEM. */
function moveVma(mm: number, vma: number, address: number, oldPages: number, target: number, newPages: number, flags: number): number {
  if (load(mm + Mm.mapCount) >= load(Global.maxMapCount) - 3) return -Errno.ENOMEM
  design.vmaStartWrite(vma)
  const copy = movePrepare(mm, address, oldPages, target) !== 0 ? 0 : copyVma(mm, vma, address, target, newPages)
  if (copy === 0) {
    // Tables below no VMA: no munmap would come by to free them.
    freeUnusedTables(mm, target, target + oldPages)
    return -Errno.ENOMEM
  }
  movePageTables(mm, address, oldPages, target)
  store(mm + Mm.totalVm, load(mm + Mm.totalVm) + newPages)
  if ((flags & Remap.dontUnmap) === 0) {
    if (oldPages === 0) return target
    // Splitting may lack memory: then the empty source stays, as in Linux.
    doMunmap(mm, address, address + oldPages)
    return target
  }
  // The source stays, empty and still charged; it forgets its anon_vma if all of it was moved.
  const source = vmaLookup(mm, address)
  const whole = load(source + Vma.start) === address && load(source + Vma.end) === address + oldPages
  // If it is not the copy it is `vma`, write-locked since the beginning.
  if (source !== copy && whole) unlinkAnonVmas(source)
  return target
}

/** mremap_to: a move to a given or hinted place. Returns the new page or -errno. */
function mremapTo(mm: number, address: number, oldPages: number, newPages: number, flags: number, newAddress: number): number {
  const fixed = (flags & Remap.fixed) !== 0
  if (fixed) {
    const error = doMunmap(mm, newAddress, newAddress + newPages)
    if (error !== 0) return error
  }
  let pages = oldPages
  if (pages > newPages) {
    const error = doMunmap(mm, address + newPages, address + pages)
    if (error !== 0) return error
    pages = newPages
  }
  const vma = vmaLookup(mm, address)
  if (vma === 0) return -Errno.EFAULT
  const target = fixed ? newAddress : getUnmappedArea(mm, newAddress, newPages)
  return target < 0 ? target : moveVma(mm, vma, address, pages, target, newPages, flags)
}

/** remap_move: a move of unchanged length may take several VMAs, which keep the gaps between them. */
function remapMove(mm: number, address: number, pages: number, flags: number, newAddress: number): number {
  const end = address + pages
  let result = -Errno.EFAULT
  let at = address
  while (at < end) {
    const vma = findVma(mm, at)
    if (vma === 0 || load(vma + Vma.start) >= end) break
    const from = Math.max(load(vma + Vma.start), at)
    if (result < 0 && from > address) return -Errno.EFAULT
    const count = Math.min(load(vma + Vma.end), end) - from
    const error = checkVma(vma, from, count, count, flags)
    if (error !== 0) return error
    const moved = mremapTo(mm, from, count, count, flags, newAddress + from - address)
    if (moved < 0) return moved
    if (result < 0) result = moved
    at = from + count
  }
  return result
}

/** expand_vma: growth without a given place: in place if the room behind is free, else by a move. */
function expandVma(mm: number, vma: number, address: number, oldPages: number, newPages: number, flags: number): number {
  const end = address + newPages
  const behind = load(vma + Vma.end)
  const fits = end <= load(Global.taskSize) && end <= runEnd(address)
  if (behind - address === oldPages && fits && findVmaIntersection(mm, behind, end) === 0) {
    const pgoff = (load(vma + Vma.pgoff) + behind - load(vma + Vma.start)) | 0
    vmgSet(mm, behind, end, load(vma + Vma.flags), pgoff, load(vma + Vma.file), 0)
    vmgSetAnonVma(load(vma + Vma.anonVma))
    vmgSetPolicy(load(vma + Vma.policy))
    if (vmaMergeNewRange(0) === 0) return -Errno.ENOMEM
    store(mm + Mm.totalVm, load(mm + Mm.totalVm) + end - behind)
    return address
  }
  if ((flags & Remap.mayMove) === 0) return -Errno.ENOMEM
  const target = getUnmappedArea(mm, 0, newPages)
  return target < 0 ? target : moveVma(mm, vma, address, oldPages, target, newPages, flags)
}

/**
 * mremap of `oldPages` pages at `address` to `newPages` pages; `newAddress` is the target with `Remap.fixed`, a hint with
 * `Remap.dontUnmap`. Returns the new first page; -EFAULT where the range is not mapped or not one mapping; -EINVAL for an
 * old length of 0 on private memory; -ENOMEM where there is no room or no leave to move.
 */
export function sysMremap(mm: number, address: number, oldPages: number, newPages: number, flags: number, newAddress: number): number {
  enterKernel()
  mmapWriteLock(mm)
  const result = doMremap(mm, address, oldPages, newPages, flags, newAddress)
  mmapWriteUnlock(mm)
  exitKernel()
  return result
}

function doMremap(mm: number, address: number, oldPages: number, newPages: number, flags: number, newAddress: number): number {
  if (impliesNewAddress(flags) && load(mm + Mm.mapCount) + 2 >= load(Global.maxMapCount) - 3) return -Errno.ENOMEM
  if ((flags & Remap.fixed) !== 0 && oldPages === newPages) return remapMove(mm, address, oldPages, flags, newAddress)
  const vma = vmaLookup(mm, address)
  const error = checkVma(vma, address, oldPages, newPages, flags)
  if (error !== 0) return error
  if (impliesNewAddress(flags)) return mremapTo(mm, address, oldPages, newPages, flags, newAddress)
  if (oldPages === newPages) return address
  if (oldPages < newPages) return expandVma(mm, vma, address, oldPages, newPages, flags)
  const failed = doMunmap(mm, address + newPages, address + oldPages)
  return failed !== 0 ? failed : address
}
