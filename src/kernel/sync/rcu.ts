// RCU of a non-preemptible kernel: a reader costs nothing, and a CPU that is outside the kernel, in user mode, asleep, or
// has changed its mode since a grace period began, holds no reference from before. Regions with interrupts off are
// readers too (rcu_sched), since a CPU cannot change its mode inside one. Callbacks queue on the CPU that queued them;
// `softirq.ts` runs them when that CPU leaves the kernel.
import { mightSleep, rcuQueued, rcuReadEnter, rcuReadExit } from '../machine/annotations.ts'
import { contextMode, Mode, readContext, setContext } from '../machine/entry.ts'
import { Global } from '../machine/globals.ts'
import { load, perCpu, readOnce, relax, smpProcessorId, store, thisCpu, writeOnce } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { struct } from '../machine/struct.ts'
import { spinTrylock, spinUnlock } from './spinlock.ts'

/** What a deferred object needs: the next head in a list of callbacks, and which function to call (see `softirq.ts`). */
export const RcuHead = struct({ next: 1, func: 1 })

/** Callbacks that a CPU collects before it asks for a grace period on its way out of the kernel. */
export const RCU_BATCH = 32

/** rcu_read_lock: until `rcuReadUnlock` no grace period that begins later can end. The caller must not sleep. */
export function rcuReadLock(): void {
  rcuReadEnter()
}

/** rcu_read_unlock. */
export function rcuReadUnlock(): void {
  rcuReadExit()
}

/** call_rcu: after a grace period, function `func` is called with `head`. Never sleeps; `head` must not be queued already. */
export function callRcu(head: number, func: number): void {
  rcuQueued(head)
  const cpu = thisCpu()
  store(head + RcuHead.next, 0)
  store(head + RcuHead.func, func)
  const tail = load(cpu + Cpu.rcuNextTail)
  if (tail === 0) store(cpu + Cpu.rcuNextHead, head)
  else store(tail + RcuHead.next, head)
  store(cpu + Cpu.rcuNextTail, head)
  store(cpu + Cpu.rcuCallbacks, load(cpu + Cpu.rcuCallbacks) + 1)
}

/** The value that the grace-period count must reach before everything read until now is unreferenced (rcu_seq_snap). */
function gracePeriodSnap(): number {
  return ((readOnce(Global.rcuGpSeq) + 3) & ~1) | 0
}

function gracePeriodDone(snap: number): boolean {
  return ((readOnce(Global.rcuGpSeq) - snap) | 0) >= 0
}

/** Starts a grace period, or looks whether the running one can end. The executing CPU must be in no reader. */
function driveGracePeriod(): void {
  if (spinTrylock(Global.rcuLock) === 0) return
  const seq = load(Global.rcuGpSeq)
  const snapshots = load(Global.rcuSnapshots)
  const cpus = load(Global.nrCpus)
  const me = smpProcessorId()
  let waiting = 0
  if ((seq & 1) === 0) writeOnce(Global.rcuGpSeq, seq + 1)
  for (let i = 0; i < cpus; i++) {
    if ((seq & 1) !== 0 && load(snapshots + i) === 0) continue
    const context = readContext(perCpu(i))
    const held = i !== me && contextMode(context) === Mode.kernel && ((seq & 1) === 0 || load(snapshots + i) === context)
    store(snapshots + i, held ? context : 0)
    if (held) waiting++
  }
  if (waiting === 0) {
    writeOnce(Global.rcuGpSeq, (seq | 1) + 1)
    store(thisCpu() + Cpu.statGracePeriods, load(thisCpu() + Cpu.statGracePeriods) + 1)
  }
  spinUnlock(Global.rcuLock)
}

/**
 * Moves the executing CPU's callbacks on, and the grace period with them. The CPU must be in no reader. Returns the head
 * of a chain of callbacks whose grace period has ended, to be called, or 0.
 */
export function rcuAdvance(): number {
  const cpu = thisCpu()
  let done = 0
  if (load(cpu + Cpu.rcuWaitHead) !== 0 && !gracePeriodDone(load(cpu + Cpu.rcuWaitSeq))) driveGracePeriod()
  if (load(cpu + Cpu.rcuWaitHead) !== 0 && gracePeriodDone(load(cpu + Cpu.rcuWaitSeq))) {
    done = load(cpu + Cpu.rcuWaitHead)
    store(cpu + Cpu.rcuWaitHead, 0)
  }
  if (load(cpu + Cpu.rcuWaitHead) === 0 && load(cpu + Cpu.rcuNextHead) !== 0) {
    store(cpu + Cpu.rcuWaitHead, load(cpu + Cpu.rcuNextHead))
    store(cpu + Cpu.rcuWaitSeq, gracePeriodSnap())
    store(cpu + Cpu.rcuNextHead, 0)
    store(cpu + Cpu.rcuNextTail, 0)
    driveGracePeriod()
  }
  return done
}

/** synchronize_rcu: waits for a grace period. May sleep; the caller is in no reader and holds no spinlock. */
export function synchronizeRcu(): void {
  mightSleep()
  setContext(Mode.kernel) // whatever this CPU read before is over
  const snap = gracePeriodSnap()
  while (!gracePeriodDone(snap)) {
    driveGracePeriod()
    if (!gracePeriodDone(snap)) {
      setContext(Mode.kernel)
      relax()
    }
  }
}
