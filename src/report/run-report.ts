// What `gracewalk run` prints: one comparison over all combinations, locks, memory, verdicts, ratios.

import { unusualChoices } from '../scenario/runner/axes.ts'
import type { Verdict } from '../workload/replay/findings.ts'
import { type Histogram, percentile } from '../workload/replay/histogram.ts'
import type { ReplayResult, Skipped } from '../workload/replay/replay.ts'
import { bytes, count, ms, plural, short, times, us } from './format.ts'
import { type Palette, table } from './table.ts'

/** The result of one combination, without its log. */
export type Measured = Omit<ReplayResult, 'log'> & { readonly lost: Readonly<Record<string, number>>; readonly moved: boolean }

/** One combination. */
export interface Combination {
  readonly measured?: Measured
  readonly skipped?: Skipped
  readonly verdict?: Verdict | undefined
}

/** The combinations that ran. */
export function measuredOf(combinations: readonly Combination[]): Measured[] {
  return combinations.flatMap(({ measured }) => (measured ? [measured] : []))
}

const CALLS = ['mmap', 'munmap', 'mprotect'] as const
const LOCKS = [
  ['mmapRead', 'mmap_lock\nread'],
  ['mmapWrite', 'mmap_lock\nwrite'],
  ['vma', 'VMA\n'],
  ['pageTable', 'page\ntable'],
  ['zone', 'zone\n'],
  ['other', 'other\n'],
] as const

/** The whole report as lines. `assumed`: the touches are not the recorded program's own. */
export function runReport(combinations: readonly Combination[], assumed: boolean, colours: Palette): string[] {
  const ran = measuredOf(combinations)
  const out: string[] = []
  if (ran.length > 0) {
    out.push(...comparison(ran, assumed, colours), '', ...locks(ran, colours), '', ...designCounts(ran), ...memory(ran, colours), '')
    out.push(...notes(ran, assumed).map((line) => colours.dim(line)), '')
    const compared = ratios(ran)
    if (compared.length > 0) out.push(...compared, '')
  }
  for (const combination of combinations) out.push(...verdictLines(combination, colours))
  return out
}

function name(one: Measured): string {
  return `${one.design}\n${[one.arch, ...unusualChoices(one)].join(', ')}`
}

/** `vma-lock, x86_64`, and behind it what is not usual. */
function title(one: Measured | Skipped): string {
  return [one.design, one.arch, ...unusualChoices(one)].join(', ')
}

/** Median, 99th percentile and maximum in µs; below them how many in each run, and the time in them. */
function durations(histogram: Histogram | undefined, runs: number): string {
  if (histogram === undefined || histogram.count === 0) return '-\n'
  const quantiles = `${us(percentile(histogram, 0.5))}/${us(percentile(histogram, 0.99))}/${us(histogram.max)}`
  return `${quantiles}\n${count(histogram.count / runs)} in ${ms(histogram.total / runs)}ms`
}

/** Faults per second of the time between the first operation and the last, in the run in the middle. */
export function faultRate({ counters, elapsedRuns, runs }: Measured): number {
  return counters.faults / runs / (elapsedRuns[elapsedRuns.length >> 1]! / 1000)
}

function comparison(ran: readonly Measured[], assumed: boolean, colours: Palette): string[] {
  const unit = 'µs\np50/p99/max\ncount in total'
  const label = assumed ? 'assumed' : 'page'
  const header = [
    'design\narchitecture',
    `${label}\nfaults`,
    `${label}\nfaults/s`,
    `fault ${unit}`,
    ...CALLS.map((call) => `${call} ${unit}`),
  ]
  const rows = ran.map((one) => [
    name(one),
    count(one.counters.faults / one.runs),
    short(faultRate(one)),
    durations(one.histograms.touch, one.runs),
    ...CALLS.map((call) => durations(one.histograms[call], one.runs)),
  ])
  return table(header, rows, colours)
}

function locks(ran: readonly Measured[], colours: Palette): string[] {
  const header = ['lock waits: count, µs\n', ...LOCKS.map(([, title]) => title), 'fault\nretries', 'fall-\nbacks']
  const rows = ran.map((one) => [
    title(one),
    ...LOCKS.map(([lock]) => {
      const { count: waits, time } = one.counters.locks[lock]
      return waits === 0 ? '0' : `${short(waits / one.runs)}, ${short(time / one.runs)}`
    }),
    short(one.counters.retries / one.runs),
    short(one.counters.fallbacks / one.runs),
  ])
  return table(header, rows, colours)
}

/** What designs count themselves, a line for each that counted something, and an empty one. */
function designCounts(ran: readonly Measured[]): string[] {
  const lines = ran.flatMap((one) => {
    const { counters, runs } = one
    const counted = Object.entries(counters.design).filter(([, value]) => value > 0)
    if (counted.length === 0) return []
    return [`${title(one)}, in each run: ${counted.map(([what, value]) => `${what} ${short(value / runs)}`).join(', ')}`]
  })
  return lines.length === 0 ? [] : [...lines, '']
}

