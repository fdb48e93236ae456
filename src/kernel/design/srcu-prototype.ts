// The design "srcu-prototype": the sketch in "Splitting the mmap_sem" (thread 003, February 2020) with which SRCU was to be tried
// out. The look-up holds mmap_lock, the rest of the fault SRCU alone, and nothing asks whether the VMA is still there before the
// entry is set. A draft, unsafe, here to be shown beside `srcu`, with which it shares how VMAs and files are let go of.
import { accessFlags, checkAccess, FaultFlag, VmFault } from '../fault/fault.ts'
import { handleMmFault } from '../fault/handle-mm-fault.ts'
import { Global } from '../machine/globals.ts'
import { pteOffsetMapLock } from '../pagetable/pte-offset-map.ts'
import { srcuReadLock, srcuReadUnlock } from '../sync/srcu.ts'
import { vmaLookup } from '../vma/find-vma.ts'
import { mmapReadLock, mmapReadUnlock } from '../vma/mmap-lock.ts'
import type { Design } from './design.ts'
import { faultUnderMmapLock } from './mmap-lock.ts'
import { releaseFault, vmaDetach, vmaFree, vmaInit } from './srcu.ts'

/**
 * The sketch: look-up under mmap_lock, the rest under SRCU alone. An anon_vma is left to the fault under mmap_lock here, too: the
 * mail does not speak of it, and this is not what is to be shown.
 */
function handleFault(mm: number, vpn: number, access: number): number {
  const bank = srcuReadLock(Global.srcuDomain)
  mmapReadLock(mm)
  const vma = vmaLookup(mm, vpn)
  mmapReadUnlock(mm)
  let result = vma === 0 ? VmFault.sigsegvMaperr : checkAccess(vma, access)
  if (result === 0) result = handleMmFault(mm, vma, vpn, accessFlags(access) | FaultFlag.vmaLock)
  srcuReadUnlock(Global.srcuDomain, bank)
  return (result & VmFault.retry) !== 0 ? faultUnderMmapLock(mm, vpn, access) : result
}

/** Only the PMD is looked at again, not the VMA. */
function pteMapLock(_mm: number, _vma: number, pmd: number, vpn: number): number {
  return pteOffsetMapLock(pmd, vpn)
}

function nothing(_object: number): void {}

/** The sketch of the thread, which installs without asking whether the VMA is still there. Unsafe. */
export const srcuPrototype: Design = Object.freeze({
  name: 'srcu-prototype',
  formOf: 'srcu',
  draft: true,
  handleFault,
  releaseFault,
  pteMapLock,
  mmInit: nothing,
  mmapWriteLocked: nothing,
  mmapWriteUnlocking: nothing,
  vmaInit,
  vmaAttach: nothing,
  vmaStartWrite: nothing,
  vmaDetach,
  vmaFree,
})
