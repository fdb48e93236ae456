// Runs a recorded program on one machine: fresh threads, the program once or more to let the compiler settle, then the
// run that is measured and whose contents are kept for the verification.

import { taskBytes } from '../../abi/system-calls.ts'
import { bootMachine, type MachineHandle } from '../../machine/machine.ts'
import { isDesignFile, loadDesign } from '../../machine/own-design.ts'
import { archByName, designByName, machineShape } from '../../machine/shape.ts'
import { startCpus } from '../../threads/cpus.ts'
import type { Program } from '../program/program.ts'
import type { PageMap } from './addresses.ts'
import type { Counters } from './counters.ts'
import type { RunEnd } from './ends.ts'
import type { Histogram } from './histogram.ts'
import { type Shared, Space } from './layout.ts'
import type { ReplayOptions } from './options.ts'
import { encode, type Translation, translateProgram } from './plan.ts'
import { runRounds } from './rounds.ts'
import type { SpaceEnd } from './snapshot.ts'

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

/** What was asked for. */
export interface Asked {
  readonly design: string
  readonly arch: string
  readonly index: string
  readonly rcu: string
  readonly tables: string
  readonly freeing: string
}

/** What was measured. */
export interface ReplayResult extends Asked {
  readonly pageMap: PageMap
  readonly pageBytes: number
  readonly cpus: number
  /** Bytes. */
  readonly memory: number
  readonly warmUps: number
  /** Measured runs: what follows adds them up, but for the peaks, which are the last one's. */
  readonly runs: number
  /** Stopped before its end: everything below is partial. */
  readonly partial: boolean
  readonly operations: number
  readonly completed: number
  /** Milliseconds from the first operation to the last, and those in which CPUs had something to do, summed. */
  readonly elapsed: number
  /** The same for each measured run, ascending. */
  readonly elapsedRuns: readonly number[]
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
export interface Skipped extends Asked {
  readonly skipped: string
}

/** Operations that shall be run before measuring, and while measuring. */
const WARM_OPERATIONS = 100_000
const MEASURED_OPERATIONS = 50_000
const MOST_RUNS = 20

/** Replays `program`. Rejects with the error of a CPU that died; throws MachineOptionError for options that do not fit. */
export async function replay(program: Program, options: ReplayOptions): Promise<ReplayResult | Skipped> {
  const arch = archByName(options.arch)
  const { design, index = 'maple', rcu = 'quiescent', tables = 'one', freeing = 'rcu-batch' } = options
  await loadDesign(design)
  if (!isDesignFile(design)) designByName(design)
  const asked = { design, arch: arch.name, index, rcu, tables, freeing }
  const translation = translateProgram(program, arch, options.pageMap ?? 'scale')
  if (typeof translation === 'string') return { ...asked, skipped: translation }
  const cpus = options.cpus ?? 2
  const memory = options.memory ?? memoryFor(translation, cpus)
  const machineOptions = {
    ...asked,
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
    return { ...asked, skipped: `${(memory / 2 ** 20).toFixed(0)} MiB of memory cannot be had: use --memory` }
  }
  const shared = encode(translation)
  const userEnd = taskBytes()
  const total = translation.operations.length
  const runsFor = (wanted: number): number => Math.min(MOST_RUNS, Math.ceil(wanted / Math.max(1, total)))
  const plan = {
    warmUps: options.warmUps ?? (total > WARM_OPERATIONS ? 0 : runsFor(WARM_OPERATIONS)),
    runs: Math.max(1, options.runs ?? runsFor(MEASURED_OPERATIONS)),
    warmCache: (options.diskLatency ?? 0) === 0,
  }
  const running = await startCpus(machine, cpus)
  try {
    const run = await runRounds(running, shared, translation, plan, options)
    const peaks = peakSums(shared)
    return {
      ...asked,
      pageMap: translation.pageMap,
      pageBytes: translation.pageBytes,
      cpus,
      memory,
      warmUps: run.warmUps,
      runs: run.runs,
      partial: run.partial,
      operations: total,
      completed: run.completed,
      elapsed: run.elapsed,
      elapsedRuns: run.elapsedRuns,
      busy: run.busy,
      histograms: run.histograms,
      quietTouches: run.quietTouches,
      counters: run.counters,
      awaits: run.awaits,
      sleeps: run.sleeps,
      tableBytes: peaks.tableWords * 4,
      residentPages: peaks.resident,
      clock: run.clock,
      log: {
        translation,
        shared,
        ends: run.ends,
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

/** Bytes of memory for the program's peak, its page tables, and room for what waits for a grace period. */
function memoryFor({ needs, pageBytes, program, operations }: Translation, cpus: number): number {
  const pages = needs.pages + needs.tables + program.spaces.length * 16 + operations.length / 64
  const frames = Math.ceil(pages * 1.25) + 512 + cpus * 256
  return Math.min(frames, Math.floor((4 * 2 ** 30) / pageBytes)) * pageBytes
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
