// Medians and ratios of measurements that were made in turns.
import type { Measured } from './loops.ts'

/** Operations per second of one thread, the mean over the threads of a measurement; by the clock or by CPU time. */
export function ratePerThread(threads: readonly Measured[], by: 'wall' | 'cpu'): number {
  return threads.reduce((sum, t) => sum + (t[by] > 0 ? (t.operations / t[by]) * 1e9 : Number.NaN), 0) / threads.length
}

/** The middle of some numbers, NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.filter((v) => !Number.isNaN(v)).sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? (sorted[middle] ?? Number.NaN) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

/** A median with the least and the greatest value. */
export interface Spread {
  readonly median: number
  readonly least: number
  readonly greatest: number
}

/** The spread of some numbers. */
export function spread(values: readonly number[]): Spread {
  return { median: median(values), least: Math.min(...values), greatest: Math.max(...values) }
}

/** The ratio of each pair: what was measured in the same round is compared, so that slow minutes hit both sides. */
export function ratios(ours: readonly number[], theirs: readonly number[]): number[] {
  return ours.map((value, i) => value / (theirs[i] ?? Number.NaN))
}
