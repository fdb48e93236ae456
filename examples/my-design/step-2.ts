// Step 2, with a mistake: raised hands. A CPU that faults looks whether a writer is at work and raises its hand in a word of its
// own. A writer says that it is at work, then waits until no hand is raised for its address space.
import type { Design } from 'gracewalk/kernel/design/design.ts'
import { faultUnderMmapLock } from 'gracewalk/kernel/design/mmap-lock.ts'
import { accessFlags, checkAccess, FaultFlag, VmFault } from 'gracewalk/kernel/fault/fault.ts'
import { handleMmFault } from 'gracewalk/kernel/fault/handle-mm-fault.ts'
import { Mode, setContext } from 'gracewalk/kernel/machine/entry.ts'
import { Global } from 'gracewalk/kernel/machine/globals.ts'
import {
  futexWait,
  futexWake,
  load,
  perCpu,
  readOnce,
  smpLoadAcquire,
  smpMb,
  smpStoreRelease,
  store,
  thisCpu,
  writeOnce,
} from 'gracewalk/kernel/machine/instructions.ts'
import { Cpu } from 'gracewalk/kernel/machine/percpu.ts'
import { Mm } from 'gracewalk/kernel/memory/mm.ts'
import { Cache, kmemCacheFree } from 'gracewalk/kernel/memory/slab.ts'
import { pteOffsetMapLock } from 'gracewalk/kernel/pagetable/pte-offset-map.ts'
import { vmaLookup } from 'gracewalk/kernel/vma/find-vma.ts'
import { mmapReadUnlock } from 'gracewalk/kernel/vma/mmap-lock.ts'

/** The CPU's hand: the mm for which it is raised, or 0. Others read it. */
const HAND = Cpu.design
/** In the mm: 1 while a writer is at work. */
const WRITER = Mm.mmLockSeq

/** What is counted: `gracewalk run` prints it. */
const COUNTERS = Object.freeze(['raised', 'writer at work'])
const RAISED = Cpu.statDesign
const REFUSED = Cpu.statDesign + 1

function count(counter: number): void {
  store(thisCpu() + counter, load(thisCpu() + counter) + 1)
}

/** Raises the hand unless a writer is at work. While it is up no mapping of the mm changes. */
function raiseHand(mm: number): boolean {
  if (readOnce(mm + WRITER) !== 0) return false
  writeOnce(thisCpu() + HAND, mm)
  return true
}

/** Lowers it, and wakes the writer that may be waiting for that. */
function lowerHand(mm: number): void {
  smpStoreRelease(thisCpu() + HAND, 0)
  smpMb()
  if (readOnce(mm + WRITER) !== 0) futexWake(thisCpu() + HAND, 1)
}

function handleFault(mm: number, vpn: number, access: number): number {
  if (raiseHand(mm)) {
    count(RAISED)
    const vma = vmaLookup(mm, vpn)
    let result = vma === 0 ? VmFault.sigsegvMaperr : checkAccess(vma, access)
    if (result === 0) result = handleMmFault(mm, vma, vpn, accessFlags(access) | FaultFlag.allowRetry)
    if ((result & VmFault.retry) === 0) {
      lowerHand(mm)
      return result
    }
  } else count(REFUSED)
  return faultUnderMmapLock(mm, vpn, access)
}

/** The fault is going to sleep: it holds the hand, or mmap_lock if it is one of `faultUnderMmapLock`. */
function releaseFault(mm: number, _vma: number, _flags: number): void {
  if (load(thisCpu() + HAND) === mm) lowerHand(mm)
  else mmapReadUnlock(mm)
}

function pteMapLock(_mm: number, _vma: number, pmd: number, vpn: number): number {
  return pteOffsetMapLock(pmd, vpn)
}

function mmInit(mm: number): void {
  store(mm + WRITER, 0)
}

/** Says that a writer is at work, and waits for the faults that had begun. */
function mmapWriteLocked(mm: number): void {
  writeOnce(mm + WRITER, 1)
  smpMb()
  const cpus = load(Global.nrCpus)
  for (let cpu = 0; cpu < cpus; cpu++) {
    const hand = perCpu(cpu) + HAND
    if (smpLoadAcquire(hand) !== mm) continue
    // Asleep a CPU is outside the kernel: a fault that waits for it, for a grace period or a flush, goes on.
    setContext(Mode.outside)
    while (smpLoadAcquire(hand) === mm) futexWait(hand, mm)
    setContext(Mode.kernel)
  }
}

function mmapWriteUnlocking(mm: number): void {
  smpStoreRelease(mm + WRITER, 0)
}

function nothing(_vma: number): void {}

function vmaFree(vma: number): void {
  kmemCacheFree(Cache.vma, vma)
}

export const raisedHands: Design = Object.freeze({
  name: 'raised-hands',
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
  vmaFree,
})
