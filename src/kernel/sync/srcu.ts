// Sleepable RCU, by the kernel's two-scan algorithm: readers count into one of two banks, a grace period waits for the
// idle bank, flips, and waits for the other. Two scans, because a reader may fetch the index long before it counts.
import { mightSleep, rcuQueued } from '../machine/annotations.ts'
import { Mode, setContext } from '../machine/entry.ts'
import { Global } from '../machine/globals.ts'
import { atomicAdd, load, readOnce, relax, smpMb, smpProcessorId, store, writeOnce } from '../machine/instructions.ts'
import { struct } from '../machine/struct.ts'
import { RcuHead } from './rcu.ts'
import { spinLock, spinTrylock, spinUnlock } from './spinlock.ts'

/** A domain. `counters` points to 4 words for each CPU: locks of bank 0 and 1, unlocks of bank 0 and 1. */
export const Srcu = struct({
  index: 1,
  gpLock: 1,
  phase: 1,
  done: 1,
  counters: 1,
  listLock: 1,
  head: 1,
  tail: 1,
  waitHead: 1,
  waitSeq: 1,
  queued: 1, // callbacks that were ever queued, and those of them that have run: in this order
  invoked: 1,
  runLock: 1, // held by the one CPU that runs callbacks
})

/** Words of counters that one CPU needs in one domain. */
export const SRCU_CPU_WORDS = 4
const UNLOCKS = 2

/** srcu_read_lock: the caller may sleep until `srcuReadUnlock`. Returns the bank to pass there. */
export function srcuReadLock(domain: number): number {
  const bank = readOnce(domain + Srcu.index) & 1
  atomicAdd(load(domain + Srcu.counters) + smpProcessorId() * SRCU_CPU_WORDS + bank, 1)
  smpMb() // B: the section's reads come after its count
  return bank
}

/** srcu_read_unlock. */
export function srcuReadUnlock(domain: number, bank: number): void {
  smpMb() // C: the section's reads come before its count
  atomicAdd(load(domain + Srcu.counters) + smpProcessorId() * SRCU_CPU_WORDS + UNLOCKS + bank, 1)
}

/** Whether no reader is left in `bank`: unlocks are summed before locks, so that a reader seen leaving was seen coming. */
function bankIdle(domain: number, bank: number): boolean {
  const counters = load(domain + Srcu.counters)
  const cpus = load(Global.nrCpus)
  let balance = 0
  for (let i = 0; i < cpus; i++) balance -= readOnce(counters + i * SRCU_CPU_WORDS + UNLOCKS + bank)
  smpMb() // A
  for (let i = 0; i < cpus; i++) balance += readOnce(counters + i * SRCU_CPU_WORDS + bank)
  return (balance | 0) === 0
}

/** One step of the running grace period, if nobody else is making it. `done` counts completed grace periods. */
function driveSrcu(domain: number): void {
  if (spinTrylock(domain + Srcu.gpLock) === 0) return
  const idle = (readOnce(domain + Srcu.index) & 1) ^ 1
  if (bankIdle(domain, idle)) {
    if (load(domain + Srcu.phase) === 0) {
      smpMb() // E
      writeOnce(domain + Srcu.index, load(domain + Srcu.index) + 1)
      smpMb() // D
      store(domain + Srcu.phase, 1)
    } else {
      store(domain + Srcu.phase, 0)
      writeOnce(domain + Srcu.done, (load(domain + Srcu.done) + 1) | 0)
    }
  }
  spinUnlock(domain + Srcu.gpLock)
}

/** synchronize_srcu: waits for the readers of `domain` that began before. May sleep; not inside a reader of `domain`. */
export function synchronizeSrcu(domain: number): void {
  // The period under way may have begun before our caller's store: wait for the one after it.
  const target = (readOnce(domain + Srcu.done) + 2) | 0
  waitForPeriod(domain, target)
}

/** get_state_synchronize_srcu: what to give to `condSynchronizeSrcu`, which then waits for the readers that began before now. */
export function getStateSynchronizeSrcu(domain: number): number {
  return (readOnce(domain + Srcu.done) + 2) | 0
}

/** Waits for what is left of the grace period that `state` stands for: nothing if it is over. May sleep; in no reader of `domain`. */
export function condSynchronizeSrcu(domain: number, state: number): void {
  waitForPeriod(domain, state)
}

function waitForPeriod(domain: number, target: number): void {
  mightSleep()
  while (((readOnce(domain + Srcu.done) - target) | 0) < 0) {
    driveSrcu(domain)
    setContext(Mode.kernel)
    relax()
  }
}

/** call_srcu: after a grace period of `domain`, `func` is called with `head` (by `srcuAdvance`'s caller). Never sleeps. */
export function callSrcu(domain: number, head: number, func: number): void {
  rcuQueued(head)
  store(head + RcuHead.next, 0)
  store(head + RcuHead.func, func)
  spinLock(domain + Srcu.listLock)
  const tail = load(domain + Srcu.tail)
  if (tail === 0) store(domain + Srcu.head, head)
  else store(tail + RcuHead.next, head)
  writeOnce(domain + Srcu.queued, (load(domain + Srcu.queued) + 1) | 0)
  store(domain + Srcu.tail, head)
  spinUnlock(domain + Srcu.listLock)
}

/** Moves the domain's callbacks on. Returns a chain of heads whose grace period has ended, to be called, or 0. */
export function srcuAdvance(domain: number): number {
  let done = 0
  driveSrcu(domain)
  spinLock(domain + Srcu.listLock)
  if (load(domain + Srcu.waitHead) !== 0 && ((readOnce(domain + Srcu.done) - load(domain + Srcu.waitSeq)) | 0) >= 0) {
    done = load(domain + Srcu.waitHead)
    store(domain + Srcu.waitHead, 0)
  }
  if (load(domain + Srcu.waitHead) === 0 && load(domain + Srcu.head) !== 0) {
    store(domain + Srcu.waitHead, load(domain + Srcu.head))
    store(domain + Srcu.waitSeq, (readOnce(domain + Srcu.done) + 2) | 0)
    store(domain + Srcu.head, 0)
    store(domain + Srcu.tail, 0)
  }
  spinUnlock(domain + Srcu.listLock)
  return done
}
