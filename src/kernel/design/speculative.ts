// The design "speculative": a fault takes no lock but that of the PTE table. It copies its VMA, walks the tables that are there,
// and only when it is about to install something asks the mm's sequence count whether a writer of mmap_lock has been at work
// meanwhile; then, and whenever else it is in doubt, it gives up and the fault is done under mmap_lock. After M. Lespinasse's
// "Speculative page faults" of 2021 (v2), and L. Dufour's and P. Zijlstra's before it. Two forms: `speculative-irq` keeps page
// tables by turning interrupts off, as the first RFC did, where `speculative` uses RCU; `speculative-file` takes file mappings on, too.
import { ENTRY_WORDS } from '../arch/arch.ts'
import { accessFlags, checkAccess, FaultFlag, VmFault } from '../fault/fault.ts'
import { handlePteFault } from '../fault/handle-mm-fault.ts'
import { Global } from '../machine/globals.ts'
import { irqRestore, irqSave, load, readOnce, smpProcessorId, store, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { getFileNotZero, putFile } from '../memory/file.ts'
import { Mm } from '../memory/mm.ts'
import { ptepGet, upperIsTable, upperTable } from '../pagetable/entries.ts'
import { findPmd, pteIndex, upperGetLockless } from '../pagetable/levels.ts'
import { pteLockptr, pteMapLocked, pteOffsetMapLock } from '../pagetable/pte-offset-map.ts'
import { rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'
import { readSeqcount, readSeqcountRetry, writeSeqcountBegin, writeSeqcountEnd } from '../sync/seqcount.ts'
import { spinTrylock, spinUnlock } from '../sync/spinlock.ts'
import { vmaLookup } from '../vma/find-vma.ts'
import { mmapReadUnlock } from '../vma/mmap-lock.ts'
import { Vma } from '../vma/vma.ts'
import type { Design } from './design.ts'
import { faultUnderMmapLock } from './mmap-lock.ts'
import {
  copyVma,
  countOutcome,
  dropPolicy,
  forgetSpeculation,
  holdPolicy,
  lacksAnonVma,
  Speculation,
  vmaCopy,
  vmaFreeDeferred,
} from './speculation.ts'

/** What a form does otherwise. `irqOff`: walks hold interrupts off instead of RCU. `files`: file mappings as well. */
const Form = Object.freeze({ irqOff: 1, files: 2 })

/** What became of faults: places of the counters. From `odd` on: why it was given up. */
const Outcome = Object.freeze({
  single: 0, // not tried: no other CPU runs the mm
  attempt: 1,
  done: 2,
  odd: 3, // a writer was at work when it began
  unmapped: 4,
  file: 5, // a file mapping, or one whose file is going
  vmaCopy: 6, // a writer came while the VMA was copied
  access: 7, // the signal is raised under mmap_lock, if at all
  upper: 8, // an upper table is missing
  pmd: 9, // the PTE table is missing
  anonVma: 10, // the VMA has none yet
  seqBeforeLock: 11,
  pmdChanged: 12,
  lockHeld: 13,
  seqUnderLock: 14,
  userfault: 15,
  io: 16, // the page had to be read from disk
  error: 17, // no memory, or behind the end of the file
})

/** Gives the fault under way up. Returns 0. */
function giveUp(outcome: number): number {
  forgetSpeculation()
  countOutcome(outcome)
  return 0
}

/** speculative_page_walk_begin: until `walkEnd` page tables that were reachable stay page tables, if they are freed with care. */
function walkBegin(form: number): void {
  if ((form & Form.irqOff) !== 0) irqSave()
  else rcuReadLock()
}

/** speculative_page_walk_end. */
function walkEnd(form: number): void {
  if ((form & Form.irqOff) !== 0) irqRestore()
  else rcuReadUnlock()
}

/**
 * Whether another CPU runs the mm: alone, a fault finds mmap_lock free and loses by speculating. Linux asks for mm_users
 * above 1; here a CPU is a thread. Nothing but speed hangs on the answer.
 */
function isShared(mm: number): boolean {
  const me = smpProcessorId()
  const words = (load(Global.nrCpus) + 31) >> 5
  for (let w = 0; w < words; w++) {
    const others = readOnce(mm + Mm.cpuMask + w) & (me >> 5 === w ? ~(1 << (me & 31)) : -1)
    if (others !== 0) return true
  }
  return false
}

/** Copies the VMA, and takes a reference to its file. In an RCU section. Returns 0, or the outcome that ends the fault. */
function copyWithFile(vma: number, form: number): number {
  copyVma(vma)
  const file = load(vmaCopy() + Vma.file)
  if (file === 0) return 0
  // The fault uses the file long after its section, when munmap may have let go of it: it needs a reference of its own.
  return (form & Form.files) !== 0 && getFileNotZero(file) !== 0 ? 0 : Outcome.file
}

/** Finds the VMA and copies it, consistent as of `seq`. Returns 0, with references to its file and policy; or the outcome. */
function findAndCopyVma(mm: number, vpn: number, seq: number, form: number): number {
  rcuReadLock()
  const vma = vmaLookup(mm, vpn)
  const outcome = vma === 0 ? Outcome.unmapped : copyWithFile(vma, form)
  const held = outcome === 0 ? holdPolicy(vma) : 0
  rcuReadUnlock()
  if (outcome !== 0) return outcome
  if (held === 0 || readSeqcountRetry(mm + Mm.mmLockSeq, seq) !== 0) {
    dropReferences()
    return Outcome.vmaCopy
  }
  return 0
}

/** Gives the references to the file and the policy back. */
function dropReferences(): void {
  const file = load(vmaCopy() + Vma.file)
  if (file !== 0) putFile(file)
  dropPolicy()
}

/** Tries the fault without mmap_lock. Returns 1 when it is done, 0 when it was given up (and counted). */
function speculate(mm: number, vpn: number, access: number, form: number): number {
  countOutcome(Outcome.attempt)
  const seq = readSeqcount(mm + Mm.mmLockSeq)
  if ((seq & 1) !== 0) return giveUp(Outcome.odd)
  const found = findAndCopyVma(mm, vpn, seq, form)
  if (found !== 0) return giveUp(found)
  store(thisCpu() + Cpu.design + Speculation.seq, seq)
  const outcome = faultOnCopy(mm, vpn, access, form)
  dropReferences()
  if (outcome !== 0) return giveUp(outcome)
  forgetSpeculation()
  countOutcome(Outcome.done)
  return 1
}

/** The fault, once the VMA is copied. Returns 0 or the outcome. */
function faultOnCopy(mm: number, vpn: number, access: number, form: number): number {
  const speculation = thisCpu() + Cpu.design
  const copy = vmaCopy()
  // Never a signal from here: the writer who is about to grant the right may be at work.
  if (checkAccess(copy, access) !== 0) return Outcome.access
  if (lacksAnonVma(copy, access)) return Outcome.anonVma
  walkBegin(form)
  // Nothing is populated: munmap may have freed the tables here, and nobody would come by to free what is put in afterwards.
  const pmd = findPmd(mm, vpn)
  const pmdval = pmd === 0 ? 0 : upperGetLockless(pmd)
  const pte = upperIsTable(pmdval) ? ptepGet(upperTable(pmdval) + pteIndex(vpn) * ENTRY_WORDS) : 0
  walkEnd(form)
  if (pmd === 0) return Outcome.upper
  if (!upperIsTable(pmdval)) return Outcome.pmd
  store(speculation + Speculation.pmdval, pmdval)
  store(speculation + Speculation.outcome, 0)
  const result = handlePteFault(mm, copy, vpn, pmd, pte, accessFlags(access) | FaultFlag.allowRetry)
  if (load(speculation + Speculation.outcome) !== 0) return load(speculation + Speculation.outcome)
  if ((result & VmFault.userfault) !== 0) return Outcome.userfault
  if ((result & VmFault.retry) !== 0) return Outcome.io
  return (result & VmFault.error) !== 0 ? Outcome.error : 0
}

function handle(mm: number, vpn: number, access: number, form: number): number {
  if (isShared(mm)) {
    if (speculate(mm, vpn, access, form) !== 0) return 0
    store(thisCpu() + Cpu.statFaultFallbacks, load(thisCpu() + Cpu.statFaultFallbacks) + 1)
  } else countOutcome(Outcome.single)
  return faultUnderMmapLock(mm, vpn, access)
}

/**
 * pte_map_lock: locks the entry for a speculative fault if the fault is still valid; `out1` is the lock. Holds RCU then, in
 * either form, until `pteUnmap`. Returns 0, the outcome noted, if it is not.
 */
function mapLockSpeculatively(mm: number, pmd: number, vpn: number, form: number): number {
  const speculation = thisCpu() + Cpu.design
  const seq = load(speculation + Speculation.seq)
  const pmdval = load(speculation + Speculation.pmdval)
  walkBegin(form)
  // Until now nothing kept the table in which the PMD slot lies. If no writer has begun yet, whoever frees it must wait.
  if (readSeqcountRetry(mm + Mm.mmLockSeq, seq) !== 0) return refuse(Outcome.seqBeforeLock, form)
  if (upperGetLockless(pmd) !== pmdval) return refuse(Outcome.pmdChanged, form)
  const ptl = pteLockptr(pmdval)
  // Not spinLock: its holder may be waiting for an IPI that this CPU, with interrupts off, does not answer (a write fault flushes
  // the entry that it replaces under this lock). Under RCU spinning would be no deadlock, but wait behind a stream of lockers.
  if (spinTrylock(ptl) === 0) return refuse(Outcome.lockHeld, form)
  // A writer who begins from here on finds what is installed: it must take this lock to change or clear the entry.
  if (readSeqcountRetry(mm + Mm.mmLockSeq, seq) !== 0) {
    spinUnlock(ptl)
    return refuse(Outcome.seqUnderLock, form)
  }
  // Who gives an empty table back holds mmap_lock for reading only, and this lock: the count does not tell, the PMD does.
  if (upperGetLockless(pmd) !== pmdval) {
    spinUnlock(ptl)
    return refuse(Outcome.pmdChanged, form)
  }
  // The lock keeps the table from here on; whoever asked for the entry ends with `pteUnmap`.
  const ptep = pteMapLocked(pmdval, vpn)
  walkEnd(form)
  store(thisCpu() + Cpu.out1, ptl)
  return ptep
}

function refuse(outcome: number, form: number): number {
  walkEnd(form)
  store(thisCpu() + Cpu.design + Speculation.outcome, outcome)
  return 0
}

function pteMapLock(mm: number, vma: number, pmd: number, vpn: number): number {
  return vma === vmaCopy() ? mapLockSpeculatively(mm, pmd, vpn, 0) : pteOffsetMapLock(pmd, vpn)
}

function pteMapLockIrq(mm: number, vma: number, pmd: number, vpn: number): number {
  return vma === vmaCopy() ? mapLockSpeculatively(mm, pmd, vpn, Form.irqOff) : pteOffsetMapLock(pmd, vpn)
}

function handleFault(mm: number, vpn: number, access: number): number {
  return handle(mm, vpn, access, 0)
}

function handleFaultIrq(mm: number, vpn: number, access: number): number {
  return handle(mm, vpn, access, Form.irqOff)
}

function handleFaultFile(mm: number, vpn: number, access: number): number {
  return handle(mm, vpn, access, Form.files)
}

/** A speculative fault holds nothing that others wait for. */
function releaseFault(mm: number, vma: number, _flags: number): void {
  if (vma !== vmaCopy()) mmapReadUnlock(mm)
}

function mmInit(mm: number): void {
  store(mm + Mm.mmLockSeq, 0)
}

/**
 * The count is odd while mmap_lock is held for writing. All writers are covered by that: munmap, mprotect, mremap, brk, fork, split,
 * merge and registration with userfaultfd change VMAs under it alone. So `vmaStartWrite` has nothing to do, and one writer
 * anywhere in the mm spoils every fault in it. A munmap that has downgraded its lock goes on zapping under an even count:
 * faults that began before it see another count, and later ones do not find the VMA.
 */
function mmapWriteLocked(mm: number): void {
  writeSeqcountBegin(mm + Mm.mmLockSeq)
}

function mmapWriteUnlocking(mm: number): void {
  writeSeqcountEnd(mm + Mm.mmLockSeq)
}

function nothing(_object: number): void {}

/** What is counted, in the order of `Outcome`. */
const COUNTERS = Object.freeze([
  'single-threaded',
  'attempts',
  'done',
  'writer at work',
  'unmapped',
  'file',
  'VMA changed',
  'no access',
  'no upper table',
  'no PTE table',
  'no anon_vma',
  'writer before lock',
  'PMD changed',
  'lock held',
  'writer under lock',
  'userfault',
  'I/O',
  'error',
])

/** Faults on anonymous memory that hold no lock of the mm; RCU keeps the page tables that they walk. */
export const speculative: Design = Object.freeze({
  name: 'speculative',
  // What it does with page tables differs between architectures only by how they are freed: its own scenarios ask that.
  usualArchs: Object.freeze(['x86_64']),
  counters: COUNTERS,
  handleFault,
  releaseFault,
  pteMapLock,
  mmInit,
  mmapWriteLocked,
  mmapWriteUnlocking,
  vmaInit: nothing,
  vmaAttach: nothing,
  vmaStartWrite: nothing,
  vmaDetach: nothing,
  vmaFree: vmaFreeDeferred,
})

/** The same with page tables kept by interrupts that are off. */
export const speculativeIrq: Design = Object.freeze({
  name: 'speculative-irq',
  formOf: 'speculative',
  counters: COUNTERS,
  handleFault: handleFaultIrq,
  releaseFault,
  pteMapLock: pteMapLockIrq,
  mmInit,
  mmapWriteLocked,
  mmapWriteUnlocking,
  vmaInit: nothing,
  vmaAttach: nothing,
  vmaStartWrite: nothing,
  vmaDetach: nothing,
  vmaFree: vmaFreeDeferred,
})

/** As `speculative`, and faults on file mappings too. */
export const speculativeFile: Design = Object.freeze({
  name: 'speculative-file',
  formOf: 'speculative',
  counters: COUNTERS,
  handleFault: handleFaultFile,
  releaseFault,
  pteMapLock,
  mmInit,
  mmapWriteLocked,
  mmapWriteUnlocking,
  vmaInit: nothing,
  vmaAttach: nothing,
  vmaStartWrite: nothing,
  vmaDetach: nothing,
  vmaFree: vmaFreeDeferred,
})
