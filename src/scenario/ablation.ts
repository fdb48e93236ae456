// Ablation: each synchronising site that a scenario executes is changed by itself, and the scenarios are checked again. A
// site without which something goes wrong is load-bearing; one that no scenario misses is either unneeded there or a gap in
// the scenarios.
import { type AblationSite, ablate, findSites, readKernelFiles } from '../check/ablate/index.ts'
import { explore } from '../check/explore/index.ts'
import { openTree } from '../check/index.ts'
import { type Cell, cellName, cellsOf } from './cells.ts'
import type { CheckResult } from './check.ts'
import { type CellName, type Change, type Pool, type SentOptions, WORKER_BROKE } from './pool.ts'
import { rehearse } from './rehearse.ts'
import type { Scenario } from './scenario.ts'
import { KERNEL_SOURCE } from './variant.ts'

/** Detectors of bookkeeping: rules about how code is written, which do not count as noticing. */
export const BOOKKEEPING: readonly string[] = Object.freeze(['unbalanced', 'lock-order'])

/** What is known of a site. */
export type AblationVerdict =
  | 'load-bearing'
  | 'survived exhaustively'
  | 'survived up to the bound'
  | 'undecided under SC'
  | 'not ablatable'
  | 'not executed'

/** A site and what came of changing it. */
export interface Ablated {
  readonly site: Omit<AblationSite, 'variants'>
  readonly verdict: AblationVerdict
  /** The check that noticed: cell, what it said, and the path. */
  readonly killer: { readonly cell: string; readonly message: string; readonly path: readonly number[] } | null
  /** Checks that did not notice, and what they reached. */
  readonly survived: readonly { readonly cell: string; readonly verdict: string }[]
  readonly milliseconds: number
}

/** How to ablate. */
export interface AblationOptions {
  /** Milliseconds that the check of one cell may take. */
  readonly time: number
  readonly preemptions: number
  /** Milliseconds that one site may take. */
  readonly siteTime: number
  readonly onDone?: (ablated: Ablated, done: number, total: number) => void
}

/** A cell, how to ask for it, what it executes, and how long a check of it takes. */
export interface Coverage {
  readonly cell: Cell
  readonly name: CellName
  /** `file#function`. */
  readonly functions: ReadonlySet<string>
  readonly files: ReadonlySet<string>
  readonly milliseconds: number
}

/** The sites of the kernel that ships. */
export function kernelSites(): { readonly sites: readonly AblationSite[]; readonly files: Readonly<Record<string, string>> } {
  const files = readKernelFiles(KERNEL_SOURCE)
  return { sites: findSites(files), files }
}

/**
 * The cells on which sites are tried: each scenario on the designs and architectures whose code differs, under each freeing
 * policy that is safe for it.
 */
export function ablationCells(scenarios: readonly Scenario[]): readonly (readonly [Cell, CellName])[] {
  return cellsOf(scenarios)
    .filter(({ expected }) => expected === 'safe')
    .map((cell) => [cell, { file: null, scenario: cell.scenario.name, variant: null, combination: cell.combination }] as const)
}

/** The functions, as `file#function`, that have an instruction of their own. */
export async function functionsWithInstructions(): Promise<ReadonlySet<string>> {
  return new Set((await openTree()).sites.map(({ file, function: name }) => `${file}#${name}`))
}

/** Executions by chance from which it is learned what a cell executes. */
const LESSONS = 40

/** What `cell` executes. */
export async function coverageOf(cell: Cell, name: CellName): Promise<Coverage> {
  const { model, tree } = await rehearse(cell, { except: BOOKKEEPING })
  const started = performance.now()
  explore(model, { mode: 'random', executions: LESSONS, keepGoing: true })
  const functions = new Set<string>()
  const files = new Set<string>()
  for (const number of model.places?.() ?? []) {
    const site = tree.sites[number]
    if (site === undefined) continue
    functions.add(`${site.file}#${site.function}`)
    files.add(site.file)
  }
  return { cell, name, functions, files, milliseconds: performance.now() - started }
}

