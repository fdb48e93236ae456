// How long interrupts are off, as the matrix reports it: for each walker of page tables and each policy of freeing them the longest section
// of the walker's CPU, and of the CPUs beside it, out of the reports of the cells that the tables of verdicts are made of.
import type { IrqOffSection } from '../check/explore/index.ts'
import type { MatrixEntry, MatrixResult } from './matrix-result.ts'

/** The longest section of one walker under one policy. */
export interface IrqOffLength {
  /** Steps, that is accesses to shared memory, from the one that turned interrupts off to the one that turned them on; 0: none. */
  readonly steps: number
  /** Where it began, or ''. */
  readonly place: string
  /** Whether every interleaving was searched: else a longer section may not have been seen. */
  readonly whole: boolean
}

/** One row: a walker, and its length under each policy; null where nothing was asked. */
export interface IrqOffRow {
  readonly walker: string
  readonly cells: readonly (IrqOffLength | null)[]
}

/** The rows of one of the matrix's tables. */
export interface IrqOffTable {
  readonly title: string
  readonly policies: readonly string[]
  readonly rows: readonly IrqOffRow[]
}

/** Whose section it is: the walker is CPU 0 in the scenarios of the matrix, and whoever unmaps is beside it. */
const WALKER = 0

/** What the CPUs beside the walker do in all scenarios that the matrix asks about walkers. */
const BESIDE = 'munmap, beside them'

/** The tables of `results` that say what their columns walk; of architectures that come to the same, one. */
export function irqOffTables(results: readonly MatrixResult[]): readonly IrqOffTable[] {
  const alike = new Map<string, { table: IrqOffTable; archs: string[] }>()
  for (const result of results) {
    const { walkers, rows: asked } = result.table
    if (walkers === undefined) continue
    const policies = asked.map(({ name }) => name)
    const of = (column: number, mine: boolean): readonly (IrqOffLength | null)[] =>
      result.rows.map((row) => length(row[column] ?? null, mine))
    const columns = walkers.flatMap((walker, column) => (walker === null ? [] : [{ walker, column }]))
    const rows = columns.map(({ walker, column }) => ({ walker, cells: of(column, true) }))
    const beside = columns.map(({ column }) => of(column, false))
    const table = {
      title: '',
      policies,
      rows: [...rows, { walker: BESIDE, cells: policies.map((_, i) => longest(beside.map((cells) => cells[i] ?? null))) }],
    }
    const key = JSON.stringify(table)
    const found = alike.get(key) ?? { table, archs: [] }
    alike.set(key, found)
    const arch = result.rows.flat().find((entry) => entry !== null)?.result.combination.arch
    if (arch !== undefined && !found.archs.includes(arch)) found.archs.push(arch)
  }
  return [...alike.values()].map(({ table, archs }) => ({ ...table, title: archs.join(', ') }))
}

function length(entry: MatrixEntry | null, mine: boolean): IrqOffLength | null {
  if (entry === null) return null
  const { irqOff, verdict } = entry.result.report
  // The longest comes first.
  const found = irqOff.find(({ cpu }: IrqOffSection) => (cpu === WALKER) === mine)
  return { steps: found?.steps ?? 0, place: found?.place ?? '', whole: verdict === 'proved' }
}

function longest(of: readonly (IrqOffLength | null)[]): IrqOffLength | null {
  const known = of.filter((one) => one !== null)
  if (known.length === 0) return null
  const first = known.reduce((most, one) => (one.steps > most.steps ? one : most))
  return { ...first, whole: known.every(({ whole }) => whole) }
}

/** `6`, `none`, or, where the search was not whole, how much was seen. */
export function irqOffText(length: IrqOffLength | null): string {
  if (length === null) return '-'
  if (!length.whole) return length.steps === 0 ? 'none seen' : `${length.steps} seen`
  return length.steps === 0 ? 'none' : String(length.steps)
}

/** Where the longest section of a row began. */
export function irqOffPlace({ cells }: IrqOffRow): string {
  return longest(cells)?.place || '-'
}

/** What the numbers are. */
export const IRQ_OFF_SAYS =
  'Steps (accesses to shared memory) from the one that turns interrupts off to the one that turns them on again: the most in any execution of ' +
  'the questions above, of small machines on which a walk passes one page, and where they begin. The handler of an IPI is not counted. ' +
  '*Seen*: the search ended with a counterexample, so that a longer section may exist.'
