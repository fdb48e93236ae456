// munmap_latency: the distribution of munmap's time under each design, beside a thread that faults on memory, and beside one that
// sleeps in its faults. What waits for readers (vma-lock for one VMA's, srcu-sync for all of the machine's) shows in the tail.
import { bootMachine } from '../src/machine/machine.ts'
import { archByName } from '../src/machine/shape.ts'
import { startCpus } from '../src/threads/cpus.ts'
import type { LatencyJob } from './latency-loops.ts'
import { columns } from './report.ts'

const loops = new URL('./loops.js', import.meta.url).href
const module = new URL('./latency-loops.js', import.meta.url).href

/** Microseconds of a read from the disk. */
const DISK = 100
/** Rounds that are V8's and the frames': not kept. */
const WARM_UP = 2

/** What was measured: nanoseconds. */
export interface Latency {
  readonly design: string
  readonly arch: string
  /** What the other thread does. */
  readonly beside: 'faults on memory' | 'faults from disk'
  readonly munmaps: number
  readonly p50: number
  readonly p99: number
  readonly max: number
  /** Faults of the other thread per second. */
  readonly faults: number
  /** The same three for each round. */
  readonly rounds: readonly { readonly p50: number; readonly p99: number; readonly max: number }[]
}

/** The value below which `part` of the sorted `values` lie. */
function quantile(values: Float64Array, part: number): number {
  return values[Math.min(values.length - 1, Math.floor(values.length * part))] ?? Number.NaN
}

function summary(times: Float64Array): { p50: number; p99: number; max: number } {
  const sorted = times.slice().sort()
  return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: quantile(sorted, 1) }
}

/** Measures `rounds` rounds of `milliseconds` under one design. */
export async function measureLatency(
  design: string,
  arch: string,
  beside: Latency['beside'],
  rounds: number,
  milliseconds: number,
): Promise<Latency> {
  // One page for each read, as fast as the disk is, for all rounds; and as much again where a sleep is shorter than was asked for.
  const filePages = beside === 'faults from disk' ? Math.ceil(((rounds + WARM_UP) * (milliseconds + 200) * 2000) / DISK) : 0
  const memory = filePages * 2 ** archByName(arch).pageShift + 64 * 2 ** 20
  const cpus = await startCpus(bootMachine({ design, arch, cpus: 2, memory, diskLatency: DISK }), 2)
  try {
    const { mm } = (await cpus.run(0, { module: loops, name: 'prepare', data: { threads: 1, megabytes: 1 } })) as { mm: number }
    await cpus.runAll({ module: loops, name: 'join' }, () => mm)
    const region = (await cpus.run(1, { module, name: 'mapRegion', data: { mm, filePages } })) as number
    const kept: Float64Array[] = []
    let faults = 0
    let from = 0
    for (let round = -WARM_UP; round < rounds; round++) {
      const gate = new Int32Array(new SharedArrayBuffer(128))
      const job: LatencyJob = { mm, milliseconds, region, filePages, gate }
      const [times, other] = (await Promise.all([
        cpus.run(0, { module, name: 'unmapAndTime', data: job }),
        cpus.run(1, { module, name: 'faultMeanwhile', data: { ...job, from } }),
      ])) as [Float64Array, { faults: number; at: number }]
      from = other.at
      if (round < 0) continue
      kept.push(times)
      faults += other.faults
    }
    const all = new Float64Array(kept.reduce((sum, times) => sum + times.length, 0))
    let at = 0
    for (const times of kept) {
      all.set(times, at)
      at += times.length
    }
    const perSecond = (faults / (rounds * milliseconds)) * 1000
    return { design, arch, beside, munmaps: all.length, ...summary(all), faults: perSecond, rounds: kept.map(summary) }
  } finally {
    await cpus.stop()
  }
}

const micro = (nanoseconds: number): string => (nanoseconds / 1000).toFixed(1)

/** One row for each design and each thing that the other thread does. */
export function latencyTable(results: readonly Latency[]): string {
  const rows = results.map((r) => [
    r.beside,
    r.arch,
    r.design,
    String(r.munmaps),
    micro(r.p50),
    micro(r.p99),
    micro(r.max),
    String(Math.round(r.faults)),
  ])
  return columns(['munmap of 16 pages beside', 'arch', 'design', 'munmaps', 'p50 us', 'p99 us', 'max us', 'its faults/s'], rows, 3)
}
