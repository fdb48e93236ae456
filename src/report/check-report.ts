// What `gracewalk check` prints: the matrix with a verdict for each cell, where it is not what was expected, and what was seen.

import type { ExploreReport, Progress } from '../check/explore/index.ts'
import { combinationText, USUAL, wholeCombination } from '../scenario/runner/axes.ts'
import type { CheckResult } from '../scenario/runner/check.ts'
import { count, plural, short } from './format.ts'
import { type Palette, table } from './table.ts'

/** `proved`, `no violation up to 2 preemptions`, `stopped`, `violation`. */
export function verdictText({ verdict, preemptions }: ExploreReport): string {
  if (verdict === 'bounded') return `no violation up to ${plural(preemptions ?? 0, 'preemption')}`
  return verdict
}

/** How far a check under way has come: `7 047 runs at 1 150/s, 22 567 states, depth 139, about 43% of this phase`. */
export function progressText({ executions, rate, states, depth, done }: Progress): string {
  const parts = [`${plural(executions, 'run')} at ${count(rate)}/s`]
  if (states > 0) parts.push(plural(states, 'state'))
  parts.push(`depth ${count(depth)}`)
  if (done !== null) parts.push(`${done < 0.01 ? 'less than 1' : `about ${Math.floor(done * 100)}`}% of this phase`)
  return parts.join(', ')
}

/** The table of cells, in the order given. */
export function checkTable(results: readonly CheckResult[], colours: Palette): string[] {
  // Axes that nobody left where they usually are have a column.
  const further = (Object.keys(USUAL) as (keyof typeof USUAL)[]).filter((axis) =>
    results.some(({ combination }) => wholeCombination(combination)[axis] !== USUAL[axis]),
  )
  const rows = results.map((result) => {
    const { scenario, variant, combination, report } = result
    return [
      variant === null ? scenario : `${scenario}:${variant}`,
      combination.design,
      combination.arch,
      combination.freeing,
      ...further.map((axis) => wholeCombination(combination)[axis]),
      coloured(result, colours),
      count(report.states > 0 ? report.states : report.executions),
      count(report.maxDepth),
      short(report.milliseconds / 1000),
    ]
  })
  return table(['scenario', 'design', 'arch', 'freeing', ...further, 'verdict', 'states', 'depth', 's'], rows, colours)
}

function coloured(result: CheckResult, colours: Palette): string {
  const text = verdictText(result.report)
  if (!result.asExpected) return colours.red(`${text} (!)`)
  if (result.report.verdict === 'violation') return result.expected === 'unsafe' ? colours.green(`${text}, as expected`) : text
  return result.report.verdict === 'proved' ? colours.green(text) : colours.yellow(text)
}

/** What a single check has seen: how much was explored, and how sure it is. */
export function coverage({ report }: CheckResult): string[] {
  const lines = [
    `explored ${plural(report.executions, 'run')} with ${plural(report.steps, 'step')} (${count(report.replayed)} of them repeated), ` +
      `${count(report.states)} states, depth ${count(report.maxDepth)}, in ${short(report.milliseconds / 1000)} s`,
    `saw ${plural(report.agents, 'agent')}, ${plural(report.yieldPoints, 'yield point')}, ${plural(report.locations, 'location')}, ` +
      `${count(report.sharedObjects)} of them shared`,
  ]
  const [off] = report.irqOff
  if (off !== undefined) lines.push(`longest section with interrupts off: ${plural(off.steps, 'step')} of CPU ${off.cpu} (${off.place})`)
  if (report.verdict === 'proved' && report.states > 0)
    lines.push(`states are told apart by 64-bit digests: the chance that one was missed is below ${chance(report.collisionChance)}`)
  if (report.verdict === 'stopped') lines.push(`not proved: ${report.message}${reached(report)}`)
  if (report.verdict === 'bounded') lines.push(`not proved: only up to ${plural(report.preemptions ?? 0, 'preemption')} was searched`)
  return lines
}

function reached({ preemptions }: ExploreReport): string {
  return preemptions === null ? '' : `; no violation up to ${plural(preemptions, 'preemption')}`
}

function chance(value: number): string {
  return `1 in 10^${Math.max(1, Math.floor(-Math.log10(Math.max(value, 1e-18))))}`
}

/** The last lines: how many verdicts are as expected, and which are not. */
export function checkSummary(results: readonly CheckResult[], colours: Palette): string[] {
  const of = (verdict: ExploreReport['verdict']): number => results.filter(({ report }) => report.verdict === verdict).length
  const wrong = results.filter(({ asExpected }) => !asExpected)
  const safe = results.filter(({ expected }) => expected === 'safe')
  const proved = safe.filter(({ report }) => report.verdict === 'proved').length
  const lines = [
    `${plural(results.length, 'verdict')} under SC: ${of('proved')} proved, ${of('bounded') + of('stopped')} not proved, ` +
      `${plural(of('violation'), 'violation')}`,
  ]
  if (safe.length > 0) lines.push(`${proved} of ${safe.length} that are expected to be safe are proved`)
  for (const result of wrong) lines.push(colours.red(`not as expected: ${unexpected(result)}`))
  if (wrong.length === 0 && results.some(({ expected }) => expected !== null)) lines.push(colours.green('every verdict is as expected'))
  return lines
}

function unexpected({ scenario, variant, combination, expected, report }: CheckResult): string {
  const where = `${scenario}${variant === null ? '' : `:${variant}`} [${combinationText(combination)}]`
  if (report.verdict !== 'violation' && expected !== 'unsafe') return `${where} is not proved: ${report.message}`
  if (report.verdict !== 'violation') return `${where} is ${verdictText(report)}, but a violation is expected`
  return expected === 'unsafe' ? `${where} fails in another way than expected: ${report.message}` : `${where}: ${report.message}`
}
