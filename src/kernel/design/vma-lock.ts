// The design "vma-lock": a fault finds its VMA under RCU and locks that VMA alone, by its reference count (the form of
// Linux 6.15 and later); whatever that cannot do is done under mmap_lock. VMA memory is type-safe under RCU: a freed VMA
// may become another mm's VMA while a reader still holds the pointer, so the reader looks again once it has its count.
import { accessFlags, checkAccess, FaultFlag, VmFault } from '../fault/fault.ts'
import { handleMmFault } from '../fault/handle-mm-fault.ts'
import { mightSleep } from '../machine/annotations.ts'
import { Mode, setContext } from '../machine/entry.ts'
import {
  atomicAdd,
  cmpxchg,
  futexWait,
  futexWake,
  load,
  readOnce,
  smpLoadAcquire,
  smpStoreRelease,
  store,
  thisCpu,
  writeOnce,
} from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { Mm, mmDrop, mmGrab } from '../memory/mm.ts'
import { Cache, kmemCacheFree } from '../memory/slab.ts'
import { pteOffsetMapLock } from '../pagetable/pte-offset-map.ts'
import { LockClass, lockStatStart, lockStatWaited } from '../sync/lock-stat.ts'
import { rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'
import { writeSeqcountBegin, writeSeqcountEnd } from '../sync/seqcount.ts'
import { vmaLookup } from '../vma/find-vma.ts'
import { mmapReadUnlock } from '../vma/mmap-lock.ts'
import { Vma } from '../vma/vma.ts'
import type { Design } from './design.ts'
import { faultUnderMmapLock } from './mmap-lock.ts'

/** Added to `refcnt` while a writer waits or works. Below it: 0 detached, 1 attached, and one for each reader. */
export const VMA_LOCK_OFFSET = 1 << 30
const LOCKED = 1
const BUSY = 0
const AGAIN = -1

/** vma_start_read: tries to lock the VMA for reading, in an RCU section. Returns LOCKED, BUSY (use mmap_lock) or AGAIN. */
function vmaStartRead(mm: number, vma: number): number {
  // A cheap early test: a VMA whose number equals the mm's is write-locked. Wrong answers are corrected below.
  if (readOnce(vma + Vma.lockSeq) === readOnce(mm + Mm.mmLockSeq)) return BUSY
  // The first guess: attached, and nobody reads.
  let count = 1
  for (;;) {
    const seen = cmpxchg(vma + Vma.refcnt, count, count + 1)
    if (seen === count) break
    if (seen === 0) return AGAIN
    if (seen >= VMA_LOCK_OFFSET) return BUSY
    count = seen
  }
  // From here on the count keeps owner and number of the VMA as they are: a writer waits for it before it changes them.
  const owner = load(vma + Vma.mm)
  if (owner !== mm) {
    // Reused by another mm, which may exit as soon as we let go: keep its structure until the wake-up is done.
    mmGrab(owner)
    vmaRefcountPut(vma, owner)
    mmDrop(owner)
    return AGAIN
  }
  if (smpLoadAcquire(mm + Mm.mmLockSeq) === load(vma + Vma.lockSeq)) {
    vmaRefcountPut(vma, mm)
    return BUSY
  }
  return LOCKED
}

/** vma_refcount_put: gives one reference back and wakes the writer who waits for the last reader. */
function vmaRefcountPut(vma: number, mm: number): void {
  const left = atomicAdd(vma + Vma.refcnt, -1)
  // One is the attached VMA's own; while it is being detached that one is gone.
  if (left === VMA_LOCK_OFFSET + 1 || left === VMA_LOCK_OFFSET) {
    atomicAdd(mm + Mm.writerWait, 1)
    futexWake(mm + Mm.writerWait, 1)
  }
}

/** lock_vma_under_rcu: the VMA of page `vpn`, locked for reading, or 0. */
function lockVmaUnderRcu(mm: number, vpn: number): number {
  rcuReadLock()
  for (;;) {
    const vma = vmaLookup(mm, vpn)
    if (vma === 0) break
    const got = vmaStartRead(mm, vma)
    if (got === AGAIN) continue
    if (got === BUSY) break
    rcuReadUnlock()
    if (vpn >= load(vma + Vma.start) && vpn < load(vma + Vma.end)) return vma
    vmaRefcountPut(vma, mm)
    return 0
  }
  rcuReadUnlock()
  return 0
}

/** The fault on `vma`, which is locked for reading. Returns bits of `VmFault`; with `retry` the VMA has been released. */
export function faultOnLockedVma(mm: number, vma: number, vpn: number, access: number): number {
  const flags = accessFlags(access) | FaultFlag.vmaLock | FaultFlag.allowRetry
  let result = checkAccess(vma, access)
  if (result === 0) result = handleMmFault(mm, vma, vpn, flags)
  const retried = result & VmFault.retry
  if (retried !== 0) store(thisCpu() + Cpu.statFaultRetries, load(thisCpu() + Cpu.statFaultRetries) + 1)
  return result
}

/** The fault under mmap_lock, because a lock on the VMA was not to be had or did not do. Holds nothing; as `Design.handleFault`. */
export function fallBackToMmapLock(mm: number, vpn: number, access: number): number {
  store(thisCpu() + Cpu.statFaultFallbacks, load(thisCpu() + Cpu.statFaultFallbacks) + 1)
  return faultUnderMmapLock(mm, vpn, access)
}

/** The fault under the lock of its VMA, nothing being held before and after. `VmFault.retry`: it takes mmap_lock. */
export function faultUnderVmaLock(mm: number, vpn: number, access: number): number {
  const vma = lockVmaUnderRcu(mm, vpn)
  if (vma === 0) return VmFault.retry
  const result = faultOnLockedVma(mm, vma, vpn, access)
  if ((result & VmFault.retry) === 0) vmaRefcountPut(vma, mm)
  return result
}

function handleFault(mm: number, vpn: number, access: number): number {
  const result = faultUnderVmaLock(mm, vpn, access)
  return (result & VmFault.retry) !== 0 ? fallBackToMmapLock(mm, vpn, access) : result
}

/** Drops the VMA's lock, or mmap_lock where `flags` do not say that the VMA is locked. See `Design.releaseFault`. */
export function releaseFault(mm: number, vma: number, flags: number): void {
  if ((flags & FaultFlag.vmaLock) !== 0) vmaRefcountPut(vma, mm)
  else mmapReadUnlock(mm)
}

/** As `Design.pteMapLock`: whoever holds the VMA's lock needs no more than `pteOffsetMapLock`. */
export function pteMapLock(_mm: number, _vma: number, pmd: number, vpn: number): number {
  return pteOffsetMapLock(pmd, vpn)
}

/** See `Design.mmInit`. */
export function mmInit(mm: number): void {
  store(mm + Mm.mmLockSeq, 0)
  store(mm + Mm.writerWait, 0)
}

/** The mm's number becomes odd: VMAs that take it over are write-locked until it changes. See `Design.mmapWriteLocked`. */
export function mmapWriteLocked(mm: number): void {
  writeSeqcountBegin(mm + Mm.mmLockSeq)
}

/** vma_end_write_all: one store unlocks every VMA that the writer locked. See `Design.mmapWriteUnlocking`. */
export function mmapWriteUnlocking(mm: number): void {
  writeSeqcountEnd(mm + Mm.mmLockSeq)
}

/** See `Design.vmaInit`. */
export function vmaInit(vma: number): void {
  // Memory that was a VMA before: a late reader may be looking at these two words, so they are never poisoned.
  writeOnce(vma + Vma.lockSeq, -1)
}

/** vma_mark_attached; see `Design.vmaAttach`. */
export function vmaAttach(vma: number): void {
  smpStoreRelease(vma + Vma.refcnt, 1)
}

/** vma_start_write: waits for the VMA's readers and gives it the mm's number; see `Design.vmaStartWrite`. May sleep. */
export function vmaStartWrite(vma: number): void {
  const mm = load(vma + Vma.mm)
  const seq = load(mm + Mm.mmLockSeq)
  if (load(vma + Vma.lockSeq) === seq) return
  const locked = enterLocked(vma, mm, VMA_LOCK_OFFSET + 1)
  writeOnce(vma + Vma.lockSeq, seq)
  // The lock is not kept: the number is the lock.
  if (locked !== 0) atomicAdd(vma + Vma.refcnt, -VMA_LOCK_OFFSET)
}

/** Announces a writer unless the VMA is detached, and waits until the count is `target`. Returns 0 if detached. */
function enterLocked(vma: number, mm: number, target: number): number {
  mightSleep()
  let count = readOnce(vma + Vma.refcnt)
  for (;;) {
    if (count === 0) return 0
    const seen = cmpxchg(vma + Vma.refcnt, count, count + VMA_LOCK_OFFSET)
    if (seen === count) break
    count = seen
  }
  if (count + VMA_LOCK_OFFSET === target) return 1
  const started = lockStatStart()
  for (;;) {
    const turn = readOnce(mm + Mm.writerWait)
    if (smpLoadAcquire(vma + Vma.refcnt) === target) break
    setContext(Mode.outside)
    futexWait(mm + Mm.writerWait, turn)
    setContext(Mode.kernel)
  }
  lockStatWaited(LockClass.vma, started)
  return 1
}

/** vma_mark_detached: waits out readers that got their count just before the VMA was write-locked. May sleep. */
export function vmaDetach(vma: number): void {
  if (atomicAdd(vma + Vma.refcnt, -1) === 0) return
  if (enterLocked(vma, load(vma + Vma.mm), VMA_LOCK_OFFSET) !== 0) atomicAdd(vma + Vma.refcnt, -VMA_LOCK_OFFSET)
}

function vmaFree(vma: number): void {
  kmemCacheFree(Cache.vma, vma)
}

/** Per-VMA locks, reference-count form. */
export const vmaLock: Design = Object.freeze({
  name: 'vma-lock',
  handleFault,
  releaseFault,
  pteMapLock,
  mmInit,
  mmapWriteLocked,
  mmapWriteUnlocking,
  vmaInit,
  vmaAttach,
  vmaStartWrite,
  vmaDetach,
  vmaFree,
})
