// `gracewalk check`: explores scenarios in every combination that was asked for, and says what is wrong, proved, or not proved.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { counterexampleJson, type ReplayFile, readReplay, writeReplay } from '../check/counterexample/index.ts'
import type { Progress } from '../check/explore/index.ts'
import { isDesignFile, loadedDesign } from '../machine/own-design.ts'
import { checkJson } from '../report/check-json.ts'
import { checkSummary, checkTable, coverage, progressText, verdictText } from '../report/check-report.ts'
import { counterexampleColumns } from '../report/columns.ts'
import { plural } from '../report/format.ts'
import { SCENARIOS, scenariosIn } from '../scenario/all.ts'
import { combinationFlags } from '../scenario/runner/axes.ts'
import { canShare, checkCellJobs } from '../scenario/runner/cell-model.ts'
import { aboutOtherDesigns, type Cell, cellName, cellsOf, combinationsOf } from '../scenario/runner/cells.ts'
import { type CheckResult, cellOf, type Explanation, explain, replayCell } from '../scenario/runner/check.ts'
import { openPool } from '../scenario/runner/pool.ts'
import type { CellName, SentOptions } from '../scenario/runner/question.ts'
import { editedFiles } from '../scenario/runner/variant.ts'
import type { Scenario } from '../scenario/scenario.ts'
import type { CheckCommandOptions } from './check-options.ts'
import { loadDesigns } from './design-option.ts'
import { startProgress } from './progress.ts'
import { coloursFor, endOnInterrupt, say } from './terminal.ts'
import { Exit, suggestion, UsageError } from './usage-error.ts'

/** Runs the command. Returns the exit code. */
export async function checkCommand(wanted: readonly string[], options: CheckCommandOptions, version: string): Promise<number> {
  if (options.file !== undefined && !existsSync(options.file)) throw new UsageError(`cannot import ${options.file}: there is no such file`)
  const own = options.file === undefined ? [] : await scenariosIn(options.file)
  const known = [...own, ...SCENARIOS.filter(({ name }) => own.every((one) => one.name !== name))]
  if (options.list) return list(wanted.length === 0 ? known : listed(wanted, known), options, version)
  if (options.replay !== undefined) return replay(options.replay, known, options, version)
  await loadDesigns(options.designs ?? [])
  const all = own.length > 0 ? own : known
  const cells = wanted.length === 0 ? cellsOf(all, { ...options, variants: options.variants }) : chosen(wanted, known, options)
  const asked = wanted.length === 0 ? all : wanted.flatMap((name) => named(name, known))
  const leftOut = options.designs?.some(isDesignFile) ? aboutOtherDesigns(asked, { ...options, named: wanted.length > 0 }) : []
  const [other] = leftOut
  if (cells.length === 0 && other !== undefined)
    throw new UsageError(
      `scenario ${other.name} is about ${other.designs?.join(', ')}: it is not asked of ${options.designs?.join(', ')}` +
        (own.includes(other) ? '; leave its designs out, and it is asked of any' : ''),
    )
  const [variant] = cells.length === 0 ? variantsAnywhere(wanted, known, options) : []
  if (variant !== undefined) throw new UsageError(`a variant is checked on one combination: ${cellName(variant)}`)
  if (cells.length === 0) throw new UsageError('no scenario asks its question of the combination that was asked for')
  if (options.save !== undefined && cells.length > 1) {
    throw new UsageError(`--save keeps the violation of one check, not of ${cells.length}: name one scenario, design, arch and freeing`)
  }
  if (options.save !== undefined && !existsSync(dirname(options.save))) {
    throw new UsageError(`cannot write ${options.save}: there is no directory ${dirname(options.save)}`)
  }
  // What is wrong with a variant is said at once, not after minutes.
  for (const { variant } of cells) if (variant !== null) editedFiles(variant)
  endOnInterrupt()
  const results = await checkAll(cells, options)
  const only = cells.length === 1 ? (cells[0] as Cell) : null
  const exit =
    only === null
      ? reportMatrix(results, leftOut, options, version)
      : await reportOne(only, results[0] as CheckResult, leftOut, options, version)
  if (leftOut.length > 0 && !options.json)
    say(['', `left out, because they name the designs that they are about: ${plural(leftOut.length, 'scenario')} (gracewalk check --list)`])
  return exit
}

/** The scenarios that `name` asks for: `fault-vs-munmap`, one of its variants, or names with `*` for a part of them. */
function named(name: string, known: readonly Scenario[]): readonly Scenario[] {
  const plain = name.split(':')[0] as string
  return known.filter((one) => fits(one.name, plain))
}

