// fork: a copy of the address space. Every VMA of the parent is write-locked while it is copied, so that no fault adds a
// page to a part that has been copied already.
import { design } from '../design/design.ts'
import { load, store } from '../machine/instructions.ts'
import { getFile, putFile } from '../memory/file.ts'
import { mpolGet } from '../memory/mempolicy.ts'
import { Mm } from '../memory/mm.ts'
import { copyPageRange } from '../pagetable/copy-page-range.ts'
import { flushTlbMmRange } from '../pagetable/tlb-flush.ts'
import { rcuBarrier, rcuBarrierPending } from '../softirq.ts'
import { anonVmaFork, unlinkAnonVmas } from '../vma/anon-vma.ts'
import { findVma } from '../vma/find-vma.ts'
import { vmaLinkFile } from '../vma/i-mmap.ts'
import { mmapWriteLock, mmapWriteUnlock } from '../vma/mmap-lock.ts'
import { Vm, Vma, vmAreaDup, vmaPages, vmaPutPolicy } from '../vma/vma.ts'
import { vmaTreeLink } from '../vma/vma-tree.ts'
import { enterKernel, exitKernel } from './entry.ts'
import { exitMmap, mmAlloc } from './exit.ts'

/** Copies one VMA and its pages to the child. Returns 0, or 1 without memory. */
function dupVma(child: number, parent: number, vma: number): number {
  const copy = vmAreaDup(vma, child)
  if (copy === 0) return 1
  // Whoever fills a userfault range fills the parent's: the child finds zeroes.
  store(copy + Vma.flags, load(copy + Vma.flags) & ~(Vm.locked | Vm.userfault))
  const wipe = (load(vma + Vma.flags) & Vm.wipeOnFork) !== 0
  if (!wipe && anonVmaFork(copy, vma) !== 0) {
    design.vmaFree(copy)
    return 1
  }
  const file = load(copy + Vma.file)
  if (file !== 0) getFile(file)
  mpolGet(load(copy + Vma.policy))
  design.vmaStartWrite(copy)
  design.vmaAttach(copy)
  if (vmaTreeLink(child, copy) !== 0) {
    design.vmaDetach(copy)
    unlinkAnonVmas(copy)
    if (file !== 0) putFile(file)
    vmaPutPolicy(copy)
    design.vmaFree(copy)
    return 1
  }
  vmaLinkFile(copy)
  store(child + Mm.mapCount, load(child + Mm.mapCount) + 1)
  store(child + Mm.totalVm, load(child + Mm.totalVm) + vmaPages(copy))
  // Without an anon_vma nothing is private: the child's faults find shared pages and the file by themselves.
  if (wipe || load(vma + Vma.anonVma) === 0) return 0
  return copyPageRange(child, parent, load(vma + Vma.start), load(vma + Vma.end), load(copy + Vma.anonVma), load(copy + Vma.pgoff))
}

/** dup_mmap. mmap_lock of both is held for writing. Returns 0, or 1 without memory. */
function dupMmap(child: number, parent: number): number {
  store(child + Mm.startBrk, load(parent + Mm.startBrk))
  store(child + Mm.brk, load(parent + Mm.brk))
  store(child + Mm.brkUnused, load(parent + Mm.brkUnused))
  let vma = findVma(parent, 0)
  while (vma !== 0) {
    design.vmaStartWrite(vma)
    if ((load(vma + Vma.flags) & Vm.dontCopy) === 0 && dupVma(child, parent, vma) !== 0) return 1
    vma = findVma(parent, load(vma + Vma.end))
  }
  return 0
}

/**
 * fork: returns the child's mm, or 0 without memory (ENOMEM), the parent unchanged but for lost write rights. May wait for a grace
 * period, with nothing held, if there is no memory until then.
 */
export function sysFork(parent: number): number {
  enterKernel()
  // Asked before: an attempt that fails defers the freeing of what it had.
  const deferred = rcuBarrierPending()
  let child = forkOnce(parent)
  if (child === 0 && deferred) {
    rcuBarrier()
    child = forkOnce(parent)
  }
  exitKernel()
  return child
}

function forkOnce(parent: number): number {
  const child = mmAlloc()
  if (child === 0) return 0
  mmapWriteLock(parent)
  mmapWriteLock(child)
  const failed = dupMmap(child, parent)
  flushTlbMmRange(parent, 0, 0x7fffffff)
  mmapWriteUnlock(child)
  mmapWriteUnlock(parent)
  if (failed !== 0) exitMmap(child)
  return failed !== 0 ? 0 : child
}
