// A sleeping reader-writer semaphore (mmap_lock). Waiters queue first come, first served, and the lock is handed to
// them, so that neither writers nor readers starve. A CPU waits for one semaphore at a time: its per-CPU area is the node.
import { lockAcquired, lockReleased, mightSleep } from '../machine/annotations.ts'
import { Mode, setContext } from '../machine/entry.ts'
import {
  atomicAdd,
  atomicAnd,
  atomicOr,
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
import { struct } from '../machine/struct.ts'
import { LockClass, lockStatStart, lockStatWaited } from './lock-stat.ts'
import { spinLock, spinUnlock } from './spinlock.ts'

/** `count`: readers in the low bits, WRITER, WAITERS. `waitLock` guards the queue of per-CPU areas from head to tail. */
export const Rwsem = struct({ count: 1, waitLock: 1, head: 1, tail: 1 })

const WRITER = 1 << 30
const WAITERS = 1 << 29
const READ = 0
const WRITE = 1

/** Prepares the semaphore at `sem`: unheld, nobody waits. */
export function initRwsem(sem: number): void {
  store(sem + Rwsem.count, 0)
  store(sem + Rwsem.waitLock, 0)
  store(sem + Rwsem.head, 0)
  store(sem + Rwsem.tail, 0)
}

/** down_read: may sleep. */
export function downRead(sem: number): void {
  mightSleep()
  if (tryRead(sem) === 0) waitForGrant(sem, READ, LockClass.mmapRead)
  else lockAcquired(sem, 0)
}

/** down_read_trylock: never waits. Returns 1 if the semaphore is now held for reading. */
export function downReadTrylock(sem: number): number {
  if (tryRead(sem) === 0) return 0
  lockAcquired(sem, 0)
  return 1
}

/** Counts one reader more, unless there is a writer or somebody waits; without the bookkeeping of a hold. Returns 1 if so. */
function tryRead(sem: number): number {
  let old = 0
  for (;;) {
    const seen = cmpxchg(sem + Rwsem.count, old, old + 1)
    if (seen === old) return 1
    if ((seen & (WRITER | WAITERS)) !== 0) return 0
    old = seen
  }
}

/** up_read. */
export function upRead(sem: number): void {
  lockReleased(sem)
  if (atomicAdd(sem + Rwsem.count, -1) === WAITERS) handOver(sem)
}

/** down_write: may sleep. */
export function downWrite(sem: number): void {
  downWriteNested(sem, LockClass.mmapWrite)
}

/** down_write_nested: the same, a wait counted as one for a lock of class `lockClass` (see `LockClass`). */
export function downWriteNested(sem: number, lockClass: number): void {
  mightSleep()
  if (cmpxchg(sem + Rwsem.count, 0, WRITER) !== 0) waitForGrant(sem, WRITE, lockClass)
  else lockAcquired(sem, 1)
}

/** down_write_trylock. Returns 1 if the semaphore is now held for writing. */
export function downWriteTrylock(sem: number): number {
  if (cmpxchg(sem + Rwsem.count, 0, WRITER) !== 0) return 0
  lockAcquired(sem, 1)
  return 1
}

/** up_write. */
export function upWrite(sem: number): void {
  lockReleased(sem)
  if (cmpxchg(sem + Rwsem.count, WRITER, 0) === WRITER) return
  atomicAnd(sem + Rwsem.count, ~WRITER)
  handOver(sem)
}

/** downgrade_write: the writer becomes a reader; readers at the front of the queue join it. */
export function downgradeWrite(sem: number): void {
  lockReleased(sem)
  lockAcquired(sem, 0)
  if ((atomicAdd(sem + Rwsem.count, 1 - WRITER) & WAITERS) !== 0) handOver(sem)
}

/** rwsem_is_locked. Returns 1 while anybody holds the semaphore. */
export function rwsemIsLocked(sem: number): number {
  return (readOnce(sem + Rwsem.count) & ~WAITERS) !== 0 ? 1 : 0
}

/** rwsem_is_contended. Returns 1 while somebody waits. */
export function rwsemIsContended(sem: number): number {
  return (readOnce(sem + Rwsem.count) & WAITERS) !== 0 ? 1 : 0
}

function waitForGrant(sem: number, kind: number, lockClass: number): void {
  const started = lockStatStart()
  const me = thisCpu()
  spinLock(sem + Rwsem.waitLock)
  store(me + Cpu.waitNext, 0)
  store(me + Cpu.waitKind, kind)
  writeOnce(me + Cpu.waitGranted, 0)
  const last = load(sem + Rwsem.tail)
  if (last === 0) store(sem + Rwsem.head, me)
  else store(last + Cpu.waitNext, me)
  store(sem + Rwsem.tail, me)
  atomicOr(sem + Rwsem.count, WAITERS)
  grant(sem)
  spinUnlock(sem + Rwsem.waitLock)
  if (smpLoadAcquire(me + Cpu.waitGranted) === 0) {
    setContext(Mode.outside)
    while (smpLoadAcquire(me + Cpu.waitGranted) === 0) futexWait(me + Cpu.waitGranted, 0)
    setContext(Mode.kernel)
  }
  lockAcquired(sem, kind)
  lockStatWaited(lockClass, started)
}

function handOver(sem: number): void {
  spinLock(sem + Rwsem.waitLock)
  grant(sem)
  spinUnlock(sem + Rwsem.waitLock)
}

/** Gives the semaphore to as many waiters from the front as may have it together. The caller holds `waitLock`. */
function grant(sem: number): void {
  for (;;) {
    const waiter = load(sem + Rwsem.head)
    if (waiter === 0) break
    const writes = load(waiter + Cpu.waitKind) === WRITE
    const count = readOnce(sem + Rwsem.count)
    if (writes ? (count & ~WAITERS) !== 0 : (count & WRITER) !== 0) return
    // A releasing reader may change the count under us: look again.
    if (cmpxchg(sem + Rwsem.count, count, writes ? count | WRITER : count + 1) !== count) continue
    const next = load(waiter + Cpu.waitNext)
    store(sem + Rwsem.head, next)
    if (next === 0) store(sem + Rwsem.tail, 0)
    smpStoreRelease(waiter + Cpu.waitGranted, 1)
    futexWake(waiter + Cpu.waitGranted, 1)
  }
  atomicAnd(sem + Rwsem.count, ~WAITERS)
}
