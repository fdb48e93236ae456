// `gracewalk matrix`: the questions of the matrix on every design, architecture and freeing policy, and the page docs/matrix.md.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Vma } from '../kernel/vma/vma.ts'
import { counterexampleColumns } from '../report/columns.ts'
import { type MatrixCost, matrixJson, matrixLines, matrixMarkdown, mergeTables } from '../report/matrix-report.ts'
import type { MatrixEntry, MatrixResult } from '../report/matrix-result.ts'
import { faultRate } from '../report/run-report.ts'
import { palette } from '../report/table.ts'
import { SCENARIOS } from '../scenario/all.ts'
import { AXES } from '../scenario/runner/axes.ts'
import { type Cell, cellName } from '../scenario/runner/cells.ts'
import { explain } from '../scenario/runner/check.ts'
import { type MatrixTable, matrixTables } from '../scenario/runner/matrix.ts'
import { openPool } from '../scenario/runner/pool.ts'
import { openRecording } from '../trace/read.ts'
import { buildProgram } from '../workload/program/build.ts'
import { replay } from '../workload/replay/replay.ts'
import { timeOption } from './check-options.ts'
import { designNames, loadDesigns } from './design-option.ts'
import { names, type RawOptions, text, wholeNumber } from './option-values.ts'
import { type Progress, startProgress } from './progress.ts'
import { coloursFor, endOnInterrupt, say } from './terminal.ts'
import { Exit, UsageError } from './usage-error.ts'

/** What `gracewalk matrix` is to do. */
export interface MatrixOptions {
  readonly designs: readonly string[] | undefined
  readonly archs: readonly string[] | undefined
  readonly freeing: readonly string[] | undefined
  readonly jobs: number
  /** Milliseconds for each verdict. */
  readonly time: number
  readonly costs: boolean
  readonly recording: string
  readonly json: boolean
  /** Where to write the generated page; counterexamples go into a directory beside it. */
  readonly markdown: string | undefined
}

const RECORDING = fileURLToPath(new URL('../../examples/recordings/threads.tracepoints.perf-script.gz', import.meta.url))

/** Where counterexamples lie, beside the page. */
const COUNTEREXAMPLES = 'counterexamples'

/** Reads the options. Throws `UsageError`. */
export function matrixOptions(raw: RawOptions, cores: number): MatrixOptions {
  const list = (option: string, known: readonly string[]): readonly string[] | undefined =>
    raw[option] === undefined ? undefined : names(raw, option, known)
  return {
    designs: designNames(raw, AXES.designs),
    archs: list('arch', AXES.archs),
    freeing: list('freeing', AXES.freeing),
    jobs: wholeNumber(raw, 'jobs', cores, 1, 64),
    time: timeOption(raw, 'time', 60_000),
    costs: raw.costs !== false,
    recording: text(raw, 'recording') ?? RECORDING,
    json: raw.json === true,
    markdown: text(raw, 'markdown'),
  }
}

/** Runs the command. Returns the exit code. */
export async function matrixCommand(options: MatrixOptions, version: string): Promise<number> {
  await loadDesigns(options.designs ?? [])
  const tables = matrixTables(SCENARIOS, options)
  if (tables.length === 0) throw new UsageError('the matrix asks nothing of the combination that was asked for')
  endOnInterrupt()
  const progress = startProgress(options.json && !process.stderr.isTTY)
  try {
    // What is measured is measured first, while nothing else runs.
    const costs = options.costs ? await measure(options, progress) : []
    const results = await checkTables(tables, options, progress)
    progress.stop()
    if (options.markdown !== undefined) writePage(options.markdown, matrixMarkdown(results, costs, basename(options.recording)))
    if (options.json) say([JSON.stringify(matrixJson(version, results, costs), null, 2)])
    else say(matrixLines(results, costs, coloursFor(process.stdout)))
    const fine = results.every(({ rows }) => rows.flat().every((entry) => entry === null || entry.result.asExpected))
    return fine ? Exit.success : Exit.failed
  } finally {
    progress.stop()
  }
}

/** Removes the counterexamples that an earlier page at `path` links, and nothing else of what lies beside it. */
function removeLinked(path: string): void {
  if (!existsSync(path)) return
  for (const [, link] of readFileSync(path, 'utf8').matchAll(/\]\((counterexamples\/[\w-]+\.txt)\)/g))
    rmSync(join(dirname(path), link as string), { force: true })
}

function writePage(path: string, page: string): void {
  try {
    writeFileSync(path, page)
  } catch (error) {
    throw new UsageError(`cannot write ${path}: ${error instanceof Error ? error.message : error}`)
  }
}

