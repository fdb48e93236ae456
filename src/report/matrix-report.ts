// What `gracewalk matrix` prints, and the generated page docs/matrix.md: tables of verdicts, what sets architectures apart, costs.

import { combinationFlags, type WholeCombination, wholeCombination } from '../scenario/runner/axes.ts'
import type { CheckResult } from '../scenario/runner/check.ts'
import { verdictText } from './check-report.ts'
import { count, plural, short } from './format.ts'
import { IRQ_OFF_SAYS, irqOffPlace, irqOffTables, irqOffText } from './matrix-irq-off.ts'
import type { MatrixEntry, MatrixResult } from './matrix-result.ts'
import { type Palette, table } from './table.ts'

/** What running costs: measured on threads with one recording. */
export interface MatrixCost {
  readonly design: string
  readonly arch: string
  readonly pageBytes: number
  /** Peak bytes of page tables. */
  readonly tableBytes: number
  readonly faultsPerSecond: number
  readonly vmaBytes: number
}

/** The architecture that the others are compared with. */
const COMPARED_WITH = 'x86_64'

const IRQ_OFF_TITLE = 'Longest sections with interrupts off'

/** `safe`, `unsafe`, or how far it was searched. */
export function matrixWord({ report }: CheckResult): string {
  if (report.verdict === 'proved') return 'safe'
  return report.verdict === 'violation' ? 'unsafe' : `not proved: ${verdictText(report)}`
}

/** Tables of architectures that come to the same verdicts are one, named after all of them. */
export function mergeTables(results: readonly MatrixResult[]): MatrixResult[] {
  const alike = new Map<string, MatrixResult[]>()
  for (const result of results) {
    const { title, arch } = result.table
    const words = result.rows.map((row) => row.map((entry) => (entry === null ? '' : matrixWord(entry.result))))
    const key = arch === undefined ? title : JSON.stringify(words)
    alike.set(key, [...(alike.get(key) ?? []), result])
  }
  return [...alike.values()].map((group) => {
    const [first, ...others] = group as [MatrixResult, ...MatrixResult[]]
    const title = [first.table.title, ...others.map(({ table: { arch } }) => arch)].join(', ')
    return { ...first, table: { ...first.table, title } }
  })
}

/** What the terminal shows. */
export function matrixLines(results: readonly MatrixResult[], costs: readonly MatrixCost[], colours: Palette): string[] {
  const lines: string[] = []
  for (const { table: asked, rows } of mergeTables(results)) {
    lines.push(colours.bold(asked.title), asked.says, '')
    const cells = rows.map((row, at) => [
      asked.rows[at]?.name ?? '',
      ...row.map((entry) => (entry === null ? '-' : coloured(entry.result, colours))),
    ])
    lines.push(...table([asked.of, ...asked.columns.map(inLines)], cells, colours), '')
  }
  lines.push(...irqOffLines(results, colours))
  if (costs.length > 0) lines.push(...costLines(costs, colours), '')
  return [...lines, ...summary(results)]
}

/** Long headings take a line for each few words. */
function inLines(text: string): string {
  return text.replaceAll(/(.{8,}?)([-\s])/g, '$1$2\n').replaceAll(/\s+\n/g, '\n')
}

function coloured(result: CheckResult, colours: Palette): string {
  const word = matrixWord(result)
  if (!result.asExpected) return colours.red(`${word} (!)`)
  return word === 'safe' ? colours.green(word) : word === 'unsafe' ? colours.yellow(word) : word
}

/** The tables of `irqOffTables`, on a terminal with a row for each policy, as those of verdicts have it. */
function irqOffLines(results: readonly MatrixResult[], colours: Palette): string[] {
  const tables = irqOffTables(results)
  if (tables.length === 0) return []
  const lines = [colours.bold(IRQ_OFF_TITLE), IRQ_OFF_SAYS, '']
  for (const { title, policies, rows } of tables) {
    if (title !== '') lines.push(title)
    const cells = policies.map((policy, at) => [policy, ...rows.map((row) => irqOffText(row.cells[at] ?? null))])
    lines.push(...table(['freeing policy', ...rows.map(({ walker }) => inLines(walker))], cells, colours))
    for (const row of rows) if (irqOffPlace(row) !== '-') lines.push(colours.dim(`${row.walker}: ${irqOffPlace(row)}`))
    lines.push('')
  }
  return lines
}

