// The kernel's own counters, summed over the CPUs, and what one replay added to them.

import { design } from '../../kernel/design/design.ts'
import { Global } from '../../kernel/machine/globals.ts'
import { load, perCpu } from '../../kernel/machine/instructions.ts'
import { Cpu } from '../../kernel/machine/percpu.ts'
import { LockClass } from '../../kernel/sync/lock-stat.ts'

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
  /** Page tables that were allocated; a page filled with several at once counts once. */
  tableAllocs: number
  rcuCallbacks: number
  gracePeriods: number
  locks: Record<keyof typeof LockClass, LockWaits>
  /** What the design counts itself, by its names (see `Design.counters`). */
  design: Record<string, number>
}

const FIELDS = Object.freeze({
  faults: Cpu.statFaults,
  majorFaults: Cpu.statMajorFaults,
  retries: Cpu.statFaultRetries,
  fallbacks: Cpu.statFaultFallbacks,
  shootdowns: Cpu.statShootdowns,
  ipis: Cpu.statIpisSent,
  tlbMisses: Cpu.statTlbMisses,
  tableAllocs: Cpu.statTableAllocs,
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
  const own = Object.fromEntries((design.counters ?? []).map((name, i) => [name, sum(Cpu.statDesign + i)]))
  return { ...numbers, locks, design: own }
}

/** What was counted between two readings. */
export function countersSince(before: Counters, now: Counters): Counters {
  return combine(now, before, -1)
}

/** The sum of two counts. */
export function addCounters(a: Counters, b: Counters): Counters {
  return combine(a, b, 1)
}

/** Nothing counted. */
export function noCounters(): Counters {
  const numbers = Object.fromEntries(Object.keys(FIELDS).map((name) => [name, 0])) as Record<keyof typeof FIELDS, number>
  const locks = Object.fromEntries(Object.keys(LockClass).map((name) => [name, { count: 0, time: 0 }])) as Counters['locks']
  return { ...numbers, locks, design: {} }
}

function combine(a: Counters, b: Counters, factor: number): Counters {
  const out = noCounters()
  for (const name of Object.keys(FIELDS) as (keyof typeof FIELDS)[]) out[name] = a[name] + factor * b[name]
  for (const name of Object.keys(LockClass) as (keyof typeof LockClass)[]) {
    out.locks[name].count = a.locks[name].count + factor * b.locks[name].count
    out.locks[name].time = a.locks[name].time + factor * b.locks[name].time
  }
  for (const name of Object.keys({ ...a.design, ...b.design })) out.design[name] = (a.design[name] ?? 0) + factor * (b.design[name] ?? 0)
  return out
}
