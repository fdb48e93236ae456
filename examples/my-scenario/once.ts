// A table that whoever comes first makes, in the kernel's language: functions over numbers, shared memory only through
// instructions. See docs/checking.md. In a project of your own the imports read 'gracewalk/kernel/…'.
import { load, readOnce, smpLoadAcquire, smpStoreRelease, store, writeOnce } from '../../src/kernel/machine/instructions.ts'
import { struct } from '../../src/kernel/machine/struct.ts'
import { spinLock, spinUnlock } from '../../src/kernel/sync/spinlock.ts'

/** A slot: its lock, whether the table is there, what is in it, how often it was made. */
export const Slot = struct({ lock: 1, there: 1, content: 1, made: 1 })

function make(slot: number): void {
  store(slot + Slot.made, load(slot + Slot.made) + 1)
  writeOnce(slot + Slot.content, 7)
}

/** Makes the table unless it is there. Returns its content. */
export function get(slot: number): number {
  if (smpLoadAcquire(slot + Slot.there) === 0) {
    spinLock(slot + Slot.lock)
    if (smpLoadAcquire(slot + Slot.there) === 0) {
      make(slot)
      smpStoreRelease(slot + Slot.there, 1)
    }
    spinUnlock(slot + Slot.lock)
  }
  return readOnce(slot + Slot.content)
}

/** Broken: does not look again once it has the lock. */
export function getWithoutRecheck(slot: number): number {
  if (smpLoadAcquire(slot + Slot.there) === 0) {
    spinLock(slot + Slot.lock)
    make(slot)
    smpStoreRelease(slot + Slot.there, 1)
    spinUnlock(slot + Slot.lock)
  }
  return readOnce(slot + Slot.content)
}

/** Broken: says that the table is there before it is. */
export function getPublishedEarly(slot: number): number {
  if (smpLoadAcquire(slot + Slot.there) === 0) {
    spinLock(slot + Slot.lock)
    if (smpLoadAcquire(slot + Slot.there) === 0) {
      smpStoreRelease(slot + Slot.there, 1)
      make(slot)
    }
    spinUnlock(slot + Slot.lock)
  }
  return readOnce(slot + Slot.content)
}
