// mprotect: VMA by VMA from the left, keeping what was done when it has to stop.
import { pteFlags } from '../fault/anonymous.ts'
import { Errno } from '../machine/errno.ts'
import { load, writeOnce } from '../machine/instructions.ts'
import { changeProtection } from '../pagetable/change-protection.ts'
import { tlbFinishMmu, tlbGatherMmu } from '../pagetable/mmu-gather.ts'
import { findVma } from '../vma/find-vma.ts'
import { mmapWriteLock, mmapWriteUnlock } from '../vma/mmap-lock.ts'
import { vmaModifyFlags } from '../vma/split.ts'
import { Vm, Vma, vmaIsAnonymous } from '../vma/vma.ts'
import { enterKernel, exitKernel } from './entry.ts'

/**
 * The VMA's flags once it has `prot` (VM_READ, VM_WRITE, VM_EXEC). A private mapping that becomes writable is charged
 * (VM_ACCOUNT) from then on; anonymous memory that stops being writable before its first write is uncharged.
 */
function protectedFlags(vma: number, prot: number): number {
  const old = load(vma + Vma.flags)
  const flags = (old & ~Vm.access) | prot
  if (flags === old) return flags
  if ((flags & Vm.write) !== 0) {
    return (old & (Vm.account | Vm.write | Vm.shared | Vm.noReserve)) !== 0 ? flags : flags | Vm.account
  }
  return vmaIsAnonymous(vma) && load(vma + Vma.anonVma) === 0 ? flags & ~Vm.account : flags
}

/** mprotect_fixup: gives the pages from `start` to `end` of `vma` the flags `flags`. Returns the VMA that holds them or -errno. */
function mprotectFixup(mm: number, vma: number, start: number, end: number, flags: number): number {
  const target = vmaModifyFlags(mm, vma, start, end, flags)
  if (target < 0) return target
  writeOnce(target + Vma.flags, flags)
  const exclusiveMayWrite = (flags & (Vm.write | Vm.shared)) === Vm.write ? 1 : 0
  changeProtection(mm, start, end, pteFlags(flags), exclusiveMayWrite)
  return target
}

/**
 * mprotect of `pages` pages from page `start` to `prot` (VM_READ, VM_WRITE, VM_EXEC). Returns 0; -ENOMEM if the range begins
 * in a hole or has one (what lies before is changed), or without memory; -EACCES where a VMA may not have such rights.
 */
export function sysMprotect(mm: number, start: number, pages: number, prot: number): number {
  enterKernel()
  mmapWriteLock(mm)
  tlbGatherMmu(mm)
  const end = start + pages
  let at = start
  let result = 0
  while (at < end) {
    const vma = findVma(mm, at)
    if (vma === 0 || load(vma + Vma.start) > at) {
      result = -Errno.ENOMEM
      break
    }
    if ((prot & ~(load(vma + Vma.flags) >> 4)) !== 0) {
      result = -Errno.EACCES
      break
    }
    const flags = protectedFlags(vma, prot)
    let stop = load(vma + Vma.end)
    if (flags !== load(vma + Vma.flags)) {
      if (stop > end) stop = end
      const target = mprotectFixup(mm, vma, at, stop, flags)
      if (target < 0) {
        result = target
        break
      }
      stop = load(target + Vma.end)
    }
    at = stop
  }
  tlbFinishMmu()
  mmapWriteUnlock(mm)
  exitKernel()
  return result
}
