// Spinlocks: one word, 0 free. Interrupts stay on unless the caller turned them off, and a waiter answers IPIs while it
// spins: a holder that waits for IPI acknowledgements needs that.
import { lockAcquired, lockReleased } from '../machine/annotations.ts'
import { cmpxchg, irqRestore, irqSave, readOnce, relax, smpStoreRelease } from '../machine/instructions.ts'
import { lockStatStart, lockStatWaited, spinlockClass } from './lock-stat.ts'

/** Acquires the spinlock at `lock`. The caller must not sleep until it is released. */
export function spinLock(lock: number): void {
  if (cmpxchg(lock, 0, 1) !== 0) spinLockSlow(lock)
  lockAcquired(lock, 1)
}

function spinLockSlow(lock: number): void {
  const started = lockStatStart()
  do {
    while (readOnce(lock) !== 0) relax()
  } while (cmpxchg(lock, 0, 1) !== 0)
  lockStatWaited(spinlockClass(lock), started)
}

/** Acquires the spinlock at `lock` if it is free. Returns 1, or 0 if it was held. */
export function spinTrylock(lock: number): number {
  if (cmpxchg(lock, 0, 1) !== 0) return 0
  lockAcquired(lock, 1)
  return 1
}

/** Releases a spinlock of the executing CPU's. */
export function spinUnlock(lock: number): void {
  lockReleased(lock)
  smpStoreRelease(lock, 0)
}

/** spin_lock_irqsave: the lock may also be taken by an interrupt handler of this CPU. */
export function spinLockIrqsave(lock: number): void {
  for (;;) {
    irqSave()
    if (cmpxchg(lock, 0, 1) === 0) break
    irqRestore()
    relax()
  }
  lockAcquired(lock, 1)
}

/** Undoes `spinLockIrqsave`. */
export function spinUnlockIrqrestore(lock: number): void {
  lockReleased(lock)
  smpStoreRelease(lock, 0)
  irqRestore()
}
