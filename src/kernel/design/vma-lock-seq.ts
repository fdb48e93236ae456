// The design "vma-lock-seq": per-VMA locks in the form of Linux 6.4 to 6.14. A VMA has a semaphore and a sequence number; it is
// write-locked while its number is the mm's. A fault that finds its VMA under RCU takes the semaphore for reading if it can do
// so at once, and looks then whether the VMA is still what it looked for. VMAs are freed, semaphore and all, through call_rcu.
import { FaultFlag, VmFault } from '../fault/fault.ts'
import { load, readOnce, smpLoadAcquire, smpStoreRelease, store, writeOnce } from '../machine/instructions.ts'
import { Mm } from '../memory/mm.ts'
import { LockClass } from '../sync/lock-stat.ts'
import { callRcu, rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'
import { RcuFunc } from '../sync/rcu-func.ts'
import { downReadTrylock, downWriteNested, initRwsem, upRead, upWrite } from '../sync/rwsem.ts'
import { vmaLookup } from '../vma/find-vma.ts'
import { Vma, vmaIsAnonymous } from '../vma/vma.ts'
import type { Design } from './design.ts'
import { releaseFault as releaseMmapLock } from './mmap-lock.ts'
import { fallBackToMmapLock, faultOnLockedVma, pteMapLock } from './vma-lock.ts'

/** vma_start_read: tries to lock the VMA for reading, in an RCU section; never waits. Returns 1 if it is locked. */
function vmaStartRead(mm: number, vma: number): number {
  // A cheap early test, without the lock: a wrong answer is corrected below, or costs a fault under mmap_lock.
  if (readOnce(vma + Vma.lockSeq) === readOnce(mm + Mm.mmLockSeq)) return 0
  if (downReadTrylock(vma + Vma.lock) === 0) return 0
  // A writer keeps the semaphore only while it stores its number. From here on the next one waits for us.
  if (smpLoadAcquire(mm + Mm.mmLockSeq) === load(vma + Vma.lockSeq)) {
    upRead(vma + Vma.lock)
    return 0
  }
  return 1
}

/** vma_end_read. Whoever gets the semaphore may free the VMA before this is through with the queue: RCU keeps it until then. */
function vmaEndRead(vma: number): void {
  rcuReadLock()
  upRead(vma + Vma.lock)
  rcuReadUnlock()
}

/**
 * What else a fault needs of the VMA, which it has locked: the page lies in it, and memory that is private from the start has an
 * anon_vma, because one is found with a look at the neighbours, which are not locked.
 */
function isSuitable(vma: number, vpn: number): boolean {
  if (vpn < load(vma + Vma.start) || vpn >= load(vma + Vma.end)) return false
  return !vmaIsAnonymous(vma) || readOnce(vma + Vma.anonVma) !== 0
}

/** The VMA of page `vpn`, locked for reading and fit for a fault, or 0. In an RCU section. */
function findAndLockVma(mm: number, vpn: number): number {
  for (;;) {
    const vma = vmaLookup(mm, vpn)
    if (vma === 0 || vmaStartRead(mm, vma) === 0) return 0
    if (load(vma + Vma.detached) === 0) {
      if (isSuitable(vma, vpn)) return vma
      upRead(vma + Vma.lock)
      return 0
    }
    // Taken out of the tree between the two: another VMA may be there by now.
    upRead(vma + Vma.lock)
  }
}

/** lock_vma_under_rcu: the VMA of page `vpn`, locked for reading, or 0. */
function lockVmaUnderRcu(mm: number, vpn: number): number {
  rcuReadLock()
  const vma = findAndLockVma(mm, vpn)
  rcuReadUnlock()
  return vma
}

function handleFault(mm: number, vpn: number, access: number): number {
  const vma = lockVmaUnderRcu(mm, vpn)
  if (vma === 0) return fallBackToMmapLock(mm, vpn, access)
  const result = faultOnLockedVma(mm, vma, vpn, access)
  if ((result & VmFault.retry) !== 0) return fallBackToMmapLock(mm, vpn, access)
  vmaEndRead(vma)
  return result
}

function releaseFault(mm: number, vma: number, flags: number): void {
  if ((flags & FaultFlag.vmaLock) !== 0) vmaEndRead(vma)
  else releaseMmapLock(mm, vma, flags)
}

function mmInit(mm: number): void {
  store(mm + Mm.mmLockSeq, 0)
}

function nothing(_object: number): void {}

/** vma_end_write_all: the mm's number goes on, so that no VMA has it any more. */
function mmapWriteUnlocking(mm: number): void {
  smpStoreRelease(mm + Mm.mmLockSeq, (load(mm + Mm.mmLockSeq) + 1) | 0)
}

function vmaInit(vma: number): void {
  store(vma + Vma.lockSeq, -1)
  initRwsem(vma + Vma.lock)
  store(vma + Vma.detached, 1)
}

/** vma_mark_detached(vma, false): nobody finds the VMA yet. */
function vmaAttach(vma: number): void {
  store(vma + Vma.detached, 0)
}

/** vma_start_write. */
function vmaStartWrite(vma: number): void {
  const seq = load(load(vma + Vma.mm) + Mm.mmLockSeq)
  if (load(vma + Vma.lockSeq) === seq) return
  // Waits until no fault is in the VMA.
  downWriteNested(vma + Vma.lock, LockClass.vma)
  writeOnce(vma + Vma.lockSeq, seq)
  // The semaphore is not kept: the number is the lock.
  upWrite(vma + Vma.lock)
}

/** vma_mark_detached(vma, true): a fault that still gets hold of the VMA, when the writer is done, finds that it is none any more. */
function vmaDetach(vma: number): void {
  store(vma + Vma.detached, 1)
}

/** vm_area_free: faults look at VMAs under RCU. */
function vmaFree(vma: number): void {
  callRcu(vma + Vma.rcuHead, RcuFunc.vma)
}

/** Per-VMA locks, with a semaphore and a sequence number in each VMA. */
export const vmaLockSeq: Design = Object.freeze({
  name: 'vma-lock-seq',
  formOf: 'vma-lock',
  usualArchs: Object.freeze(['x86_64']),
  handleFault,
  releaseFault,
  pteMapLock,
  mmInit,
  mmapWriteLocked: nothing,
  mmapWriteUnlocking,
  vmaInit,
  vmaAttach,
  vmaStartWrite,
  vmaDetach,
  vmaFree,
})
