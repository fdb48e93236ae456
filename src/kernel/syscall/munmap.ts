// munmap: split at the ends, out of the tree, then unmap, free tables, free VMAs. Once the VMAs are out of the tree the
// semaphore is only held for reading, so that other faults go on while pages are freed.
import { design } from '../design/design.ts'
import { load, store } from '../machine/instructions.ts'
import { putFile } from '../memory/file.ts'
import { Mm } from '../memory/mm.ts'
import { freePgdRange } from '../pagetable/free-pgtables.ts'
import { tlbFinishMmu, tlbGatherMmu } from '../pagetable/mmu-gather.ts'
import { unmapPageRange } from '../pagetable/zap.ts'
import { unlinkAnonVmas } from '../vma/anon-vma.ts'
import { findVma, findVmaBefore, findVmaIntersection } from '../vma/find-vma.ts'
import { unlinkFileVmas } from '../vma/i-mmap.ts'
import { mmapReadUnlock, mmapWriteDowngrade, mmapWriteLock, mmapWriteUnlock } from '../vma/mmap-lock.ts'
import { splitVma } from '../vma/split.ts'
import { Vma, vmaPutPolicy } from '../vma/vma.ts'
import { vmaTreeClear, vmaTreeReplace } from '../vma/vma-tree.ts'
import { enterKernel, exitKernel } from './entry.ts'

/**
 * vms_gather_munmap_vmas and the clearing of the tree: takes everything from `start` to `end` out of the address space,
 * splitting at the ends. mmap_lock is held for writing. Returns the list of detached VMAs through `Vma.next`, 0 if there
 * was nothing, or -ENOMEM, nothing unmapped. `replacement`: a VMA with these bounds to take their place, or 0.
 */
function detachRange(mm: number, start: number, end: number, replacement: number): number {
  let vma = findVmaIntersection(mm, start, end)
  if (vma === 0) return 0
  if (load(vma + Vma.start) < start) {
    vma = splitVma(mm, vma, start)
    if (vma < 0) return vma
  }
  const first = vma
  let last = 0
  let pages = 0
  let count = 0
  while (vma !== 0 && load(vma + Vma.start) < end) {
    if (load(vma + Vma.end) > end) {
      const upper = splitVma(mm, vma, end)
      if (upper < 0) return upper
    }
    design.vmaStartWrite(vma)
    if (last !== 0) store(last + Vma.next, vma)
    last = vma
    pages += load(vma + Vma.end) - load(vma + Vma.start)
    count++
    vma = findVma(mm, load(vma + Vma.end))
  }
  store(last + Vma.next, 0)
  const error = replacement !== 0 ? vmaTreeReplace(mm, replacement) : vmaTreeClear(mm, start, end)
  if (error !== 0) return error
  for (let gone = first; gone !== 0; gone = load(gone + Vma.next)) design.vmaDetach(gone)
  store(mm + Mm.mapCount, load(mm + Mm.mapCount) - count)
  store(mm + Mm.totalVm, load(mm + Mm.totalVm) - pages)
  return first
}

/** Unmaps the pages of detached VMAs and frees the tables between `floor` and `ceiling`. mmap_lock is held. */
function unmapRegion(mm: number, first: number, floor: number, ceiling: number): void {
  tlbGatherMmu(mm)
  let end = 0
  for (let vma = first; vma !== 0; vma = load(vma + Vma.next)) {
    unmapPageRange(mm, load(vma + Vma.start), load(vma + Vma.end))
    end = load(vma + Vma.end)
  }
  unlinkFileVmas(first)
  freePgdRange(mm, load(first + Vma.start), end, floor, ceiling)
  tlbFinishMmu()
}

/** remove_vma for a list of detached ones. */
function removeVmas(first: number): void {
  let vma = first
  while (vma !== 0) {
    const next = load(vma + Vma.next)
    unlinkAnonVmas(vma)
    if (load(vma + Vma.file) !== 0) putFile(load(vma + Vma.file))
    vmaPutPolicy(vma)
    design.vmaFree(vma)
    vma = next
  }
}

/** do_munmap: unmaps the pages from `start` to `end` (exclusive) with mmap_lock held for writing throughout. Returns 0 or -ENOMEM. */
export function doMunmap(mm: number, start: number, end: number): number {
  return unmapAndReplace(mm, start, end, 0)
}

/** `doMunmap` of something, with `replacement`, write-locked, in its place. Returns 0; or -ENOMEM, nothing unmapped and nothing replaced. */
export function unmapAndReplace(mm: number, start: number, end: number, replacement: number): number {
  const first = detachRange(mm, start, end, replacement)
  if (first <= 0) return first
  unmapRegion(mm, first, endBelow(mm, start), startAbove(mm, end))
  removeVmas(first)
  return 0
}

/**
 * Frees what tables there are for the pages from `start` to `end` (exclusive), where nothing is mapped, unless a VMA beside them needs
 * them: for a call that had made tables and gives up. mmap_lock is held for writing.
 */
export function freeUnusedTables(mm: number, start: number, end: number): void {
  tlbGatherMmu(mm)
  freePgdRange(mm, start, end, endBelow(mm, start), startAbove(mm, end))
  tlbFinishMmu()
}

/** The end of the VMA below page `start`, or 0. */
function endBelow(mm: number, start: number): number {
  const below = findVmaBefore(mm, start)
  return below === 0 ? 0 : load(below + Vma.end)
}

/** The start of the VMA at or above page `end`, or the end of everything. */
function startAbove(mm: number, end: number): number {
  const above = findVma(mm, end)
  return above === 0 ? 0x7ffffffe : load(above + Vma.start)
}

/** munmap: `pages` pages from page `start`. Returns 0 or -ENOMEM. What is not mapped is passed over. */
export function sysMunmap(mm: number, start: number, pages: number): number {
  enterKernel()
  mmapWriteLock(mm)
  const end = start + pages
  const first = detachRange(mm, start, end, 0)
  if (first <= 0) {
    mmapWriteUnlock(mm)
    exitKernel()
    return first
  }
  const floor = endBelow(mm, start)
  const ceiling = startAbove(mm, end)
  mmapWriteDowngrade(mm)
  unmapRegion(mm, first, floor, ceiling)
  removeVmas(first)
  mmapReadUnlock(mm)
  exitKernel()
  return 0
}