function irqOffMarkdown(results: readonly MatrixResult[]): string[] {
  const tables = irqOffTables(results)
  if (tables.length === 0) return []
  const lines = [`## ${IRQ_OFF_TITLE}`, '', IRQ_OFF_SAYS, '']
  for (const { title, policies, rows } of tables) {
    if (title !== '') lines.push(`### ${title}`, '')
    lines.push(`| walker | ${policies.join(' | ')} | begins at |`, `|${'---|'.repeat(policies.length + 2)}`)
    for (const row of rows) lines.push(`| ${[row.walker, ...row.cells.map(irqOffText), irqOffPlace(row)].join(' | ')} |`)
    lines.push('')
  }
  return lines
}

function costLines(costs: readonly MatrixCost[], colours: Palette): string[] {
  const rows = costs.map((one) => [
    `${one.design} on ${one.arch}`,
    short(one.faultsPerSecond),
    count(one.tableBytes / 1024),
    String(one.vmaBytes),
  ])
  return table(['measured on threads', 'faults/s', 'page tables, KiB', 'bytes per VMA'], rows, colours)
}

function entriesOf(results: readonly MatrixResult[]): MatrixEntry[] {
  return results.flatMap(({ rows }) => rows.flat().filter((entry): entry is MatrixEntry => entry !== null))
}

function summary(results: readonly MatrixResult[]): string[] {
  const entries = entriesOf(results)
  const number = (word: string): number => entries.filter(({ result }) => matrixWord(result).startsWith(word)).length
  const wrong = entries.filter(({ result }) => !result.asExpected)
  return [
    `${plural(entries.length, 'verdict')} under SC: ${number('safe')} safe, ${number('unsafe')} unsafe, ${number('not proved')} not proved`,
    ...wrong.map(
      ({ result }) => `not as expected: gracewalk check ${result.scenario} ${combinationFlags(result.combination)}: ${matrixWord(result)}`,
    ),
  ]
}

/** The JSON of the command. */
export function matrixJson(version: string, results: readonly MatrixResult[], costs: readonly MatrixCost[]): object {
  return {
    gracewalk: version,
    model: 'SC',
    tables: results.map(({ table: { title, says, of, columns, rows: asked }, rows }) => ({
      title,
      says,
      of,
      columns,
      rows: asked.map(({ name }, at) => ({ name, cells: (rows[at] ?? []).map(cellJson) })),
    })),
    irqOff: irqOffTables(results),
    costs,
    asExpected: entriesOf(results).every(({ result }) => result.asExpected),
  }
}

function cellJson(entry: MatrixEntry | null): object | null {
  if (entry === null) return null
  const { scenario, combination, expected, asExpected, report } = entry.result
  const { verdict, message, preemptions, executions, states, maxDepth, milliseconds } = report
  const searched = { verdict, message, preemptions, executions, states, maxDepth, milliseconds }
  return { scenario, ...wholeCombination(combination), word: matrixWord(entry.result), expected, asExpected, ...searched }
}

