// The design "mmap-lock": every fault takes the mm's semaphore for reading, as Linux did until 6.4.
import { accessFlags, checkAccess, FaultFlag, VmFault } from '../fault/fault.ts'
import { handleMmFault } from '../fault/handle-mm-fault.ts'
import { load, store, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { Cache, kmemCacheFree } from '../memory/slab.ts'
import { pteOffsetMapLock } from '../pagetable/pte-offset-map.ts'
import { vmaLookup } from '../vma/find-vma.ts'
import { mmapReadLock, mmapReadUnlock } from '../vma/mmap-lock.ts'
import type { Design } from './design.ts'

/** The fault under mmap_lock, which every design may fall back to. Same contract as `Design.handleFault`. */
export function faultUnderMmapLock(mm: number, vpn: number, access: number): number {
  let flags = accessFlags(access) | FaultFlag.allowRetry
  for (;;) {
    mmapReadLock(mm)
    const vma = vmaLookup(mm, vpn)
    let result = vma === 0 ? VmFault.sigsegvMaperr : checkAccess(vma, access)
    if (result === 0) result = handleMmFault(mm, vma, vpn, flags)
    if ((result & VmFault.retry) === 0) {
      mmapReadUnlock(mm)
      return result
    }
    store(thisCpu() + Cpu.statFaultRetries, load(thisCpu() + Cpu.statFaultRetries) + 1)
    flags |= FaultFlag.tried
  }
}

function releaseFault(mm: number, _vma: number, _flags: number): void {
  mmapReadUnlock(mm)
}

function pteMapLock(_mm: number, _vma: number, pmd: number, vpn: number): number {
  return pteOffsetMapLock(pmd, vpn)
}

function nothing(_object: number): void {}

function vmaFree(vma: number): void {
  kmemCacheFree(Cache.vma, vma)
}

/** Faults under mmap_lock for reading; VMAs need no lock of their own. */
export const mmapLock: Design = Object.freeze({
  name: 'mmap-lock',
  handleFault: faultUnderMmapLock,
  releaseFault,
  pteMapLock,
  mmInit: nothing,
  mmapWriteLocked: nothing,
  mmapWriteUnlocking: nothing,
  vmaInit: nothing,
  vmaAttach: nothing,
  vmaStartWrite: nothing,
  vmaDetach: nothing,
  vmaFree,
})
