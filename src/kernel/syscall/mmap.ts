// mmap: placement, replacement of what is there, merging, a new VMA. Addresses are virtual page numbers here; bytes,
// rounding and the errors of unaligned arguments are the caller's (`address-space/`).
import { runEnd, runStart } from '../arch/windows.ts'
import { design } from '../design/design.ts'
import { Errno } from '../machine/errno.ts'
import { Global } from '../machine/globals.ts'
import { atomicAdd, load, store } from '../machine/instructions.ts'
import { isDevice } from '../memory/device.ts'
import { fileInode, getFile, putFile, shmemFileSetup } from '../memory/file.ts'
import { Mm } from '../memory/mm.ts'
import { rcuBarrier, rcuBarrierPending } from '../softirq.ts'
import { findVmaIntersection } from '../vma/find-vma.ts'
import { vmaLinkFile } from '../vma/i-mmap.ts'
import { vmaMergeExistingRange, vmaMergeNewRange, vmgSet } from '../vma/merge.ts'
import { mmapWriteLock, mmapWriteUnlock } from '../vma/mmap-lock.ts'
import { Vm, Vma, vmAreaAlloc } from '../vma/vma.ts'
import { vmaTreeEmptyArea, vmaTreeEmptyAreaRev, vmaTreeLink } from '../vma/vma-tree.ts'
import { enterKernel, exitKernel } from './entry.ts'
import { unmapAndReplace } from './munmap.ts'

/** How the caller's address is meant. */
export const Placement = Object.freeze({ hint: 0, fixed: 1, fixedNoreplace: 2 })

/**
 * get_unmapped_area: where `pages` pages go: at `hint` if that range is free, else into the highest gap below mmap_base,
 * else into the lowest above it. Windows that are not adjacent in reality are never spanned. Returns a page or -ENOMEM.
 */
export function getUnmappedArea(mm: number, hint: number, pages: number): number {
  if (hint > 0) {
    const at = Math.max(hint, load(Global.mmapMinPage))
    if (at + pages <= load(Global.taskSize) && at + pages <= runEnd(at) && findVmaIntersection(mm, at, at + pages) === 0) return at
  }
  const lowest = load(Global.mmapMinPage)
  let high = load(mm + Mm.mmapBase)
  while (high > lowest) {
    const start = runStart(high - 1)
    const low = Math.max(start, lowest)
    const found = high - low >= pages ? vmaTreeEmptyAreaRev(mm, low, high - 1, pages) : -1
    if (found >= 0) return found
    high = start
  }
  let low = load(mm + Mm.mmapBase)
  while (low < load(Global.taskSize)) {
    const run = runEnd(low)
    const end = Math.min(run, load(Global.taskSize))
    const found = end - low >= pages ? vmaTreeEmptyArea(mm, low, end - 1, pages) : -1
    if (found >= 0) return found
    low = run
  }
  return -Errno.ENOMEM
}

/**
 * mmap_region: maps `pages` pages at `start`, replacing what is there, with VMA flags `flags`, page offset `pgoff` and
 * `file` (0: anonymous; the VMA takes a reference of its own). mmap_lock is held for writing. Returns 0 or -ENOMEM.
 */
export function mmapRegion(mm: number, start: number, pages: number, flags: number, pgoff: number, file: number): number {
  let error = 0
  if (findVmaIntersection(mm, start, start + pages) !== 0) error = replaceRange(mm, start, pages, flags, pgoff, file)
  else {
    vmgSet(mm, start, start + pages, flags, pgoff, file, 0)
    if (vmaMergeNewRange(0) === 0) error = insertNewVma(mm, start, pages, flags, pgoff, file)
  }
  if (error === 0) store(mm + Mm.totalVm, load(mm + Mm.totalVm) + pages)
  return error
}

/** A VMA with these fields, complete and write-locked, that is in no tree yet and has no reference to its file. Returns 0 without memory. */
function newVma(mm: number, start: number, pages: number, flags: number, pgoff: number, file: number): number {
  const vma = vmAreaAlloc(mm)
  if (vma === 0) return 0
  store(vma + Vma.start, start)
  store(vma + Vma.end, start + pages)
  store(vma + Vma.flags, flags)
  store(vma + Vma.pgoff, pgoff)
  store(vma + Vma.file, file)
  design.vmaStartWrite(vma)
  design.vmaAttach(vma)
  return vma
}

