// fault_alone and fault_beside_mmap: faults on private memory under each design and under mmap-lock, in turns. Alone: what a design costs
// a program of one thread. Beside a thread that maps, writes and unmaps other memory of the address space: what the design is for.
import { type AgainstMmapLock, TARGET_ALONE, type ThreadLoop } from './loop-names.ts'
import type { Measured } from './loops.ts'
import { type Ours, openOurs } from './ours.ts'
import { columns } from './report.ts'
import { median, ratios, spread } from './statistics.ts'

/** With what every design is compared, itself included: that row is the noise. */
export const BASE = 'mmap-lock'
/** Rounds that are V8's and the frames': not kept. */
const WARM_UP = 2
/** Pairs of machines, with Workers of their own: how V8 compiles the same code differs by a twentieth from one Worker to the next. */
const PAIRS = 3

const THREADS: Readonly<Record<AgainstMmapLock, readonly ThreadLoop[]>> = {
  fault_alone: ['page_fault1'],
  fault_beside_mmap: ['page_fault1', 'map_regions'],
}

/** Rates per second of every round under one design: by the clock, and for faults by the CPU time of the thread, too. */
interface Rates {
  readonly faults: number[]
  readonly faultsCpu: number[]
  /** Mappings that the other thread made, wrote and unmapped. */
  readonly mappings: number[]
}

/** One design beside mmap-lock: the rounds of both. Those of one place belong together. */
export interface Comparison {
  readonly loop: AgainstMmapLock
  readonly design: string
  readonly arch: string
  readonly ours: Rates
  readonly base: Rates
}

function keep(rates: Rates, threads: readonly Measured[]): void {
  const [faulting, mapping] = threads
  if (faulting === undefined) return
  const { operations, wall, cpu } = faulting
  rates.faults.push((operations / wall) * 1e9)
  rates.faultsCpu.push(cpu > 0 ? (operations / cpu) * 1e9 : Number.NaN)
  if (mapping !== undefined) rates.mappings.push((mapping.operations / mapping.wall) * 1e9)
}

/** What a comparison needs of the options. */
interface Turns {
  readonly rounds: number
  readonly milliseconds: number
  readonly megabytes: number
}

/** Measures one design and mmap-lock in turns. Says as well whether all threads had cores of their own. */
export async function compare(
  loop: AgainstMmapLock,
  design: string,
  arch: string,
  turns: Turns,
): Promise<Comparison & { readonly pinned: boolean }> {
  const none = (): Rates => ({ faults: [], faultsCpu: [], mappings: [] })
  const ours = none()
  const base = none()
  let pinned = true
  for (let pair = 0, left = turns.rounds; left > 0; pair++) {
    const rounds = Math.ceil(left / (PAIRS - pair))
    // Who is first changes, in case that it matters.
    const sides = [
      { name: design, rates: ours },
      { name: BASE, rates: base },
    ]
    if (pair % 2 === 1) sides.reverse()
    if (!(await takeTurns(loop, arch, { ...turns, rounds }, sides))) pinned = false
    left -= rounds
  }
  return { loop, design, arch, ours, base, pinned }
}

/** One pair of machines: A, B, A, B for so many rounds. Returns whether all threads had cores of their own. */
async function takeTurns(
  loop: AgainstMmapLock,
  arch: string,
  { rounds, milliseconds, megabytes }: Turns,
  sides: readonly { readonly name: string; readonly rates: Rates }[],
): Promise<boolean> {
  const loops = THREADS[loop]
  const machines: Ours[] = []
  try {
    for (const { name } of sides) machines.push(await openOurs(name, arch, loops.length, megabytes))
    for (let round = -WARM_UP; round < rounds; round++)
      for (const [i, { rates }] of sides.entries()) {
        const threads = await machines[i]!.run(loops, milliseconds)
        if (round >= 0) keep(rates, threads)
      }
    return machines.every((machine) => machine.pinned)
  } finally {
    for (const machine of machines) await machine.close()
  }
}

const HEAD = [
  'against mmap-lock',
  'arch',
  'design',
  'faults/s',
  'mmap-lock',
  'ratio',
  'spread',
  'by CPU time',
  'mappings/s',
  'mmap-lock',
  'ratio',
]

/** One row for each loop and design. */
export function comparisonTable(results: readonly Comparison[]): string {
  const rate = (values: readonly number[]): string => (values.length === 0 ? '-' : median(values).toFixed(0))
  const times = (value: number): string => (Number.isNaN(value) ? '-' : `${value.toFixed(2)}x`)
  const rows = results.map(({ loop, arch, design, ours, base }) => {
    const faults = spread(ratios(ours.faults, base.faults))
    const byCpu = median(ratios(ours.faultsCpu, base.faultsCpu))
    const range = `${faults.least.toFixed(2)}-${faults.greatest.toFixed(2)}`
    const mappings = [rate(ours.mappings), rate(base.mappings), times(median(ratios(ours.mappings, base.mappings)))]
    return [loop, arch, design, rate(ours.faults), rate(base.faults), times(faults.median), range, times(byCpu), ...mappings]
  })
  return columns(HEAD, rows, 3)
}

/** Whether each design does, with one thread, what it should at least. By CPU time, where that is known: neighbours take none of it. */
export function comparisonTargets(results: readonly Comparison[]): string {
  return results
    .flatMap(({ loop, arch, design, ours, base }) => {
      if (loop !== 'fault_alone' || design === BASE) return []
      const byCpu = median(ratios(ours.faultsCpu, base.faultsCpu))
      const ratio = Number.isNaN(byCpu) ? median(ratios(ours.faults, base.faults)) : byCpu
      const met = ratio >= TARGET_ALONE
      const line = `target ${met ? 'met   ' : 'MISSED'}  ${loop}, ${design} ${arch}: ${ratio.toFixed(2)}x of at least ${TARGET_ALONE.toFixed(2)}x`
      return [met ? line : `${line} (see docs/designs.md)`]
    })
    .join('\n')
}
