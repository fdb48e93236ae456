// The results of `gracewalk run` for machines: plain numbers, durations in nanoseconds.
import type { ReadingReport } from '../trace/events.ts'
import type { Program } from '../workload/program/program.ts'
import { summarizeProgram } from '../workload/program/summary.ts'
import { type Histogram, percentile } from '../workload/replay/histogram.ts'
import { type Combination, faultRate, type Measured, pageMapping } from './run-report.ts'

interface Durations {
  count: number
  totalNs: number
  p50Ns: number | null
  p99Ns: number | null
  maxNs: number
}

function durations(from: Histogram): Durations {
  const number = (value: number): number | null => (Number.isFinite(value) ? Math.round(value) : null)
  return {
    count: from.count,
    totalNs: Math.round(from.total),
    p50Ns: number(percentile(from, 0.5)),
    p99Ns: number(percentile(from, 0.99)),
    maxNs: Math.round(from.max),
  }
}

function measuredJson(measured: Measured): object {
  const { histograms, ...rest } = measured
  const named = Object.entries(histograms).map(([kind, histogram]) => [kind === 'touch' ? 'fault' : kind, durations(histogram)])
  return {
    ...rest,
    faultsPerSecond: Math.round(faultRate(measured)),
    /** Page tables allocated in each run; a page of them at once counts once. `tableBytes` is the peak. */
    tableAllocs: Math.round(measured.counters.tableAllocs / measured.runs),
    pages: pageMapping(measured),
    durations: Object.fromEntries(named),
  }
}

/** Everything as one object. Counts and totals are over all measured runs (`runs`). */
export function runJson(
  version: string,
  reading: ReadingReport,
  program: Program,
  touch: string,
  combinations: readonly Combination[],
  interrupted: boolean,
): object {
  return {
    gracewalk: version,
    recording: reading,
    program: { ...summarizeProgram(program), report: program.report },
    touch: { policy: touch, assumed: program.report.assumedTouches > 0 },
    interrupted,
    combinations: combinations.map(({ measured, skipped, verdict }) => ({
      ...(measured ? measuredJson(measured) : skipped),
      ...(verdict ? { verdict } : {}),
    })),
  }
}
