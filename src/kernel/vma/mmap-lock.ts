// mmap_lock: the semaphore of one address space, with the design's hooks where its writers begin and end.
import { design } from '../design/design.ts'
import { load, store, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { Mm } from '../memory/mm.ts'
import { LockClass, lockStatHeld, lockStatStart } from '../sync/lock-stat.ts'
import { downgradeWrite, downRead, downWrite, upRead, upWrite } from '../sync/rwsem.ts'

/** mmap_read_lock; may sleep. */
export function mmapReadLock(mm: number): void {
  downRead(mm + Mm.mmapLock)
  store(thisCpu() + Cpu.mmapReadSince, lockStatStart())
}

/** mmap_read_unlock. */
export function mmapReadUnlock(mm: number): void {
  lockStatHeld(LockClass.mmapRead, load(thisCpu() + Cpu.mmapReadSince))
  upRead(mm + Mm.mmapLock)
}

/** mmap_write_lock; may sleep. */
export function mmapWriteLock(mm: number): void {
  downWrite(mm + Mm.mmapLock)
  store(mm + Mm.lockHeldSince, lockStatStart())
  design.mmapWriteLocked(mm)
}

/** mmap_write_unlock. */
export function mmapWriteUnlock(mm: number): void {
  design.mmapWriteUnlocking(mm)
  lockStatHeld(LockClass.mmapWrite, load(mm + Mm.lockHeldSince))
  upWrite(mm + Mm.mmapLock)
}

/** mmap_write_downgrade: from here on others may read and fault. */
export function mmapWriteDowngrade(mm: number): void {
  design.mmapWriteUnlocking(mm)
  lockStatHeld(LockClass.mmapWrite, load(mm + Mm.lockHeldSince))
  store(thisCpu() + Cpu.mmapReadSince, lockStatStart())
  downgradeWrite(mm + Mm.mmapLock)
}