/** The generated page. */
export function matrixMarkdown(results: readonly MatrixResult[], costs: readonly MatrixCost[], recording: string): string {
  const lines = [
    '# The matrix: design × architecture × freeing policy',
    '',
    '<!-- generated by `gracewalk matrix --markdown docs/matrix.md`: do not edit -->',
    '',
    'Every verdict is *under SC*, of the scenario that is named and at its size: *safe* is every interleaving of it, with the number',
    'of states; *unsafe* links to its shortest counterexample; `-` is a question that makes no sense there.',
    `\`gracewalk check SCENARIO --design … --arch … --freeing …\` shows one of them. ${summary(results)[0]}.`,
    '',
  ]
  for (const { table: asked, rows } of mergeTables(results)) {
    lines.push(`## ${asked.title}`, '', asked.says, '')
    lines.push(`| ${[asked.of, ...asked.columns].join(' | ')} |`, `|${'---|'.repeat(asked.columns.length + 1)}`)
    for (const [at, row] of rows.entries()) lines.push(`| ${[asked.rows[at]?.name ?? '', ...row.map(linked)].join(' | ')} |`)
    lines.push('')
  }
  lines.push(...irqOffMarkdown(results), ...apart(results), ...costMarkdown(costs, recording))
  return `${lines.join('\n').trimEnd()}\n`
}

function linked(entry: MatrixEntry | null): string {
  if (entry === null) return '-'
  const { result, counterexample } = entry
  const word = matrixWord(result)
  const shown = counterexample === null ? word : `[${word}](${counterexample})`
  const seen = word === 'safe' ? ` · ${count(result.report.states)}` : ''
  return `${shown}${seen}${result.asExpected ? '' : ' **not as expected**'}`
}

/** For each architecture, the verdicts that differ from those of the one that all are compared with, and the states of the first question. */
function apart(results: readonly MatrixResult[]): string[] {
  const byCell = new Map<string, MatrixEntry>()
  for (const entry of entriesOf(results)) byCell.set(keyOf(entry.result, wholeCombination(entry.result.combination).arch), entry)
  const archs = [...new Set([...byCell.values()].map(({ result }) => result.combination.arch))]
  if (!archs.includes(COMPARED_WITH) || archs.length === 1) return []
  const lines = [
    '## What sets architectures apart',
    '',
    `Verdicts of the tables above that are others than on ${COMPARED_WITH}, and how many questions take other numbers of states there.`,
    '',
    '| architecture | other verdicts | questions with other states |',
    '|---|---|---|',
  ]
  for (const arch of archs) {
    if (arch === COMPARED_WITH) continue
    const pairs = [...byCell.values()].flatMap((there) => {
      if (there.result.combination.arch !== arch) return []
      const here = byCell.get(keyOf(there.result, COMPARED_WITH))
      return here === undefined ? [] : [[here, there] as const]
    })
    const other = pairs.filter(([here, there]) => matrixWord(here.result) !== matrixWord(there.result))
    const states = pairs.filter(([here, there]) => here.result.report.states !== there.result.report.states).length
    const named = other.map(
      ([, { result }]) => `${result.scenario} (${where(wholeCombination(result.combination))}): ${matrixWord(result)}`,
    )
    lines.push(`| ${arch} | ${named.length === 0 ? 'none' : named.join('; ')} | ${states} of ${pairs.length} |`)
  }
  return [...lines, '']
}

function where({ design, freeing }: WholeCombination): string {
  return freeing === 'rcu-batch' ? design : freeing
}

function keyOf({ scenario, combination }: CheckResult, arch: string): string {
  const whole = wholeCombination(combination)
  return JSON.stringify([scenario, whole.design, whole.freeing, whole.index, whole.rcu, whole.tables, arch])
}

function costMarkdown(costs: readonly MatrixCost[], recording: string): string[] {
  if (costs.length === 0) return []
  return [
    '## Costs',
    '',
    `The recording \`${recording}\` on two threads: faults per second depend on the machine that measured them (compare rows, not`,
    'machines), bytes do not.',
    '',
    '| design | architecture | page bytes | page tables at peak, KiB | bytes per VMA | faults/s |',
    '|---|---|---|---|---|---|',
    ...costs.map(
      (one) =>
        `| ${one.design} | ${one.arch} | ${one.pageBytes} | ${count(one.tableBytes / 1024)} | ${one.vmaBytes} | ${short(one.faultsPerSecond)} |`,
    ),
    '',
  ]
}