/** Whether `name` is `wanted`, in which each `*` stands for anything. */
function fits(name: string, wanted: string): boolean {
  const parts = wanted.split('*').map((part) => part.replace(/[^a-z0-9]/gi, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`).test(name)
}

function unknown(name: string, known: readonly Scenario[]): UsageError {
  if (name.includes('*')) return new UsageError(`no scenario has a name like '${name}' (gracewalk check --list)`)
  const names = known.map((one) => one.name)
  return new UsageError(`unknown scenario '${name}'${suggestion(name, names)} (gracewalk check --list)`)
}

/** What `--list` shows of the names that were given. Throws `UsageError` for those that nothing has. */
function listed(wanted: readonly string[], known: readonly Scenario[]): readonly Scenario[] {
  const none = wanted.find((name) => named(name, known).length === 0)
  if (none !== undefined) throw unknown(none.split(':')[0] as string, known)
  return known.filter((one) => wanted.some((name) => named(name, known).includes(one)))
}

/** `fault-vs-munmap`, `srcu:one-scan`, a part of names with `*` for the rest, or `srcu:*`: with all variants. */
function chosen(wanted: readonly string[], known: readonly Scenario[], options: CheckCommandOptions): readonly Cell[] {
  return wanted.flatMap((name) => {
    const [plain, variant] = name.split(':') as [string, string | undefined]
    const found = named(name, known)
    if (found.length === 0) throw unknown(plain, known)
    const variants = found.flatMap((one) => (one.variants ?? []).map((of) => of.name))
    if (variant === '*') return cellsOf(found, { ...options, named: true, variants: true })
    if (variant !== undefined && !variants.includes(variant)) {
      throw new UsageError(
        variants.length === 0
          ? `scenario ${plain} has no variants`
          : `unknown variant '${variant}' of ${plain}${suggestion(variant, variants)}`,
      )
    }
    return cellsOf(found, { ...options, named: true, variants: variant ?? false })
  })
}

/** The variants that `wanted` names, on whatever combination. */
function variantsAnywhere(wanted: readonly string[], known: readonly Scenario[], options: CheckCommandOptions): readonly Cell[] {
  const anywhere = { designs: undefined, archs: undefined, freeing: undefined, indexes: undefined, rcus: undefined, tables: undefined }
  return chosen(
    wanted.filter((name) => name.includes(':')),
    known,
    { ...options, ...anywhere },
  )
}

async function checkAll(cells: readonly Cell[], options: CheckCommandOptions): Promise<readonly CheckResult[]> {
  const progress = startProgress(options.json && !process.stderr.isTTY)
  const sent: SentOptions = {
    preemptions: options.preemptions,
    mode: options.mode,
    seed: options.seed,
    milliseconds: options.time,
    ...(options.executions === undefined ? {} : { executions: options.executions }),
    ...(options.states === undefined ? {} : { states: options.states }),
  }
  try {
    const only = cells.length === 1 ? (cells[0] as Cell) : null
    if (only === null || !options.share || !canShare(options.mode)) return await checkSideBySide(cells, options, sent, progress)
    const onProgress = (now: Progress): void => progress.at(`${cellName(only)}: ${progressText(now)}`, 0, 0)
    return [await checkCellJobs(only, sentName(only, options), { ...sent, onProgress }, options.jobs)]
  } finally {
    progress.stop()
  }
}

async function checkSideBySide(
  cells: readonly Cell[],
  options: CheckCommandOptions,
  sent: SentOptions,
  progress: ReturnType<typeof startProgress>,
): Promise<readonly CheckResult[]> {
  const pool = openPool(Math.min(options.jobs, cells.length))
  // Of one check alone nobody knows how much is done.
  const total = cells.length === 1 ? 0 : cells.length
  let done = 0
  try {
    return await Promise.all(
      cells.map(async (cell) => {
        const onProgress = (now: Progress): void => progress.at(`${cellName(cell)}: ${progressText(now)}`, done, total)
        const result = await pool.ask({ kind: 'check', cell: sentName(cell, options), options: sent }, onProgress)
        progress.at(cellName(cell), ++done, total)
        return result
      }),
    )
  } finally {
    await pool.close()
  }
}

/** How a Worker is told of `cell`. */
function sentName({ scenario, variant, combination }: Cell, { file }: CheckCommandOptions): CellName {
  const ships = SCENARIOS.includes(scenario)
  return { file: ships ? null : (file ?? null), scenario: scenario.name, variant: variant?.name ?? null, combination }
}

function reportMatrix(
  results: readonly CheckResult[],
  leftOut: readonly Scenario[],
  options: CheckCommandOptions,
  version: string,
): number {
  if (options.json) say([JSON.stringify(checkJson(version, results, null, leftOut), null, 2)])
  else {
    const colours = coloursFor(process.stdout)
    say([...checkTable(results, colours), '', ...checkSummary(results, colours)])
    const shown = results.find(({ report, asExpected }) => report.verdict === 'violation' && !asExpected)
    if (shown !== undefined)
      say(['', `to see it: gracewalk check ${commandFor(shown)}${options.file === undefined ? '' : ` --file ${options.file}`}`])
  }
  return results.every(({ asExpected }) => asExpected) ? Exit.success : Exit.failed
}

function commandFor({ scenario, variant, combination }: CheckResult): string {
  return `${scenario}${variant === null ? '' : `:${variant}`} ${combinationFlags(combination)}`
}

async function reportOne(
  cell: Cell,
  result: CheckResult,
  leftOut: readonly Scenario[],
  options: CheckCommandOptions,
  version: string,
): Promise<number> {
  const violated = result.report.verdict === 'violation'
  const explained = violated ? await explain(cell, result.report, { all: options.all }) : null
  if (explained !== null && options.save !== undefined) save(options.save, writeReplay(explained.replay))
  if (options.json) {
    const counterexample = explained === null ? null : { ...counterexampleJson(explained.counterexample), replay: explained.replay }
    say([JSON.stringify(checkJson(version, [result], counterexample, leftOut), null, 2)])
  } else sayOne(cell, result, explained, options)
  return result.asExpected ? Exit.success : Exit.failed
}

function save(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (error) {
    throw new UsageError(`cannot write ${path}: ${error instanceof Error ? error.message : error}`)
  }
}

function sayOne(cell: Cell, result: CheckResult, explained: Explanation | null, options: CheckCommandOptions): void {
  const colours = coloursFor(process.stdout)
  const verdict = verdictText(result.report)
  say([
    cell.scenario.question,
    '',
    `${colours.bold(cellName(cell))}: ${result.asExpected ? colours.green(verdict) : colours.red(verdict)}, under SC`,
  ])
  if (cell.variant !== null) say([`the kernel is broken on purpose: ${cell.variant.wrong}`])
  say([...coverage(result), ''])
  if (explained !== null) {
    say(counterexampleColumns(explained.counterexample, { width: options.wide ? 0 : 80, colours }))
    say(['', 'a test that pins it:', '', ...explained.test.split('\n').map((line) => `  ${line}`), ''])
    say([
      options.save === undefined
        ? '--save FILE keeps it for gracewalk check --replay FILE'
        : `kept in ${options.save}: gracewalk check --replay ${options.save}`,
    ])
  }
  if (explained === null && options.save !== undefined) say([`nothing is kept in ${options.save}: there is no violation`])
  if (result.expected !== null)
    say([result.asExpected ? `as expected: ${result.expected}` : colours.red(`not as expected: ${otherwise(result, cell)}`)])
}

/** What was expected, and of a violation of another kind the message that the pattern was tried on, without names. */
function otherwise({ expected, report }: CheckResult, cell: Cell): string {
  if (report.verdict !== 'violation' || cell.expected === null || cell.expected === 'safe') return `${expected} is expected`
  return `the message was to match ${cell.expected.unsafe}, and is: ${report.message}`
}

async function replay(path: string, known: readonly Scenario[], options: CheckCommandOptions, version: string): Promise<number> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    throw new UsageError(`cannot read ${path}: --replay takes a file that gracewalk check --save wrote`)
  }
  let file: ReturnType<typeof readReplay>
  try {
    file = readReplay(text)
  } catch (error) {
    throw new UsageError(`${path}: ${(error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ')}`)
  }
  const [name, variant = null] = file.scenario.split(':') as [string, string | undefined]
  const scenario = known.find((one) => one.name === name)
  if (scenario === undefined) throw new UsageError(`${path} is of scenario '${name}', which is not here: give its file with --file`)
  await loadDesigns([file.combination.design])
  const { verdict, counterexample } = await replayCell(cellOf(scenario, file.combination, variant), file, { all: options.all })
  if (options.json) {
    say([JSON.stringify({ gracewalk: version, replay: path, ...verdict, counterexample: counterexampleJson(counterexample) }, null, 2)])
  } else {
    const colours = coloursFor(process.stdout)
    say(counterexampleColumns(counterexample, { width: options.wide ? 0 : 80, colours }))
    say([
      '',
      verdict.same ? colours.green(`reproduced exactly${otherDesign(file)}`) : colours.red(`${verdict.message}${otherDesign(file)}`),
    ])
  }
  return verdict.same ? Exit.success : Exit.failed
}

/** That the file of a design of the user's is not the one with which a violation was found. */
function otherDesign({ combination: { design }, designHash }: ReplayFile): string {
  const now = isDesignFile(design) ? loadedDesign(design)?.hash : undefined
  return designHash === undefined || now === designHash
    ? ''
    : `; ${design} has changed since this was saved (${designHash} then, ${now} now)`
}

function list(known: readonly Scenario[], options: CheckCommandOptions, version: string): number {
  const entries = known.map((scenario) => ({
    name: scenario.name,
    question: scenario.question,
    asked: scenario.asked,
    cpus: scenario.cpus,
    combinations: combinationsOf(scenario).length,
    variants: (scenario.variants ?? []).map(({ name, wrong }) => ({ name, wrong })),
  }))
  if (options.json) say([JSON.stringify({ gracewalk: version, scenarios: entries }, null, 2)])
  else {
    for (const { name, question, asked, cpus, combinations, variants } of entries) {
      say([
        `${coloursFor(process.stdout).bold(name)}  (${plural(cpus, 'CPU')}, ${plural(combinations, 'combination')})`,
        `    ${question}`,
        `    asked: ${asked}`,
      ])
      for (const { name: variant, wrong } of variants) say([`    ${name}:${variant}  ${wrong}`])
    }
  }
  return Exit.success
}
