// What a CPU's thread does in a replay: it runs whichever of its tasks is ready, the one with the earliest recorded operation
// first, and waits outside the kernel when none is. Between operations only: the kernel knows nothing of the order kept here.

import { enterKernel, exitKernel, rcuBarrier, sysSwitchMm } from '../../kernel/kernel.ts'
import { load, thisCpu } from '../../kernel/machine/instructions.ts'
import { Cpu } from '../../kernel/machine/percpu.ts'
import { createHistogram, type Histogram, record } from './histogram.ts'
import { Control, Edge, KIND_NAMES, Kind, Op, Result, type Shared } from './layout.ts'
import { type Performer, perform } from './perform.ts'
import type { SpaceEnd } from './snapshot.ts'

/** What a CPU is told. */
export interface CpuOrders {
  readonly shared: Shared
  readonly tasks: readonly number[]
  /** Record what the address spaces hold when they end. */
  readonly contents: boolean
}

/** What a CPU reports. */
export interface CpuAnswer {
  readonly histograms: Record<string, Histogram>
  readonly ends: SpaceEnd[]
  /** Touches that raised no fault. */
  readonly quietTouches: number
  /** Times that no task was ready, and how often it slept then. */
  readonly awaits: number
  readonly sleeps: number
  /** Milliseconds in which some task of this CPU could run. */
  readonly busy: number
  /** Nanoseconds that reading the clock costs; every duration includes it once. */
  readonly clock: number
}

const BURST = 32
const SPINS = 2000
/** A sleeper looks again after this many milliseconds, whatever happens. */
const LONGEST_SLEEP = 100

/** Nanoseconds that one reading of the clock takes: the best of some tries, for this thread may lose its core meanwhile. */
function clockCost(): number {
  let best = Number.POSITIVE_INFINITY
  for (let tries = 0; tries < 20; tries++) {
    const start = performance.now()
    for (let at = 0; at < 200; at++) performance.now()
    best = Math.min(best, ((performance.now() - start) * 1e6) / 200)
  }
  return best
}

/** Runs the tasks of one CPU to their end. */
export function replayTasks(cpu: number, orders: CpuOrders): CpuAnswer {
  const { shared, tasks } = orders
  const { ops, edges, done, results, control } = shared
  const next = tasks.map((task) => shared.tasks[task * 2]!)
  const stop = tasks.map((task) => shared.tasks[task * 2 + 1]!)
  const performer: Performer = { shared, current: -1, contents: orders.contents, ends: [] }
  const histograms = KIND_NAMES.map(createHistogram)
  let quietTouches = 0
  let awaits = 0
  let sleeps = 0
  let idle = 0
  let completed = 0

  const ready = (id: number): boolean => {
    const at = id * Op.size
    const first = ops[at + Op.edges]!
    for (let edge = first; edge < first + ops[at + Op.edgeCount]!; edge++) {
      if (Atomics.load(done, edges[edge * Edge.size + Edge.task]!) < edges[edge * Edge.size + Edge.count]!) return false
    }
    return true
  }
  const earliestReady = (): number => {
    let best = -1
    let order = 0x7fff_ffff
    for (let at = 0; at < tasks.length; at++) {
      const id = next[at]!
      if (id === stop[at] || ops[id * Op.size + Op.order]! >= order || !ready(id)) continue
      best = at
      order = ops[id * Op.size + Op.order]!
    }
    return best
  }
  const runOne = (id: number): void => {
    const at = id * Op.size
    const faults = load(thisCpu() + Cpu.statFaults)
    const to = id * Result.size
    results[to + Result.before] = Atomics.add(control, Control.ticket, 1)
    const kind = ops[at + Op.kind]!
    const ns = perform(performer, cpu, id, at, to)
    results[to + Result.after] = Atomics.add(control, Control.ticket, 1)
    if (kind === Kind.touch && load(thisCpu() + Cpu.statFaults) === faults) quietTouches++
    else record(histograms[kind]!, ns)
  }
  const finished = (at: number): void => {
    Atomics.store(done, tasks[at]!, next[at]! - shared.tasks[tasks[at]! * 2]!)
    if (ops[(next[at]! - 1) * Op.size + Op.awaited] !== 0 && Atomics.load(control, Control.waiters) > 0) {
      Atomics.add(control, Control.doorbell, 1)
      Atomics.notify(control, Control.doorbell)
    }
    if ((++completed & 63) === 0) Atomics.add(control, Control.completed, 64)
  }
  const waitForOne = (): number => {
    awaits++
    const from = performance.now()
    let best = -1
    for (let spin = 0; spin < SPINS && best < 0; spin += 16) best = earliestReady()
    while (best < 0 && Atomics.load(control, Control.stop) === 0) {
      const bell = Atomics.load(control, Control.doorbell)
      Atomics.add(control, Control.waiters, 1)
      best = earliestReady()
      if (best < 0) {
        sleeps++
        Atomics.wait(control, Control.doorbell, bell, LONGEST_SLEEP)
        best = earliestReady()
      }
      Atomics.sub(control, Control.waiters, 1)
    }
    idle += performance.now() - from
    return best
  }

  const began = performance.now()
  let left = tasks.filter((_, at) => next[at] !== stop[at]).length
  while (left > 0 && Atomics.load(control, Control.stop) === 0) {
    let at = earliestReady()
    if (at < 0) at = waitForOne()
    if (at < 0) break
    for (let count = 0; count < BURST && next[at] !== stop[at] && ready(next[at]!); count++) {
      runOne(next[at]!)
      next[at] = next[at]! + 1
      finished(at)
    }
    if (next[at] === stop[at]) left--
  }
  const busy = performance.now() - began - idle
  Atomics.add(control, Control.completed, completed & 63)
  sysSwitchMm(0)
  enterKernel()
  rcuBarrier()
  exitKernel()
  const named = Object.fromEntries(KIND_NAMES.map((name, kind) => [name, histograms[kind]!]))
  return { histograms: named, ends: performer.ends, quietTouches, awaits, sleeps, busy, clock: clockCost() }
}
