// Lock statistics: how often and how long each class of lock was waited for. Off, they cost one plain load on the slow
// path and nothing on the fast one. On, waiting and holding times are added up per CPU in microseconds.
import { Global } from '../machine/globals.ts'
import { clock, load, store, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'

/** Classes of locks, as indices into the per-CPU `statLock…` arrays. */
export const LockClass = Object.freeze({ mmapRead: 0, mmapWrite: 1, pageTable: 2, zone: 3, vma: 4, other: 5 })

/** The class of the spinlock at `lock`: those inside `struct page` are page-table locks. */
export function spinlockClass(lock: number): number {
  if (lock === Global.zoneLock) return LockClass.zone
  if (lock >= load(Global.pages) && lock < load(Global.frames)) return LockClass.pageTable
  return LockClass.other
}

/** The time at which a wait or a hold begins, in microseconds; 0 while statistics are off. */
export function lockStatStart(): number {
  return load(Global.lockStatistics) === 0 ? 0 : clock()
}

/** Counts one wait for a lock of class `lockClass` that began at `started`. */
export function lockStatWaited(lockClass: number, started: number): void {
  const cpu = thisCpu() + lockClass
  store(cpu + Cpu.statLockWaits, load(cpu + Cpu.statLockWaits) + 1)
  if (started !== 0) store(cpu + Cpu.statLockWaitTime, load(cpu + Cpu.statLockWaitTime) + (clock() - started))
}

/** Counts the time since `started` as a hold of class `lockClass`. */
export function lockStatHeld(lockClass: number, started: number): void {
  if (started === 0) return
  const cpu = thisCpu() + lockClass
  store(cpu + Cpu.statLockHoldTime, load(cpu + Cpu.statLockHoldTime) + (clock() - started))
}