/** The VMA is in the tree: it takes its reference to `file`, and counts. */
function vmaLinked(mm: number, vma: number, file: number): number {
  if (file !== 0) getFile(file)
  vmaLinkFile(vma)
  store(mm + Mm.mapCount, load(mm + Mm.mapCount) + 1)
  return 0
}

/** The VMA did not get into the tree. Returns `error`. */
function vmaRefused(vma: number, error: number): number {
  design.vmaDetach(vma)
  design.vmaFree(vma)
  return error
}

/**
 * A new VMA in the place of others. Whatever needs memory comes before anything is unmapped, so that want of it leaves no hole; then it
 * joins its neighbours if they fit. Returns 0 or -ENOMEM, the pages as they were.
 */
function replaceRange(mm: number, start: number, pages: number, flags: number, pgoff: number, file: number): number {
  const vma = newVma(mm, start, pages, flags, pgoff, file)
  if (vma === 0) return -Errno.ENOMEM
  const error = unmapAndReplace(mm, start, start + pages, vma)
  if (error !== 0) return vmaRefused(vma, error)
  vmaLinked(mm, vma, file)
  vmgSet(mm, start, start + pages, flags, pgoff, file, vma)
  vmaMergeExistingRange(vma)
  return 0
}

/** A VMA of its own for a range that merges with nothing (also for brk and mremap). Returns 0 or -ENOMEM. */
export function insertNewVma(mm: number, start: number, pages: number, flags: number, pgoff: number, file: number): number {
  const vma = newVma(mm, start, pages, flags, pgoff, file)
  if (vma === 0) return -Errno.ENOMEM
  const error = vmaTreeLink(mm, vma)
  return error !== 0 ? vmaRefused(vma, error) : vmaLinked(mm, vma, file)
}

/**
 * mmap. `placement` says how `address` (a page; 0: anywhere) is meant; `flags` are VMA flags, or a negated errno that is the
 * answer if nothing earlier is wrong; private anonymous memory gets the page offset of its address, others `pgoff`. Returns
 * the first page; or -EINVAL (a private mapping of a device), -ENOMEM, -EEXIST, -EPERM (below the lowest page). May wait for a grace
 * period, with nothing held, if there is no memory until then.
 */
export function sysMmap(mm: number, address: number, pages: number, flags: number, placement: number, file: number, pgoff: number): number {
  enterKernel()
  let result = mmapOnce(mm, address, pages, flags, placement, file, pgoff)
  if (result === -Errno.ENOMEM && rcuBarrierPending()) {
    // Nothing has been unmapped for it, and now nothing is locked: memory may be waiting for a grace period only.
    rcuBarrier()
    result = mmapOnce(mm, address, pages, flags, placement, file, pgoff)
  }
  exitKernel()
  return result
}

function mmapOnce(mm: number, address: number, pages: number, flags: number, placement: number, file: number, pgoff: number): number {
  mmapWriteLock(mm)
  const result = doMmap(mm, address, pages, flags, placement, file, pgoff)
  mmapWriteUnlock(mm)
  return result
}

function doMmap(mm: number, address: number, pages: number, flags: number, placement: number, file: number, pgoff: number): number {
  if (load(mm + Mm.mapCount) > load(Global.maxMapCount)) return -Errno.ENOMEM
  let start = address
  if (placement === Placement.hint) {
    start = getUnmappedArea(mm, address, pages)
    if (start < 0) return start
  } else if (address + pages > load(Global.taskSize) || address + pages > runEnd(address)) return -Errno.ENOMEM
  else if (address < load(Global.mmapMinPage)) return -Errno.EPERM
  if (placement === Placement.fixedNoreplace && findVmaIntersection(mm, start, start + pages) !== 0) return -Errno.EEXIST
  if (flags < 0) return flags
  let error = 0
  if (file === 0 && (flags & Vm.shared) !== 0) {
    // shmem_zero_setup: shared anonymous memory is a file of its own.
    const shmem = shmemFileSetup(pages, atomicAdd(Global.nextFileId, 1))
    if (shmem === 0) return -Errno.ENOMEM
    error = mmapRegion(mm, start, pages, flags, 0, shmem)
    putFile(shmem)
  } else if (file !== 0 && isDevice(fileInode(file))) {
    // The driver's own mmap: of its pages there are no copies on write.
    if ((flags & Vm.mayShare) === 0) return -Errno.EINVAL
    error = mmapRegion(mm, start, pages, flags | Vm.pfnMap, pgoff, file)
  } else error = mmapRegion(mm, start, pages, flags, file === 0 ? start : pgoff, file)
  return error !== 0 ? error : start
}