function memory(ran: readonly Measured[], colours: Palette): string[] {
  const header = [
    'in each run\n',
    'TLB\nmisses',
    'shoot-\ndowns',
    'IPIs\n',
    'page tables\nKiB at peak',
    'tables\nallocated',
    'resident\npages at peak',
    'machine\nmemory',
    'awaits,\nslept',
  ]
  const rows = ran.map((one) => [
    title(one),
    short(one.counters.tlbMisses / one.runs),
    short(one.counters.shootdowns / one.runs),
    short(one.counters.ipis / one.runs),
    count(one.tableBytes / 1024),
    short(one.counters.tableAllocs / one.runs),
    count(one.residentPages),
    bytes(one.memory),
    `${short(one.awaits / one.runs)}, ${short(one.sleeps / one.runs)}`,
  ])
  return table(header, rows, colours)
}

function notes(ran: readonly Measured[], assumed: boolean): string[] {
  const [first] = ran as [Measured]
  const out = [
    `${plural(first.cpus, 'CPU')}; each combination ran the program ${plural(first.warmUps, 'time')} unmeasured and ${plural(first.runs, 'time')} measured: counts and totals are per run`,
    `a duration includes a reading of the clock, ${Math.round(Math.max(...ran.map(({ clock }) => clock)))} ns; faults/s: of the time from the first operation to the last, median run`,
    'maxima and totals hold the times in which a thread had no core: on a busy machine compare medians',
    'page tables and resident pages: the largest sum, over address spaces alive together, of the peak of each',
  ]
  if (assumed) out.push('touches are assumed, the recording has none: faults and faults/s are the policy’s, not the program’s')
  for (const arch of new Set(ran.map((one) => one.arch))) {
    const one = ran.find((other) => other.arch === arch)!
    out.push(`${arch}: ${pageMapping(one)}`)
    const lost = Object.entries(one.lost)
    if (lost.length > 0) out.push(`${arch}, not as recorded: ${lost.map(([what, number]) => `${what} ${number}`).join(', ')}`)
  }
  return out
}

/** How recorded pages became the machine's. */
export function pageMapping({ pageBytes, pageMap, moved }: Measured): string {
  const apart = moved ? '; unused addresses between its parts were left out' : ''
  if (pageBytes === 4096) return `4 KiB pages as recorded${apart}`
  if (pageMap === 'scale') return `one recorded page is one page of ${bytes(pageBytes)} (--page-map scale)${apart}`
  return `recorded addresses, ranges rounded to pages of ${bytes(pageBytes)} and merged (--page-map round)`
}

/** `vma-lock`, and behind it what is not usual. */
function without(one: Measured): string {
  return [one.design, ...unusualChoices(one)].join(', ')
}

/** One line for each thing beyond the first that ran on one architecture. */
export function ratios(ran: readonly Measured[]): string[] {
  const out: string[] = []
  for (const arch of new Set(ran.map((one) => one.arch))) {
    const [base, ...others] = ran.filter((one) => one.arch === arch)
    if (base === undefined) continue
    for (const other of others) {
      const median = (kind: string): number => percentile(other.histograms[kind]!, 0.5) / percentile(base.histograms[kind]!, 0.5)
      const parts = [`faults/s ${times(faultRate(other) / faultRate(base))}`, `median fault ${times(median('touch'))}`]
      for (const call of CALLS) if (base.histograms[call]!.count > 0) parts.push(`${call} ${times(median(call))}`)
      out.push(`${without(other)} against ${without(base)} on ${arch}: ${parts.join(', ')}`)
    }
  }
  return out
}

/** The verdict on one combination. */
export function verdictLines({ measured, skipped, verdict }: Combination, colours: Palette): string[] {
  if (skipped) return [`${title(skipped)}: ${colours.yellow('skipped')}: ${skipped.skipped}`]
  if (!measured) return []
  const named = title(measured)
  const partial = measured.partial
    ? ` (${colours.yellow('partial')}: ${count(measured.completed)} of ${count(measured.operations)} operations)`
    : ''
  if (!verdict) return [`${named}: not verified${partial}`]
  const looked = `${plural(verdict.operations, 'operation')}, ${plural(verdict.reads, 'read')}, ${plural(verdict.pages, 'page')}, ${plural(verdict.mappings, 'mapping')}, nothing leaked`
  const aside = [
    verdict.raced > 0 ? `${plural(verdict.raced, 'pair')} raced` : '',
    verdict.explained > 0 ? `${verdict.explained} outcomes only a race explains` : '',
    verdict.tangled ? colours.yellow('shared or moved mappings raced: pages only checked to hold something that was written') : '',
    verdict.differing > 0 ? `${verdict.differing} ended otherwise than recorded` : '',
    verdict.outOfMemory > 0 ? colours.yellow(`${verdict.outOfMemory} found no memory`) : '',
  ].filter(Boolean)
  if (verdict.verified)
    return [`${named}: ${colours.green('verified')}${partial}: ${looked}${aside.length > 0 ? `; ${aside.join(', ')}` : ''}`]
  const out = [`${named}: ${colours.red('NOT verified')}${partial}: ${plural(verdict.count, 'finding')}`]
  for (const { kind, text } of verdict.findings) out.push(`  ${kind}: ${text}`)
  if (verdict.count > verdict.findings.length) out.push(`  and ${verdict.count - verdict.findings.length} more`)
  return out
}