/** The cells that execute `site`: the usual design and architecture first, the quickest first among them. */
export function cellsThrough(site: AblationSite, coverage: readonly Coverage[], instructed: ReadonlySet<string>): readonly Coverage[] {
  const name = `${site.file}#${site.function}`
  // A function without an instruction of its own leaves no trace: then its file must do.
  const through = coverage.filter(({ functions, files }) => (instructed.has(name) ? functions.has(name) : files.has(site.file)))
  const unusual = ({ cell: { combination } }: Coverage): number =>
    (combination.design === 'vma-lock' ? 0 : 1) + (combination.arch === 'x86_64' ? 0 : 2) + (combination.freeing === 'rcu-batch' ? 0 : 4)
  return [...through].sort((a, b) => unusual(a) - unusual(b) || a.milliseconds - b.milliseconds)
}

/** Changes `site` and checks `through`, until one notices. */
export async function ablateSite(
  site: AblationSite,
  files: Readonly<Record<string, string>>,
  through: readonly Coverage[],
  pool: Pool,
  options: AblationOptions,
): Promise<Ablated> {
  const started = performance.now()
  const { variants, ...plain } = site
  const end = (verdict: AblationVerdict, killer: Ablated['killer'], survived: Ablated['survived']): Ablated => ({
    site: plain,
    verdict,
    killer,
    survived,
    milliseconds: performance.now() - started,
  })
  if (site.status === 'undecided under SC') return end('undecided under SC', null, [])
  if (site.status === 'unpaired') return end('not ablatable', null, [])
  if (through.length === 0) return end('not executed', null, [])
  // Few preemptions find most of what can be found; only who survives that on all cells is worth a search to the end.
  const quick = { mode: 'bounded', preemptions: 1, milliseconds: options.time } as const
  const full = { mode: 'check', preemptions: options.preemptions, milliseconds: options.time } as const
  let survived: { cell: string; verdict: string }[] = []
  for (const how of [quick, full]) {
    survived = []
    for (const { cell, name } of through) {
      if (performance.now() - started > options.siteTime) return end('survived up to the bound', null, survived)
      for (let variant = 0; variant < variants.length; variant++) {
        const { verdict, message, path } = await checkChanged(name, how, { files: ablate(files, site, variant) }, pool)
        if (verdict === 'refused') return end('not ablatable', null, survived)
        if (verdict === 'violation') return end('load-bearing', { cell: cellName(cell), message, path }, survived)
        survived.push({ cell: cellName(cell), verdict })
      }
    }
  }
  const exhaustive = survived.every(({ verdict }) => verdict === 'proved')
  return end(exhaustive ? 'survived exhaustively' : 'survived up to the bound', null, survived)
}

/** What the check of a changed kernel came to. `refused`: the build does not take the change. */
interface Trial extends Pick<CheckResult['report'], 'message' | 'path'> {
  readonly verdict: CheckResult['report']['verdict'] | 'refused'
}

/** Checks a changed kernel. A kernel that cannot even set the scenario up is noticed, too; a Worker that broke noticed nothing. */
async function checkChanged(name: CellName, how: SentOptions, change: Change, pool: Pool): Promise<Trial> {
  try {
    return (await pool.check(name, { ...how, except: BOOKKEEPING }, change)).report
  } catch (error) {
    const kind = error instanceof Error ? error.name : ''
    const verdict = kind === 'SourceRefused' ? 'refused' : kind === WORKER_BROKE ? 'stopped' : 'violation'
    return { verdict, message: `the set-up fails: ${firstLine(error)}`, path: [] }
  }
}

/** Does `work` for each of `items`, `jobs` at a time. */
export async function inTurns<T>(items: readonly T[], jobs: number, work: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) await work(items[next++] as T)
  }
  await Promise.all(Array.from({ length: jobs }, worker))
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] as string
}