/** Checks every cell once, also where several tables have it. */
async function checkTables(tables: readonly MatrixTable[], options: MatrixOptions, progress: Progress): Promise<MatrixResult[]> {
  const cells = new Map<string, Cell>()
  for (const cell of tables.flatMap(({ rows }) => rows.flatMap((row) => row.cells))) if (cell !== null) cells.set(cellName(cell), cell)
  const directory = options.markdown === undefined ? null : join(dirname(options.markdown), COUNTEREXAMPLES)
  if (directory !== null) {
    removeLinked(options.markdown as string)
    mkdirSync(directory, { recursive: true })
  }
  const pool = openPool(Math.min(options.jobs, cells.size))
  const entries = new Map<string, MatrixEntry>()
  let done = 0
  try {
    await Promise.all(
      [...cells].map(async ([name, cell]) => {
        const { scenario, combination } = cell
        const asked = { file: null, scenario: scenario.name, variant: null, combination }
        const result = await pool.ask({ kind: 'check', cell: asked, options: { milliseconds: options.time } })
        progress.at(name, ++done, cells.size)
        entries.set(name, { result: { ...result, ...judged(cell, result.asExpected) }, counterexample: null })
      }),
    )
  } finally {
    await pool.close()
  }
  const laidOut = (): MatrixResult[] =>
    tables.map((table) => ({
      table,
      rows: table.rows.map((row) => row.cells.map((cell) => (cell === null ? null : (entries.get(cellName(cell)) ?? null)))),
    }))
  if (directory !== null) {
    // Tables that come to the same are shown once.
    const shown = mergeTables(laidOut()).flatMap(({ table }) => table.rows.flatMap((row) => row.cells))
    await writeCounterexamples(
      new Map(shown.flatMap((cell) => (cell === null ? [] : [[cellName(cell), cell]]))),
      entries,
      directory,
      progress,
    )
  }
  return laidOut()
}

/** A Worker goes by what the scenario says; of drafts nothing is expected. */
function judged({ expected }: Cell, asExpected: boolean): { expected?: null; asExpected: boolean } {
  return expected === null ? { expected: null, asExpected: true } : { asExpected }
}

async function writeCounterexamples(
  cells: ReadonlyMap<string, Cell>,
  entries: Map<string, MatrixEntry>,
  directory: string,
  progress: Progress,
): Promise<void> {
  const violated = [...cells].flatMap(([name, cell]) => {
    const entry = entries.get(name)
    return entry?.result.report.verdict === 'violation' ? [[name, cell, entry] as const] : []
  })
  let done = 0
  for (const [name, cell, entry] of violated) {
    const { counterexample } = await explain(cell, entry.result.report)
    const file = `${name.replace(/[^a-z0-9_]+/gi, '-').replace(/-$/, '')}.txt`
    const lines = [
      cell.scenario.question,
      '',
      `${name}, under SC`,
      '',
      ...counterexampleColumns(counterexample, { colours: palette(false) }),
    ]
    writeFileSync(join(directory, file), `${lines.join('\n')}\n`)
    entries.set(name, { ...entry, counterexample: `${COUNTEREXAMPLES}/${file}` })
    progress.at(`counterexample of ${name}`, ++done, violated.length)
  }
}

/** Replays the recording with every design on the first architecture, and with the usual design on every other one. */
async function measure(options: MatrixOptions, progress: Progress): Promise<MatrixCost[]> {
  const program = await buildProgram(await openRecording(options.recording))
  const archs = options.archs ?? AXES.archs
  const first = archs.includes('x86_64') ? 'x86_64' : archs[0]
  const designs = options.designs ?? AXES.designs
  const usual = designs.includes('vma-lock') ? 'vma-lock' : designs[0]
  const wanted = [
    ...designs.map((design) => ({ design, arch: first as string })),
    ...archs.filter((arch) => arch !== first).map((arch) => ({ design: usual as string, arch })),
  ]
  const costs: MatrixCost[] = []
  for (const { design, arch } of wanted) {
    const what = `measuring ${design} on ${arch}`
    progress.at(what, costs.length, wanted.length)
    const result = await replay(program, { design, arch, cpus: 2 })
    if ('skipped' in result) throw new UsageError(`${options.recording} cannot be replayed on ${arch}: ${result.skipped}`)
    const { pageBytes, tableBytes } = result
    const faultsPerSecond = faultRate({ ...result, lost: {}, moved: false })
    costs.push({ design, arch, pageBytes, tableBytes, faultsPerSecond, vmaBytes: Vma.size * 4 })
  }
  return costs
}
