// Durations in buckets of about 3% width, in plain arrays that a CPU fills without making objects and that simply add up.

const SUB_BITS = 5
const OCTAVES = 36

/** Buckets of one histogram: nanoseconds up to about a minute. */
export const BUCKETS = OCTAVES << SUB_BITS

/** Durations of one kind of operation. */
export interface Histogram {
  readonly buckets: Int32Array
  count: number
  /** Nanoseconds. */
  total: number
  max: number
}

/** An empty histogram. */
export function createHistogram(): Histogram {
  return { buckets: new Int32Array(BUCKETS), count: 0, total: 0, max: 0 }
}

/** Counts one duration, in nanoseconds. */
export function record(to: Histogram, ns: number): void {
  to.count++
  to.total += ns
  if (ns > to.max) to.max = ns
  const value = ns < 1 ? 1 : ns > 0x7fff_ffff ? 0x7fff_ffff : ns | 0
  const octave = 31 - Math.clz32(value)
  const shift = octave - SUB_BITS
  const sub = (shift >= 0 ? value >> shift : value << -shift) & ((1 << SUB_BITS) - 1)
  const at = (octave << SUB_BITS) | sub
  to.buckets[at] = to.buckets[at]! + 1
}

/** Adds what another thread counted. */
export function addHistogram(to: Histogram, from: Histogram): void {
  to.count += from.count
  to.total += from.total
  if (from.max > to.max) to.max = from.max
  for (let at = 0; at < BUCKETS; at++) to.buckets[at] = to.buckets[at]! + from.buckets[at]!
}

/** The duration (nanoseconds, the middle of its bucket) that `share` of all durations do not exceed; NaN without any. */
export function percentile(from: Histogram, share: number): number {
  const wanted = Math.max(1, Math.ceil(from.count * share))
  let seen = 0
  for (let at = 0; at < BUCKETS; at++) {
    seen += from.buckets[at]!
    if (seen >= wanted && from.count > 0) {
      const low = 2 ** (at >> SUB_BITS)
      const width = low / (1 << SUB_BITS)
      return Math.min(from.max, low + ((at & ((1 << SUB_BITS) - 1)) + 0.5) * width)
    }
  }
  return Number.NaN
}
