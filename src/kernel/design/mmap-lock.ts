// The design "mmap-lock": every fault takes the mm's semaphore for reading, as Linux did until 6.4. Its form "mmap-lock-held" lacks
// the rule that a fault which has to wait for a disk drops the semaphore first and is done again: it waits with it held.
import { accessFlags, checkAccess, FaultFlag, VmFault } from '../fault/fault.ts'
import { handleMmFault } from '../fault/handle-mm-fault.ts'
import { load, store, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { Cache, kmemCacheFree } from '../memory/slab.ts'
import { pteOffsetMapLock } from '../pagetable/pte-offset-map.ts'
import { vmaLookup } from '../vma/find-vma.ts'
import { mmapReadLock, mmapReadUnlock } from '../vma/mmap-lock.ts'
import type { Design } from './design.ts'

/** The fault, once mmap_lock is held for reading. Returns bits of `VmFault`; with `retry` it is held no more. */
function faultOnPage(mm: number, vpn: number, access: number, flags: number): number {
  const vma = vmaLookup(mm, vpn)
  if (vma === 0) return VmFault.sigsegvMaperr
  const refused = checkAccess(vma, access)
  return refused !== 0 ? refused : handleMmFault(mm, vma, vpn, flags)
}

/** The fault under mmap_lock, which every design may fall back to. Same contract as `Design.handleFault`. */
export function faultUnderMmapLock(mm: number, vpn: number, access: number): number {
  let flags = accessFlags(access) | FaultFlag.allowRetry
  for (;;) {
    mmapReadLock(mm)
    const result = faultOnPage(mm, vpn, access, flags)
    if ((result & VmFault.retry) === 0) {
      mmapReadUnlock(mm)
      return result
    }
    store(thisCpu() + Cpu.statFaultRetries, load(thisCpu() + Cpu.statFaultRetries) + 1)
    flags |= FaultFlag.tried
  }
}

/** The fault with mmap_lock held to the end: without `allowRetry` no handler drops it. */
function faultHoldingMmapLock(mm: number, vpn: number, access: number): number {
  mmapReadLock(mm)
  const result = faultOnPage(mm, vpn, access, accessFlags(access))
  mmapReadUnlock(mm)
  return result
}

/** Drops mmap_lock, held for reading. Contract as `Design.releaseFault`. */
export function releaseFault(mm: number, _vma: number, _flags: number): void {
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

/** The same without the rule of waiting for disks without the lock: whoever writes the address space waits for them, too. */
export const mmapLockHeld: Design = Object.freeze({
  name: 'mmap-lock-held',
  formOf: 'mmap-lock',
  usualArchs: Object.freeze(['x86_64']),
  handleFault: faultHoldingMmapLock,
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
