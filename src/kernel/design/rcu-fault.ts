// The design "rcu-fault": the whole fault in one RCU section, which nothing in it may leave. It locks no VMA and counts nowhere: it works
// on a copy of the VMA, and under the page-table lock makes sure that no writer has had the VMA since. What it cannot do there is done
// under the VMA's reference count, as `vma-lock` does it, and what that cannot do under mmap_lock. Phase 3 of M. Wilcox's plan,
// "Splitting the mmap_sem", February 2020 (thread 003). A form of it, `rcu-fault-drops-lock`, has an allocation that leaves the
// section when it must wait, and says so: named there as what would find no favour.
import { accessFlags, checkAccess, FaultFlag, VmFault } from '../fault/fault.ts'
import { handlePteFault } from '../fault/handle-mm-fault.ts'
import { load, readOnce, store, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { getFile } from '../memory/file.ts'
import { Mm } from '../memory/mm.ts'
import { Cache, kmemCacheFree } from '../memory/slab.ts'
import { ptepGet } from '../pagetable/entries.ts'
import { findPmd } from '../pagetable/levels.ts'
import { pteOffsetMap, pteOffsetMapLock, pteUnmap, pteUnmapUnlock } from '../pagetable/pte-offset-map.ts'
import { callRcu, rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'
import { RcuFunc } from '../sync/rcu-func.ts'
import { vmaLookup } from '../vma/find-vma.ts'
import { Vma } from '../vma/vma.ts'
import type { Design } from './design.ts'
import { copyVma, countOutcome, forgetSpeculation, lacksAnonVma, Speculation, vmaCopy } from './speculation.ts'
import {
  fallBackToMmapLock,
  faultUnderVmaLock,
  mmapWriteLocked,
  mmapWriteUnlocking,
  mmInit,
  releaseFault,
  vmaAttach,
  vmaDetach as vmaLockDetach,
  vmaInit as vmaLockInit,
  vmaStartWrite,
} from './vma-lock.ts'

/** What became of faults: places of the counters. From `unmapped` to `memory`: why the VMA's count was taken instead. */
const Outcome = Object.freeze({
  attempt: 0,
  done: 1,
  unmapped: 2,
  locked: 3, // a writer had the VMA
  detached: 4, // it was taken out of the tree after it had been found
  bounds: 5, // it no longer covered the page
  io: 6, // the page of the file has to be read, or somebody is reading it
  access: 7, // the signal is raised under a lock, if at all
  anonVma: 8, // the VMA has none yet
  upper: 9, // an upper table is missing
  pmd: 10, // the PTE table is missing
  pmdChanged: 11, // it went during the fault
  vmaChanged: 12, // a writer has had the VMA since the fault began
  userfault: 13,
  memory: 14, // no page at once
  dropped: 15, // the RCU section was left for memory, and the fault was begun again
  mmapLock: 16, // the VMA's count was not enough either
  endOfFile: 17, // behind the end of the file: signals are raised under a lock
})

/** `Vma.detached`: the VMA has been in a tree, and has a second reference to its file, which goes with its memory. */
const KEEPS_FILE = 1

/** The whole fault under RCU, with `flags` for its handlers. Returns 0 when it is done, or why it was given up. */
function faultUnderRcu(mm: number, vpn: number, access: number, flags: number): number {
  rcuReadLock()
  const vma = vmaLookup(mm, vpn)
  const outcome = vma === 0 ? Outcome.unmapped : faultOnVma(mm, vma, vpn, access, flags)
  forgetSpeculation()
  rcuReadUnlock()
  return outcome
}

/**
 * The fault on a VMA that was in the tree a moment ago. VMAs are freed through RCU, so that it is this VMA and no other until the
 * section ends; but any writer may change it or take it out of the tree. Its file, and so the inode with the pages in its cache, lives as
 * long as its memory (`vmaDetach`): the fault needs no reference to it.
 */
function faultOnVma(mm: number, vma: number, vpn: number, access: number, flags: number): number {
  // A writer who has the VMA gives it the mm's number, which is odd and never comes again. The VMA's number is read first: otherwise
  // a writer that comes between the two reads would not be seen, and what it leaves half done would be taken for the VMA.
  const seq = readOnce(vma + Vma.lockSeq)
  if (seq === readOnce(mm + Mm.mmLockSeq)) return Outcome.locked
  if (readOnce(vma + Vma.refcnt) === 0) return Outcome.detached
  copyVma(vma)
  const copy = vmaCopy()
  if (vpn < load(copy + Vma.start) || vpn >= readOnce(vma + Vma.end)) return Outcome.bounds
  // Never a signal from here: the writer who is about to grant the right may be at work.
  if (checkAccess(copy, access) !== 0) return Outcome.access
  if (lacksAnonVma(copy, access)) return Outcome.anonVma
  const speculation = thisCpu() + Cpu.design
  store(speculation + Speculation.seq, seq)
  store(speculation + Speculation.original, vma)
  return faultOnCopy(mm, copy, vpn, flags)
}

/** The fault on the copy. Tables that were reachable stay tables until the section ends. Returns 0 or the outcome. */
function faultOnCopy(mm: number, copy: number, vpn: number, flags: number): number {
  // Nothing is populated: munmap takes no lock to clear the slots of tables, so that no look under a lock would tell whether it has
  // been by, and nobody would come by again to free what is put in afterwards.
  const pmd = findPmd(mm, vpn)
  if (pmd === 0) return Outcome.upper
  const ptep = pteOffsetMap(pmd, vpn)
  if (ptep === 0) return Outcome.pmd
  const pte = ptepGet(ptep)
  pteUnmap(ptep)
  const result = handlePteFault(mm, copy, vpn, pmd, pte, flags)
  const refused = load(thisCpu() + Cpu.design + Speculation.outcome)
  if (refused !== 0) return refused
  if ((result & VmFault.rcuDropped) !== 0) return Outcome.dropped
  if ((result & VmFault.userfault) !== 0) return Outcome.userfault
  if ((result & VmFault.retry) !== 0) return Outcome.io
  if ((result & VmFault.sigbus) !== 0) return Outcome.endOfFile
  return (result & VmFault.error) !== 0 ? Outcome.memory : 0
}

/**
 * The second walk: locks the entry, and makes sure that the fault is still valid; see `Design.pteMapLock`. A writer who begins later
 * finds what is installed, because it must take this lock to change or clear the entry.
 */
function pteMapLock(_mm: number, vma: number, pmd: number, vpn: number): number {
  const ptep = pteOffsetMapLock(pmd, vpn)
  if (vma !== vmaCopy()) return ptep
  if (ptep === 0) return refuse(Outcome.pmdChanged)
  const speculation = thisCpu() + Cpu.design
  if (readOnce(load(speculation + Speculation.original) + Vma.lockSeq) !== load(speculation + Speculation.seq)) {
    pteUnmapUnlock(ptep, load(thisCpu() + Cpu.out1))
    return refuse(Outcome.vmaChanged)
  }
  return ptep
}

function refuse(outcome: number): number {
  store(thisCpu() + Cpu.design + Speculation.outcome, outcome)
  return 0
}

/** The fault under RCU, else under the VMA's count, else under mmap_lock. `allowed`: further flags for the first attempt. */
function handle(mm: number, vpn: number, access: number, allowed: number): number {
  countOutcome(Outcome.attempt)
  const flags = accessFlags(access) | FaultFlag.retryNowait
  let outcome = faultUnderRcu(mm, vpn, access, flags | allowed)
  if (outcome === Outcome.dropped) {
    // From the look-up, as if nothing had been found. Once: who finds no memory again has others to share it with.
    countOutcome(Outcome.dropped)
    outcome = faultUnderRcu(mm, vpn, access, flags)
  }
  countOutcome(outcome === 0 ? Outcome.done : outcome)
  return outcome === 0 ? 0 : fallBack(mm, vpn, access)
}

function fallBack(mm: number, vpn: number, access: number): number {
  const result = faultUnderVmaLock(mm, vpn, access)
  if ((result & VmFault.retry) === 0) return result
  countOutcome(Outcome.mmapLock)
  return fallBackToMmapLock(mm, vpn, access)
}

function handleFault(mm: number, vpn: number, access: number): number {
  return handle(mm, vpn, access, 0)
}

function handleFaultDropsLock(mm: number, vpn: number, access: number): number {
  return handle(mm, vpn, access, FaultFlag.mayDropRcu)
}

function vmaInit(vma: number): void {
  vmaLockInit(vma)
  store(vma + Vma.detached, 0)
}

/** The caller is about to let go of the VMA's file, which faults that have found the VMA may be using. */
function vmaDetach(vma: number): void {
  vmaLockDetach(vma)
  if (load(vma + Vma.file) !== 0) getFile(load(vma + Vma.file))
  store(vma + Vma.detached, KEEPS_FILE)
}

/** After a grace period VMA and file go together. Callbacks do not sleep, nor does `putFile`, which empties the page cache. */
function vmaFree(vma: number): void {
  if (load(vma + Vma.detached) === KEEPS_FILE) callRcu(vma + Vma.rcuHead, RcuFunc.vmaAndFile)
  else kmemCacheFree(Cache.vma, vma)
}

/** What is counted, in the order of `Outcome`. */
const COUNTERS = Object.freeze([
  'attempts',
  'done',
  'unmapped',
  'writer at work',
  'VMA detached',
  'VMA shrunk',
  'I/O',
  'no access',
  'no anon_vma',
  'no upper table',
  'no PTE table',
  'PMD changed',
  'VMA changed',
  'userfault',
  'no memory',
  'RCU dropped',
  'mmap_lock',
  'end of file',
])

/** Whole faults in one RCU section; the VMA's count and mmap_lock for what has to be waited for. */
export const rcuFault: Design = Object.freeze({
  name: 'rcu-fault',
  // What it does with page tables differs between architectures only by how they are freed: its own scenarios ask that.
  usualArchs: Object.freeze([]),
  counters: COUNTERS,
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

/** The same with an allocation that leaves the RCU section when it has to wait, and says so. */
export const rcuFaultDropsLock: Design = Object.freeze({
  name: 'rcu-fault-drops-lock',
  formOf: 'rcu-fault',
  counters: COUNTERS,
  handleFault: handleFaultDropsLock,
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
