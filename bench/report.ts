// The tables: nanoseconds per operation and thread, ratios to Linux, two threads against one, targets.
import { type LoopName, TARGET_RATIO, TARGET_SCALING } from './loop-names.ts'
import { median, ratios, spread } from './statistics.ts'

/** Rates per thread (operations per second) of every round of one combination. */
export interface Result {
  readonly loop: LoopName
  readonly design: string
  readonly arch: string
  readonly threads: number
  readonly ours: number[]
  readonly oursCpu: number[]
  readonly linux: number[]
  readonly linuxCpu: number[]
}

/** Lines of cells under a head, in columns; all but the first `left` columns are aligned to the right. */
export function columns(head: readonly string[], rows: readonly (readonly string[])[], left: number): string {
  const all = [head, ...rows]
  const widths = head.map((_, i) => Math.max(...all.map((row) => (row[i] ?? '').length)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i < left ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd()
  return [line(head), widths.map((w) => '-'.repeat(w)).join('  '), ...rows.map(line)].join('\n')
}

const nanoseconds = (rates: readonly number[]): string => (rates.length === 0 ? '-' : (1e9 / median(rates)).toFixed(0))
const times = (value: number): string => (Number.isNaN(value) ? '-' : `${value.toFixed(2)}x`)

/** One row per loop, architecture, design and number of threads. */
export function table(results: readonly Result[]): string {
  const rows = results.map((r) => {
    const wall = spread(ratios(r.ours, r.linux))
    const cpu = median(ratios(r.oursCpu, r.linuxCpu))
    const known = r.linux.length > 0
    return [
      r.loop,
      r.arch,
      r.design,
      String(r.threads),
      nanoseconds(r.ours),
      nanoseconds(r.linux),
      known ? times(wall.median) : '-',
      known ? `${wall.least.toFixed(2)}-${wall.greatest.toFixed(2)}` : '-',
      known ? times(cpu) : '-',
    ]
  })
  return columns(['loop', 'arch', 'design', 'threads', 'ours ns', 'Linux ns', 'ratio', 'spread', 'by CPU time'], rows, 3)
}

/** What two threads do together, against one: the same round compared. Empty unless both were measured. */
export function scalingTable(results: readonly Result[]): string {
  const rows = results.flatMap((two) => {
    if (two.threads !== 2) return []
    const one = results.find((r) => r.threads === 1 && r.loop === two.loop && r.design === two.design && r.arch === two.arch)
    if (one === undefined) return []
    const ours = spread(ratios(two.ours, one.ours).map((r) => r * 2))
    const linux = spread(ratios(two.linux, one.linux).map((r) => r * 2))
    const range = (s: typeof ours): string => (Number.isNaN(s.median) ? '-' : `${s.least.toFixed(2)}-${s.greatest.toFixed(2)}`)
    return [[two.loop, two.arch, two.design, times(ours.median), range(ours), times(linux.median), range(linux)]]
  })
  return rows.length === 0 ? '' : columns(['2 threads / 1 thread', 'arch', 'design', 'ours', 'spread', 'Linux', 'spread'], rows, 3)
}

/** The targets that were measured, and whether they are met. */
export function targets(results: readonly Result[]): string {
  const lines: string[] = []
  const say = (what: string, value: number, least: number): void => {
    lines.push(`target ${value >= least ? 'met   ' : 'MISSED'}  ${what}: ${times(value)} of at least ${times(least)}`)
  }
  for (const r of results) {
    const least = TARGET_RATIO[r.loop]
    if (least !== undefined && r.linux.length > 0)
      say(`${r.loop}, ${r.design}, ${r.threads} threads`, median(ratios(r.ours, r.linux)), least)
  }
  const { loop, design, ratio } = TARGET_SCALING
  const of = (threads: number): Result | undefined =>
    results.find((r) => r.loop === loop && r.design === design && r.arch === 'x86_64' && r.threads === threads)
  const one = of(1)
  const two = of(2)
  if (one !== undefined && two !== undefined) say(`${loop}, ${design}: 2 threads against 1`, 2 * median(ratios(two.ours, one.ours)), ratio)
  return lines.join('\n')
}
