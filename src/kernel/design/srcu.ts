// The design "srcu": a fault, sleeping included, runs inside an SRCU section of one domain for the whole machine and holds
// nothing else. What it found stays memory until it is done: munmap gives the VMA and its file to call_srcu. Whether it is still
// true is asked before anything is installed: the VMA carries the number of the last writer that had it, and a writer changes the
// number before it takes the locks under which faults compare it. After P. Zijlstra in "Splitting the mmap_sem" (thread 003,
// February 2020). A form: `srcu-sync` waits for the grace period where `srcu` leaves a callback. (The sketch: `srcu-prototype.ts`.)
import { accessFlags, checkAccess, FaultFlag, VmFault } from '../fault/fault.ts'
import { handlePteFault } from '../fault/handle-mm-fault.ts'
import { Global } from '../machine/globals.ts'
import { load, readOnce, store, thisCpu, writeOnce } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { getFile } from '../memory/file.ts'
import { Mm } from '../memory/mm.ts'
import { Cache, kmemCacheFree } from '../memory/slab.ts'
import { ptepGet } from '../pagetable/entries.ts'
import { findPmd, populateGuarded } from '../pagetable/levels.ts'
import { pteOffsetMap, pteOffsetMapLock, pteUnmap, pteUnmapUnlock } from '../pagetable/pte-offset-map.ts'
import { rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'
import { RcuFunc } from '../sync/rcu-func.ts'
import { writeSeqcountBegin, writeSeqcountEnd } from '../sync/seqcount.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { callSrcu, condSynchronizeSrcu, getStateSynchronizeSrcu, srcuReadLock, srcuReadUnlock } from '../sync/srcu.ts'
import { vmaLookup } from '../vma/find-vma.ts'
import { mmapReadUnlock } from '../vma/mmap-lock.ts'
import { Vma, vmaAndFileFree } from '../vma/vma.ts'
import type { Design } from './design.ts'
import { faultUnderMmapLock } from './mmap-lock.ts'
import { copyVma, countOutcome, dropPolicy, forgetSpeculation, holdPolicy, Speculation, vmaCopy } from './speculation.ts'

/** What became of faults: places of the counters. From `unmapped` on: why one was done again under mmap_lock. */
const Outcome = Object.freeze({
  attempt: 0,
  done: 1,
  populated: 2, // made tables on the way
  tableGone: 3, // reclaimed between its two walks: the access is tried again
  unmapped: 4,
  writer: 5, // a writer has the VMA, or has had it since the fault began
  access: 6, // the signal is raised under mmap_lock, if at all
  anonVma: 7, // the VMA has none yet
  changedAtTable: 8, // the VMA had changed when a table was to be put in
  changedAtEntry: 9, // the VMA had changed when the entry was to be set
  userfault: 10,
  error: 11, // no memory, or behind the end of the file
})

/** `Vma.refcnt`: the VMA has been in a tree, and has a second reference to its file, which goes with its memory. */
const DETACHED = 1

/** Finds the VMA, notes its number, and copies it. Returns 0 or the outcome. In an SRCU section, which keeps the VMA and its file. */
function findAndCopyVma(mm: number, vpn: number): number {
  const fault = thisCpu() + Cpu.design
  const writers = readOnce(mm + Mm.mmLockSeq)
  rcuReadLock()
  const vma = vmaLookup(mm, vpn)
  rcuReadUnlock()
  if (vma === 0) return Outcome.unmapped
  const seq = readOnce(vma + Vma.lockSeq)
  // Its last writer must have been done before the look-up: then the VMA was what the tree said, and is while the number stays.
  if (((seq - writers) | 0) >= 0) return Outcome.writer
  store(fault + Speculation.original, vma)
  store(fault + Speculation.seq, seq)
  copyVma(vma)
  // The policy goes through RCU, which ends long before this section.
  return holdPolicy(vma) !== 0 ? 0 : Outcome.writer
}

/** The fault, once the VMA is copied; may sleep. Returns the outcome. */
function faultOnCopy(mm: number, vpn: number, access: number): number {
  const fault = thisCpu() + Cpu.design
  const copy = vmaCopy()
  if (checkAccess(copy, access) !== 0) return Outcome.access
  for (;;) {
    rcuReadLock()
    const pmd = findPmd(mm, vpn)
    const ptep = pmd === 0 ? 0 : pteOffsetMap(pmd, vpn)
    let pte = 0
    if (ptep !== 0) {
      pte = ptepGet(ptep)
      pteUnmap(ptep)
    }
    rcuReadUnlock()
    if (ptep !== 0) {
      // `vmaLock`: the neighbours may change, so an anon_vma is made under mmap_lock. No `allowRetry`: it may sleep where it is.
      const result = handlePteFault(mm, copy, vpn, pmd, pte, accessFlags(access) | FaultFlag.vmaLock)
      if (load(fault + Speculation.outcome) !== 0) return load(fault + Speculation.outcome)
      if ((result & VmFault.retry) !== 0) return Outcome.anonVma
      if ((result & VmFault.userfault) !== 0) return Outcome.userfault
      return (result & VmFault.error) !== 0 ? Outcome.error : Outcome.done
    }
    const failed = populateGuarded(mm, vpn, load(fault + Speculation.original) + Vma.lockSeq, load(fault + Speculation.seq))
    if (failed !== 0) return failed === 1 ? Outcome.error : Outcome.changedAtTable
    countOutcome(Outcome.populated)
  }
}

function handleFault(mm: number, vpn: number, access: number): number {
  countOutcome(Outcome.attempt)
  const bank = srcuReadLock(Global.srcuDomain)
  const found = findAndCopyVma(mm, vpn)
  const outcome = found !== 0 ? found : faultOnCopy(mm, vpn, access)
  dropPolicy()
  forgetSpeculation()
  // Before mmap_lock is waited for: whoever holds it may be waiting for us (registration with userfaultfd; munmap in `srcu-sync`).
  srcuReadUnlock(Global.srcuDomain, bank)
  countOutcome(outcome)
  if (outcome === Outcome.done || outcome === Outcome.tableGone) return 0
  store(thisCpu() + Cpu.statFaultFallbacks, load(thisCpu() + Cpu.statFaultFallbacks) + 1)
  return faultUnderMmapLock(mm, vpn, access)
}

/**
 * Locks the entry if the fault is still true. `pmd` is from before the fault slept, when nothing but RCU kept the table in which it
 * lies: the walk is made once more. Contract otherwise as `pteOffsetMapLock`; where it returns 0 the outcome is noted.
 */
function mapLockValidated(mm: number, vpn: number): number {
  const fault = thisCpu() + Cpu.design
  rcuReadLock()
  const pmd = findPmd(mm, vpn)
  const ptep = pmd === 0 ? 0 : pteOffsetMapLock(pmd, vpn)
  rcuReadUnlock()
  if (ptep === 0) {
    store(fault + Speculation.outcome, Outcome.tableGone)
    return 0
  }
  // Whoever changes or unmaps the VMA changes its number first, and must take this lock before it changes or clears the entry.
  if (readOnce(load(fault + Speculation.original) + Vma.lockSeq) !== load(fault + Speculation.seq)) {
    pteUnmapUnlock(ptep, load(thisCpu() + Cpu.out1))
    store(fault + Speculation.outcome, Outcome.changedAtEntry)
    return 0
  }
  return ptep
}

function pteMapLock(mm: number, vma: number, pmd: number, vpn: number): number {
  return vma === vmaCopy() ? mapLockValidated(mm, vpn) : pteOffsetMapLock(pmd, vpn)
}

/** `Design.releaseFault`, of the sketch as well: a fault under SRCU holds nothing that it could drop before its end. */
export function releaseFault(mm: number, _vma: number, flags: number): void {
  if ((flags & FaultFlag.vmaLock) === 0) mmapReadUnlock(mm)
}

function mmInit(mm: number): void {
  store(mm + Mm.mmLockSeq, 0)
}

/** The mm's number is odd while mmap_lock is held for writing: that odd number is the writer's. */
function mmapWriteLocked(mm: number): void {
  writeSeqcountBegin(mm + Mm.mmLockSeq)
}

function mmapWriteUnlocking(mm: number): void {
  writeSeqcountEnd(mm + Mm.mmLockSeq)
}

/** `Design.vmaInit`, of the sketch as well. */
export function vmaInit(vma: number): void {
  store(vma + Vma.refcnt, 0)
}

/** Faults that have found the VMA install nothing any more, unless they hold the lock of the PTE table by now. Waits for nobody. */
function vmaStartWrite(vma: number): void {
  writeOnce(vma + Vma.lockSeq, load(load(vma + Vma.mm) + Mm.mmLockSeq))
}

/** `Design.vmaDetach`, of the sketch as well: nobody puts a page table where the VMA was any more; its file stays until its memory goes. */
export function vmaDetach(vma: number): void {
  const mm = load(vma + Vma.mm)
  // free_pgtables takes no lock. Who has seen the old number under this one has its table in place now, and it will be found.
  spinLock(mm + Mm.pageTableLock)
  spinUnlock(mm + Mm.pageTableLock)
  if (load(vma + Vma.file) !== 0) getFile(load(vma + Vma.file))
  store(vma + Vma.refcnt, DETACHED)
}

/** `Design.vmaFree`, of the sketch as well. call_srcu: VMA and file (`vmaDetach`'s reference) go when every fault that may have found it is over. */
export function vmaFree(vma: number): void {
  if (load(vma + Vma.refcnt) !== DETACHED) {
    kmemCacheFree(Cache.vma, vma)
    return
  }
  callSrcu(Global.srcuDomain, vma + Vma.rcuHead, RcuFunc.vmaAndFile)
  store(thisCpu() + Cpu.srcuCallbacks, load(thisCpu() + Cpu.srcuCallbacks) + 1)
}

/** As `vmaDetach`. Notes the grace period that must pass, so that all VMAs of a munmap wait for one. */
function vmaDetachSync(vma: number): void {
  vmaDetach(vma)
  store(vma + Vma.rcuHead, getStateSynchronizeSrcu(Global.srcuDomain))
}

/** synchronize_srcu, with mmap_lock held: faults must not wait for that inside their sections. */
function vmaFreeSync(vma: number): void {
  if (load(vma + Vma.refcnt) !== DETACHED) {
    kmemCacheFree(Cache.vma, vma)
    return
  }
  condSynchronizeSrcu(Global.srcuDomain, load(vma + Vma.rcuHead))
  vmaAndFileFree(vma + Vma.rcuHead)
}

function nothing(_object: number): void {}

/** What is counted, in the order of `Outcome`. */
const COUNTERS = Object.freeze([
  'attempts',
  'done',
  'tables made',
  'table gone',
  'unmapped',
  'writer at work',
  'no access',
  'no anon_vma',
  'VMA changed at table',
  'VMA changed at entry',
  'userfault',
  'error',
])

/** Whole faults under SRCU; VMAs and their files go through call_srcu. */
export const srcu: Design = Object.freeze({
  name: 'srcu',
  usualArchs: Object.freeze([]),
  faultsUnderSrcu: true,
  counters: COUNTERS,
  handleFault,
  releaseFault,
  pteMapLock,
  mmInit,
  mmapWriteLocked,
  mmapWriteUnlocking,
  vmaInit,
  vmaAttach: nothing,
  vmaStartWrite,
  vmaDetach,
  vmaFree,
})

/** The same with synchronize_srcu in munmap and exit. */
export const srcuSync: Design = Object.freeze({
  name: 'srcu-sync',
  formOf: 'srcu',
  faultsUnderSrcu: true,
  counters: COUNTERS,
  handleFault,
  releaseFault,
  pteMapLock,
  mmInit,
  mmapWriteLocked,
  mmapWriteUnlocking,
  vmaInit,
  vmaAttach: nothing,
  vmaStartWrite,
  vmaDetach: vmaDetachSync,
  vmaFree: vmaFreeSync,
})
