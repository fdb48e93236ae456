// Runs a recorded program on one machine: fresh threads, the program once or more to let the compiler settle, then the
// run that is measured and whose contents are kept for the verification.

import { taskBytes } from '../abi/system-calls.ts'
import { availableParallelism } from '../cores.ts'
import { bootMachine, type MachineHandle } from '../machine.ts'
import { archByName, designByName, MachineOptionError, machineShape } from '../shape.ts'
import { type Cpus, startCpus } from '../threads/cpus.ts'
import type { Program } from './program.ts'
import type { PageMap } from './replay-addresses.ts'
import { type Counters, countersSince, readCounters } from './replay-counters.ts'
import type { CpuAnswer } from './replay-cpu.ts'
import type { EndOrders, RunEnd } from './replay-ends.ts'
import { addHistogram, createHistogram, type Histogram } from './replay-histogram.ts'
import { Control, type Shared, Space } from './replay-layout.ts'
import { encode, type Translation, translateProgram } from './replay-plan.ts'
import type { SpaceEnd } from './replay-snapshot.ts'

/** How to replay. */
export interface ReplayOptions {
  readonly design: string
  readonly arch: string
  /** Default 2. */
  readonly cpus?: number
  /** Default `scale`. */
  readonly pageMap?: PageMap
  /** Bytes; chosen from the program when not given. */
  readonly memory?: number
  /** Microseconds that a read from disk takes. Default 0: the program's file pages are in the page cache from the beginning. */
  readonly diskLatency?: number
  /** Unmeasured runs before the measured one; chosen by the program's size when not given. */
  readonly warmUps?: number
  /** Fill freed frames with junk. Default false. */
  readonly poison?: boolean
  /** Is told how far the replay is: operations done and to do, warm-ups included. */
  readonly progress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

/** The log of a replay: what was asked, what came out. */
export interface ReplayLog {
  readonly translation: Translation
  readonly shared: Shared
  readonly ends: readonly SpaceEnd[]
  readonly cached: readonly number[]
  readonly balance: RunEnd['balance']
  /** The kernel's struct file of each file of the program. */
  readonly files: readonly number[]
  readonly taskBytes: number
}

/** What was measured. */
export interface ReplayResult {
  readonly design: string
  readonly arch: string
  readonly pageMap: PageMap
  readonly pageBytes: number
  readonly cpus: number
  /** Bytes. */
  readonly memory: number
  readonly warmUps: number
  /** Stopped before its end: everything below is partial. */
  readonly partial: boolean
  readonly operations: number
  readonly completed: number
  /** Milliseconds from the first operation to the last, and those in which CPUs had something to do, summed. */
  readonly elapsed: number
  readonly busy: number
  /** By kind. `touch` holds the touches that raised a fault. */
  readonly histograms: Readonly<Record<string, Histogram>>
  readonly quietTouches: number
  readonly counters: Counters
  readonly awaits: number
  readonly sleeps: number
  /** Bytes of page tables: the largest sum, over address spaces alive at the same time, of each one's own peak. */
  readonly tableBytes: number
  /** The same for resident pages; a page in two address spaces counts twice, as in RSS. */
  readonly residentPages: number
  readonly clock: number
  readonly log: ReplayLog
}

/** A combination that cannot be replayed. */
export interface Skipped {
  readonly design: string
  readonly arch: string
  readonly skipped: string
}

const LEAST_OPERATIONS = 150_000
const MOST_WARM_UPS = 30

/** Replays `program`. Rejects with the error of a CPU that died; throws MachineOptionError for options that do not fit. */
export async function replay(program: Program, options: ReplayOptions): Promise<ReplayResult | Skipped> {
  const arch = archByName(options.arch)
  designByName(options.design)
  const { design } = options
  const translation = translateProgram(program, arch, options.pageMap ?? 'scale')
  if (typeof translation === 'string') return { design, arch: arch.name, skipped: translation }
  const cpus = options.cpus ?? 2
  const memory = options.memory ?? memoryFor(translation, cpus)
  const machineOptions = {
    arch: arch.name,
    design,
    cpus,
    memory,
    windows: translation.map.windows,
    diskLatency: options.diskLatency ?? 0,
    poison: options.poison ?? false,
    lockStatistics: true,
  }
  machineShape(machineOptions)
  let machine: MachineHandle
  try {
    machine = bootMachine(machineOptions)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return { design, arch: arch.name, skipped: `${(memory / 2 ** 20).toFixed(0)} MiB of memory cannot be had: use --memory` }
  }
  const shared = encode(translation)
  const userEnd = taskBytes()
  const total = translation.operations.length
  const warmUps = options.warmUps ?? Math.min(MOST_WARM_UPS, Math.max(0, Math.ceil(LEAST_OPERATIONS / Math.max(1, total)) - 1))
  const running = await startCpus(machine, cpus)
  try {
    const run = await runRounds(running, shared, translation, warmUps, (options.diskLatency ?? 0) === 0, options)
    const peaks = peakSums(shared)
    return {
      design,
      arch: arch.name,
      pageMap: translation.pageMap,
      pageBytes: translation.pageBytes,
      cpus,
      memory,
      warmUps,
      partial: run.partial,
      operations: total,
      completed: run.completed,
      elapsed: run.elapsed,
      busy: run.answers.reduce((sum, { busy }) => sum + busy, 0),
      histograms: sumHistograms(run.answers),
      quietTouches: run.answers.reduce((sum, answer) => sum + answer.quietTouches, 0),
      counters: run.counters,
      awaits: run.answers.reduce((sum, answer) => sum + answer.awaits, 0),
      sleeps: run.answers.reduce((sum, answer) => sum + answer.sleeps, 0),
      tableBytes: peaks.tableWords * 4,
      residentPages: peaks.resident,
      clock: run.answers.reduce((most, answer) => Math.max(most, answer.clock), 0),
      log: {
        translation,
        shared,
        ends: [...run.answers.flatMap(({ ends }) => ends), ...run.end.ends],
        cached: run.end.cached,
        balance: run.end.balance,
        files: run.files,
        taskBytes: userEnd,
      },
    }
  } finally {
    await running.stop()
  }
}

interface Rounds {
  partial: boolean
  completed: number
  elapsed: number
  answers: CpuAnswer[]
  end: RunEnd
  counters: Counters
  files: number[]
}

async function runRounds(
  cpus: Cpus,
  shared: Shared,
  translation: Translation,
  warmUps: number,
  warm: boolean,
  options: ReplayOptions,
): Promise<Rounds> {
  const module = new URL('./replay-cpu.js', import.meta.url).href
  const endsModule = new URL('./replay-ends.js', import.meta.url).href
  const total = translation.operations.length
  const tasks = spread(translation, cpus.count)
  const roots = translation.program.spaces.filter(({ madeBy }) => madeBy < 0).map(({ index }) => index)
  const heaps = translation.program.spaces.map(({ index }) => shared.spaces[index * Space.size + Space.heap]!)
  let round = 0
  const report = (): void =>
    options.progress?.(round * total + Math.min(total, Atomics.load(shared.control, Control.completed)), (warmUps + 1) * total)
  const timer = setInterval(report, 100)
  const abort = (): void => {
    Atomics.store(shared.control, Control.stop, 1)
    Atomics.notify(shared.control, Control.doorbell)
  }
  options.signal?.addEventListener('abort', abort)
  try {
    for (; ; round++) {
      const last = round === warmUps || options.signal?.aborted === true
      shared.control.fill(0)
      if (options.signal?.aborted) abort()
      shared.done.fill(0)
      shared.results.fill(0)
      shared.spaces.fill(0)
      for (let index = 0; index < heaps.length; index++) shared.spaces[index * Space.size + Space.heap] = heaps[index]!
      const orders: EndOrders = { shared, roots, warm, contents: last }
      const missing = await cpus.run(0, { module: endsModule, name: 'setUp', data: orders })
      if ((missing as number) > 0) throw new MachineOptionError('memory is too small to begin with: use a larger --memory')
      const files = translation.program.files.map((_, index) => shared.files[index * 3]!)
      const before = readCounters()
      const from = performance.now()
      const answers = (await cpus.runAll({ module, name: 'replayTasks' }, (cpu) => ({
        shared,
        tasks: tasks[cpu],
        contents: last,
      }))) as CpuAnswer[]
      const elapsed = performance.now() - from
      const counters = countersSince(before, readCounters())
      const completed = Atomics.load(shared.control, Control.completed)
      const partial = completed < total
      const end = (await cpus.run(0, { module: endsModule, name: 'finish', data: orders })) as RunEnd
      if (last || partial) {
        report()
        return { partial, completed, elapsed, answers, end, counters, files }
      }
    }
  } finally {
    clearInterval(timer)
    options.signal?.removeEventListener('abort', abort)
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

/** Bytes of memory for the program's peak, its page tables, and room for what waits for a grace period. */
function memoryFor({ needs, pageBytes, program, operations }: Translation, cpus: number): number {
  const pages = needs.pages + needs.tables + program.spaces.length * 16 + operations.length / 64
  const frames = Math.ceil(pages * 1.25) + 512 + cpus * 256
  return Math.min(frames, Math.floor((4 * 2 ** 30) / pageBytes)) * pageBytes
}

function sumHistograms(answers: readonly CpuAnswer[]): Record<string, Histogram> {
  const out: Record<string, Histogram> = {}
  for (const { histograms } of answers) {
    for (const [name, histogram] of Object.entries(histograms)) {
      out[name] ??= createHistogram()
      addHistogram(out[name], histogram)
    }
  }
  return out
}

/** The largest sums of peaks over the address spaces that are alive at the same time. */
function peakSums({ spaces }: Shared): { tableWords: number; resident: number } {
  const moments: { at: number; tables: number; resident: number }[] = []
  for (let at = 0; at + Space.size <= spaces.length; at += Space.size) {
    const tables = spaces[at + Space.tablePeak]!
    const resident = spaces[at + Space.residentPeak]!
    moments.push({ at: spaces[at + Space.born]!, tables, resident })
    moments.push({ at: spaces[at + Space.dead]!, tables: -tables, resident: -resident })
  }
  moments.sort((a, b) => a.at - b.at || a.tables - b.tables)
  const peak = { tableWords: 0, resident: 0 }
  const now = { tables: 0, resident: 0 }
  for (const { tables, resident } of moments) {
    now.tables += tables
    now.resident += resident
    peak.tableWords = Math.max(peak.tableWords, now.tables)
    peak.resident = Math.max(peak.resident, now.resident)
  }
  return peak
}

/** Cores for CPUs; more CPUs than cores give way to each other. */
export function coresShort(cpus: number): boolean {
  return cpus > availableParallelism()
}
