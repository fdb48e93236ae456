// Users of a spinlock: adding to a word that it protects, and a lock that this CPU's interrupt handler takes too.
import { load, readOnce, thisCpu, writeOnce } from '../../kernel/machine/instructions.ts'
import { Cpu } from '../../kernel/machine/percpu.ts'
import { flushTlbMmRange } from '../../kernel/pagetable/tlb-flush.ts'
import { spinLock, spinLockIrqsave, spinTrylock, spinUnlock, spinUnlockIrqrestore } from '../../kernel/sync/spinlock.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'

/** What `tryAdd` returns if the lock was held. */
export const BUSY = -2

function bump(word: number): number {
  const value = readOnce(word) + 1
  writeOnce(word, value)
  return value
}

/** Adds one to `word`. Returns what it became. */
export function add(lock: number, word: number): number {
  spinLock(lock)
  const value = bump(word)
  spinUnlock(lock)
  return value
}

/** The same with interrupts off. */
export function addIrqsave(lock: number, word: number): number {
  spinLockIrqsave(lock)
  const value = bump(word)
  spinUnlockIrqrestore(lock)
  return value
}

/** The same, unless the lock is held. */
export function tryAdd(lock: number, word: number): number {
  if (spinTrylock(lock) === 0) return BUSY
  const value = bump(word)
  spinUnlock(lock)
  return value
}

/** Looks under the executing CPU's own flush lock, which its interrupt handler takes too, what its TLB is asked to forget. */
export function lookAtOwn(): number {
  enterKernel()
  const cpu = thisCpu()
  spinLockIrqsave(cpu + Cpu.flushLock)
  const pages = load(cpu + Cpu.flushEnd) - load(cpu + Cpu.flushStart)
  spinUnlockIrqrestore(cpu + Cpu.flushLock)
  exitKernel()
  return pages
}

/** Has the other CPUs of `mm` forget page 1: an IPI to each that is in the kernel. */
export function flush(mm: number): number {
  enterKernel()
  flushTlbMmRange(mm, 1, 2)
  exitKernel()
  return 0
}
