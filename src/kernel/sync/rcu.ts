// RCU in two flavours. Of a kernel that is not preemptible: a reader costs nothing, and a CPU that is outside the kernel, in user
// mode, asleep, or has changed its mode since a grace period began, holds no reference from before. Of a preemptible one: readers
// are counted, and who is in no section holds nothing. Regions with interrupts off are readers in both. Callbacks queue on the
// CPU that queued them; `softirq.ts` runs them when that CPU leaves the kernel.
import { mightSleep, rcuQueued, rcuReadEnter, rcuReadExit } from '../machine/annotations.ts'
import { RCU_PREEMPTIBLE } from '../machine/axes.ts'
import { contextMode, Mode, readContext, setContext } from '../machine/entry.ts'
import { Global } from '../machine/globals.ts'
import {
  load,
  perCpu,
  readOnce,
  relax,
  smpLoadAcquire,
  smpMb,
  smpProcessorId,
  smpStoreRelease,
  store,
  thisCpu,
  writeOnce,
} from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { struct } from '../machine/struct.ts'
import { spinTrylock, spinUnlock } from './spinlock.ts'

/** What a deferred object needs: the next head in a list of callbacks, and which function to call (see `softirq.ts`). */
export const RcuHead = struct({ next: 1, func: 1 })

/** Callbacks that a CPU collects before it asks for a grace period on its way out of the kernel. */
export const RCU_BATCH = 32

/** In `Cpu.rcuReaders`: the bits of the nesting, below the count of sections that have ended. */
const NESTING = 255
const MOST = 0x7fffffff

/**
 * rcu_read_lock: until `rcuReadUnlock` no grace period that begins later can end. The caller must not sleep. Sections nest, also
 * in and around regions with interrupts off; where readers are counted, neither may outlast the other that it began in.
 */
export function rcuReadLock(): void {
  if (RCU_PREEMPTIBLE) countReader()
  rcuReadEnter()
}

/** rcu_read_unlock. */
export function rcuReadUnlock(): void {
  rcuReadExit()
  if (RCU_PREEMPTIBLE) uncountReader()
}

/** __rcu_read_lock of a preemptible kernel. What is read behind it is read once the count is to be seen. */
function countReader(): void {
  const cpu = thisCpu()
  const readers = load(cpu + Cpu.rcuReaders)
  writeOnce(cpu + Cpu.rcuReaders, readers + 1)
  if ((readers & NESTING) === 0) smpMb()
}

/** __rcu_read_unlock: the last one out ends the section, unless interrupts are off and so go on being one. */
function uncountReader(): void {
  const cpu = thisCpu()
  const readers = load(cpu + Cpu.rcuReaders)
  const ends = (readers & NESTING) === 1 && load(cpu + Cpu.irqOff) === 0
  smpStoreRelease(cpu + Cpu.rcuReaders, ends ? (readers + NESTING) & MOST : readers - 1)
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

/** Where nobody counts readers: the visit to the kernel that the CPU at `cpu` is on, or 0. All of it may be one reader. */
function visit(cpu: number): number {
  const context = readContext(cpu)
  return contextMode(context) === Mode.kernel ? context : 0
}

/** Where readers are counted: the section that the CPU at `cpu` is in, or 0. It never has the number of one that has ended. */
function section(cpu: number): number {
  const readers = smpLoadAcquire(cpu + Cpu.rcuReaders)
  const inside = (readers & NESTING) !== 0 || readOnce(cpu + Cpu.irqOff) !== 0
  return inside ? readers | NESTING : 0
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
    const reader = RCU_PREEMPTIBLE ? section(perCpu(i)) : visit(perCpu(i))
    const held = i !== me && reader !== 0 && ((seq & 1) === 0 || load(snapshots + i) === reader)
    store(snapshots + i, held ? reader : 0)
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
