// Runs a program again and again on the CPUs of one machine: some times for the compiler, some times to measure, the last one
// with its contents kept.

import { MachineOptionError } from '../../machine/shape.ts'
import type { Cpus } from '../../threads/cpus.ts'
import { addCounters, type Counters, countersSince, noCounters, readCounters } from './counters.ts'
import type { CpuAnswer } from './cpu.ts'
import type { EndOrders, RunEnd } from './ends.ts'
import { addHistogram, createHistogram, type Histogram } from './histogram.ts'
import { Control, FileEntry, type Shared, Space } from './layout.ts'
import type { ReplayOptions } from './options.ts'
import type { Translation } from './plan.ts'
import type { SpaceEnd } from './snapshot.ts'

/** Milliseconds without a completed operation after which CPUs are taken to wait for each other for ever. */
const STALL = 60_000

/** CPUs wait for each other, or one goes round for ever: what a design with a lost wake-up comes to on threads. */
export class ReplayStalled extends Error {
  override readonly name = 'ReplayStalled'
}

/** How often to run. */
export interface RoundPlan {
  readonly warmUps: number
  readonly runs: number
  /** Whether the program's file pages are in the page cache from the beginning. */
  readonly warmCache: boolean
}

/** What the measured runs added up to, and how the last one ended. */
export interface Rounds {
  warmUps: number
  runs: number
  partial: boolean
  completed: number
  elapsed: number
  /** Of each measured run, ascending. */
  elapsedRuns: number[]
  busy: number
  histograms: Record<string, Histogram>
  counters: Counters
  quietTouches: number
  awaits: number
  sleeps: number
  clock: number
  ends: SpaceEnd[]
  end: RunEnd
  files: number[]
}

type Measured = Omit<Rounds, 'ends' | 'end' | 'files'>

/** Runs the program as planned. Rejects with the error of a CPU that died, and with `ReplayStalled`; an abort ends the run that is under way. */
export async function runRounds(
  cpus: Cpus,
  shared: Shared,
  translation: Translation,
  plan: RoundPlan,
  options: Pick<ReplayOptions, 'design' | 'arch' | 'progress' | 'signal' | 'stallAfter'>,
): Promise<Rounds> {
  const { signal, stallAfter = STALL } = options
  const total = translation.operations.length
  const tasks = spread(translation, cpus.count)
  const roots = translation.program.spaces.filter(({ madeBy }) => madeBy < 0).map(({ index }) => index)
  const heaps = translation.program.spaces.map(({ index }) => shared.spaces[index * Space.size + Space.heap]!)
  const rounds = plan.warmUps + plan.runs
  const sum = nothingMeasured()
  let round = 0
  let latest = -1
  let since = performance.now()
  let stalled: (error: Error) => void = () => {}
  const stall = new Promise<never>((_, reject) => {
    stalled = reject
  })
  stall.catch(() => {})
  const report = (): void => {
    const done = Math.min(total, Atomics.load(shared.control, Control.completed))
    options.progress?.(round * total + done, rounds * total)
    if (done !== latest) {
      latest = done
      since = performance.now()
    } else if (performance.now() - since > stallAfter) {
      const how = `${done} of ${total} are done, and nobody goes on`
      stalled(new ReplayStalled(`${options.design} on ${options.arch}: no operation has completed for ${stallAfter / 1000} s: ${how}`))
    }
  }
  const abort = (): void => {
    Atomics.store(shared.control, Control.stop, 1)
    Atomics.notify(shared.control, Control.doorbell)
  }
  const timer = setInterval(report, 100)
  signal?.addEventListener('abort', abort)
  try {
    for (; ; round++) {
      reset(shared, heaps)
      if (signal?.aborted) abort()
      const contents = round === rounds - 1 || signal?.aborted === true
      const orders: EndOrders = { shared, roots, warm: plan.warmCache, contents }
      const missing = (await cpus.run(0, { module: moduleOf('ends'), name: 'setUp', data: orders })) as number
      if (missing > 0) throw new MachineOptionError('the memory is too small to begin with: use a larger --memory')
      const files = translation.program.files.map((_, index) => shared.files[index * FileEntry.size + FileEntry.file]!)
      const before = readCounters()
      const from = performance.now()
      const job = { module: moduleOf('cpu'), name: 'replayTasks' }
      const running = cpus.runAll(job, (cpu) => ({ shared, tasks: tasks[cpu], contents }))
      running.catch(() => {}) // after a stall nobody waits for it
      const answers = (await Promise.race([running, stall])) as CpuAnswer[]
      const elapsed = performance.now() - from
      const counters = countersSince(before, readCounters())
      const end = (await cpus.run(0, { module: moduleOf('ends'), name: 'finish', data: orders })) as RunEnd
      const completed = Atomics.load(shared.control, Control.completed)
      const stopped = completed < total
      if (round < plan.warmUps && !stopped) {
        sum.warmUps++
        continue
      }
      measure(sum, answers, counters, elapsed)
      if (round < rounds - 1 && !stopped) continue
      report()
      const ends = [...answers.flatMap((answer) => answer.ends), ...end.ends]
      return { ...sum, partial: stopped, completed, ends, end, files }
    }
  } finally {
    clearInterval(timer)
    signal?.removeEventListener('abort', abort)
  }
}

function moduleOf(name: string): string {
  return new URL(`./${name}.js`, import.meta.url).href
}

function reset(shared: Shared, heaps: readonly number[]): void {
  shared.control.fill(0)
  shared.done.fill(0)
  shared.results.fill(0)
  shared.spaces.fill(0)
  for (let index = 0; index < heaps.length; index++) shared.spaces[index * Space.size + Space.heap] = heaps[index]!
}

function nothingMeasured(): Measured {
  return {
    warmUps: 0,
    runs: 0,
    partial: false,
    completed: 0,
    elapsed: 0,
    elapsedRuns: [],
    busy: 0,
    histograms: {},
    counters: noCounters(),
    quietTouches: 0,
    awaits: 0,
    sleeps: 0,
    clock: Number.POSITIVE_INFINITY,
  }
}

function measure(sum: Measured, answers: readonly CpuAnswer[], counters: Counters, elapsed: number): void {
  sum.runs++
  sum.elapsed += elapsed
  sum.elapsedRuns.push(elapsed)
  sum.elapsedRuns.sort((a, b) => a - b)
  sum.counters = addCounters(sum.counters, counters)
  for (const answer of answers) {
    sum.busy += answer.busy
    sum.quietTouches += answer.quietTouches
    sum.awaits += answer.awaits
    sum.sleeps += answer.sleeps
    sum.clock = Math.min(sum.clock, answer.clock)
    for (const [name, histogram] of Object.entries(answer.histograms)) {
      sum.histograms[name] ??= createHistogram()
      addHistogram(sum.histograms[name], histogram)
    }
  }
}

/** Tasks by CPU: the largest first, each to the CPU with the least to do. */
function spread({ firstOf }: Translation, cpus: number): number[][] {
  const sizes = firstOf.slice(1).map((stop, task) => ({ task, size: stop - firstOf[task]! }))
  const loads = Array.from({ length: cpus }, () => ({ tasks: [] as number[], size: 0 }))
  for (const { task, size } of sizes.sort((a, b) => b.size - a.size || a.task - b.task)) {
    if (size === 0) continue
    const least = loads.reduce((a, b) => (b.size < a.size ? b : a))
    least.tasks.push(task)
    least.size += size
  }
  return loads.map(({ tasks }) => tasks)
}
