// The kernel's own counters, summed over the CPUs, and what one replay added to them.

import { Global } from '../kernel/machine/globals.ts'
import { load, perCpu } from '../kernel/machine/instructions.ts'
import { Cpu } from '../kernel/machine/percpu.ts'
import { LockClass } from '../kernel/sync/lock-stat.ts'

/** Waits for one class of locks. */
export interface LockWaits {
  count: number
  /** Microseconds. */
  time: number
}

/** What the kernel counted. */
export interface Counters {
  faults: number
  majorFaults: number
  /** Faults that were repeated, and those that fell back from the VMA's lock to mmap_lock. */
  retries: number
  fallbacks: number
  shootdowns: number
  ipis: number
  tlbMisses: number
  rcuCallbacks: number
  gracePeriods: number
  locks: Record<keyof typeof LockClass, LockWaits>
}

const FIELDS = Object.freeze({
  faults: Cpu.statFaults,
  majorFaults: Cpu.statMajorFaults,
  retries: Cpu.statFaultRetries,
  fallbacks: Cpu.statFaultFallbacks,
  shootdowns: Cpu.statShootdowns,
  ipis: Cpu.statIpisSent,
  tlbMisses: Cpu.statTlbMisses,
  rcuCallbacks: Cpu.statRcuCallbacks,
  gracePeriods: Cpu.statGracePeriods,
})

/** The counters of the machine that this thread is bound to; exact while no CPU is in the kernel. */
export function readCounters(): Counters {
  const sum = (field: number): number => {
    let total = 0
    for (let cpu = 0; cpu < load(Global.nrCpus); cpu++) total += load(perCpu(cpu) + field)
    return total
  }
  const numbers = Object.fromEntries(Object.entries(FIELDS).map(([name, field]) => [name, sum(field)])) as Record<
    keyof typeof FIELDS,
    number
  >
  const locks = Object.fromEntries(
    Object.entries(LockClass).map(([name, at]) => [name, { count: sum(Cpu.statLockWaits + at), time: sum(Cpu.statLockWaitTime + at) }]),
  ) as Counters['locks']
  return { ...numbers, locks }
}

/** What was counted between two readings. */
export function countersSince(before: Counters, now: Counters): Counters {
  const numbers = Object.fromEntries(
    Object.keys(FIELDS).map((name) => [name, now[name as keyof typeof FIELDS] - before[name as keyof typeof FIELDS]]),
  ) as Record<keyof typeof FIELDS, number>
  const locks = Object.fromEntries(
    Object.entries(now.locks).map(([name, { count, time }]) => {
      const old = before.locks[name as keyof typeof LockClass]
      return [name, { count: count - old.count, time: time - old.time }]
    }),
  ) as Counters['locks']
  return { ...numbers, locks }
}
