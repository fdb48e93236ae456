// Ablation: each synchronising site that a scenario executes is changed by itself, and the scenarios are checked again. A
// site without which something goes wrong is load-bearing; one that no scenario misses is either unneeded there or a gap in
// the scenarios.
import { type AblationSite, ablate, type Edit, edited, findSites, markSites, readKernelFiles } from '../../check/ablate/index.ts'
import { designTexts, readDesignFile } from '../../compile/design-file.ts'
import type { Scenario } from '../scenario.ts'
import { inOrder, isAbout, type KillRecord, openKillRecord } from './ablation-order.ts'
import { type Cell, cellName, cellsOf, type Wanted } from './cells.ts'
import { type Pool, WORKER_BROKE, WORKER_SILENT, type WorkerError } from './pool.ts'
import type { CellName, CoverageQuestion, SentOptions, Trial } from './question.ts'
import { builtWith, KERNEL_SOURCE } from './variant.ts'

/** Detectors of bookkeeping: rules about how code is written, which do not count as noticing. */
export const BOOKKEEPING: readonly string[] = Object.freeze(['unbalanced', 'lock-order'])

/** Preemptions up to which every scenario that executes a site is searched, before any is searched to the end. */
export const FIRST_BOUND = 1

/** What is known of a site. */
export type AblationVerdict =
  | 'load-bearing'
  | 'survived exhaustively'
  | 'survived up to k preemptions'
  | 'out of time'
  | 'went silent'
  | 'undecided under SC'
  | 'not ablatable'
  | 'not executed'

/** A site and what came of changing it. */
export interface Ablated {
  readonly site: Omit<AblationSite, 'variants'>
  readonly verdict: AblationVerdict
  /** The check that noticed, or whose Worker went silent: cell, what was said, and the path. */
  readonly killer: { readonly cell: string; readonly message: string; readonly path: readonly number[] } | null
  /** Combinations of scenarios that were seen to execute the site; of one that is asked for by itself, those that may. */
  readonly executed: number
  /** Of those: searched up to `FIRST_BOUND` preemptions, and searched to the end, without noticing. */
  readonly bounded: number
  readonly proved: number
  readonly milliseconds: number
}

/** How to ablate. */
export interface AblationOptions {
  /** The file of the user's design whose sites these are; the kernel's if undefined. */
  readonly design?: string | undefined
  readonly jobs: number
  /** Milliseconds that the check of one cell may take. */
  readonly time: number
  /** Milliseconds that one site may take. */
  readonly siteTime: number
  /** Values of the axes on which scenarios are tried, where they are expected to be safe; their own if left out. */
  readonly wanted?: Wanted
  readonly onProgress?: (what: string, done: number, total: number) => void
}

/** A cell, how to ask for it, how long it takes to run through, and whether that is the whole of it. */
interface Tried {
  readonly cell: Cell
  readonly name: CellName
  readonly milliseconds: number
  readonly small: boolean
}

/** A cell and the sites that it executes. */
interface TriedThrough extends Tried {
  readonly sites: ReadonlySet<string>
}

/** Sites, and the texts of the files that they are in and belong to. */
export interface SitesOfFiles {
  readonly sites: readonly AblationSite[]
  readonly files: Readonly<Record<string, string>>
}

/** The sites of the kernel that ships. */
export function kernelSites(): SitesOfFiles {
  const files = readKernelFiles(KERNEL_SOURCE)
  return { sites: findSites(files), files }
}

/** The sites of the user's own design in the file `design`. Throws `DesignFileError`. */
export function designSites(design: string): SitesOfFiles {
  const own = designTexts(readDesignFile(design))
  const files = { ...readKernelFiles(KERNEL_SOURCE), ...own }
  return { sites: findSites(files).filter(({ file }) => file in own), files }
}

/**
 * The cells on which sites are tried: each scenario on its designs, architectures and freeing policies, as far as it is safe there;
 * where it names none, on every design on x86_64 and on one design elsewhere. Those of a design of the user's (`own`): on x86_64.
 */
function cellsOfAblation(scenarios: readonly Scenario[], { design, wanted }: AblationOptions): readonly Tried[] {
  return cellsOf(scenarios, design === undefined ? wanted : { archs: ['x86_64'], ...wanted, designs: [design] })
    .filter(({ expected, scenario, combination: { design, arch } }) => {
      const named = scenario.designs !== undefined || scenario.archs !== undefined
      return expected === 'safe' && (named || arch === 'x86_64' || design === 'vma-lock')
    })
    .map((cell) => ({
      cell,
      name: { file: null, scenario: cell.scenario.name, variant: null, combination: cell.combination },
      milliseconds: 0,
      small: false,
    }))
}

/** So few sites are tried on all cells at once: which of them execute a place is then learned from the changed kernel itself. */
const FEW = 3

/** Ablates `sites` with `scenarios`; results in the order of the sites. */
export async function ablateSites(
  sites: readonly AblationSite[],
  files: Readonly<Record<string, string>>,
  scenarios: readonly Scenario[],
  pool: Pool,
  options: AblationOptions,
): Promise<Ablated[]> {
  const { jobs, onProgress } = options
  const all = cellsOfAblation(scenarios, options)
  const record = openKillRecord()
  const lanes = sites.length < jobs ? jobs : 1
  const results = new Map<string, Ablated>()
  const few = sites.length <= FEW
  const work: Work = { files, pool, options, record, lanes, ...(few && onProgress !== undefined ? { onCell: onProgress } : {}) }
  const covered = few ? [] : await coverage(all, sites, files, pool, options)
  await inTurns(sites, jobs, async (site) => {
    const about = (one: Tried): boolean => isAbout(one.cell.scenario, site, files)
    const rounds = few ? roundsAlone(all, about) : roundsOfMany(covered.filter((one) => one.sites.has(site.id) || about(one)))
    const result = await ablateSite(site, few ? markSites(files, [site]).edits : [], rounds, work)
    results.set(site.id, result)
    onProgress?.(`${site.id}: ${result.verdict}`, results.size, sites.length)
  })
  return sites.map(({ id }) => results.get(id) as Ablated)
}

/**
 * Those of `sites` that ablation with `scenarios` would try: what is executed in one of their combinations where it is to be safe, and
 * what a scenario is about.
 */
export async function sitesOf(
  sites: readonly AblationSite[],
  files: Readonly<Record<string, string>>,
  scenarios: readonly Scenario[],
  pool: Pool,
  options: AblationOptions,
): Promise<readonly AblationSite[]> {
  const covered = await coverage(cellsOfAblation(scenarios, options), sites, files, pool, options)
  return sites.filter((site) => covered.some((one) => one.sites.has(site.id)) || scenarios.some((one) => isAbout(one, site, files)))
}

/** What each cell executes. */
async function coverage(
  cells: readonly Tried[],
  sites: readonly AblationSite[],
  files: Readonly<Record<string, string>>,
  pool: Pool,
  { design, onProgress }: AblationOptions,
): Promise<TriedThrough[]> {
  const { edits, of } = markSites(files, sites)
  const marked = edited(files, edits)
  const kernel: CoverageQuestion['kernel'] = design === undefined ? { directory: builtWith(marked, true) } : { design, files: marked }
  let done = 0
  return Promise.all(
    cells.map(async (one) => {
      const { marks, ...rest } = await pool.ask({ kind: 'coverage', cell: one.name, kernel })
      onProgress?.('learning what the scenarios execute', ++done, cells.length)
      return { ...one, ...rest, sites: new Set(sites.filter(({ id }) => marks.includes(of.get(id) as number)).map(({ id }) => id)) }
    }),
  )
}

/** Searches of some cells with a changed kernel. */
interface Round {
  readonly how: 'quick' | 'to the end'
  /** Given which of them may execute the place, as far as rounds before have shown that they do not. */
  readonly cells: (may: (one: Tried) => boolean) => readonly Tried[]
  /** How much of a site's time it may take, from the beginning of the first round on; and how much it has in any case. */
  readonly until: number
  readonly atLeast: number
}

/** Quickly means all of it, unless something goes round for ever: what that round says is said of all cells. */
const QUICK = { how: 'quick', until: 4, atLeast: 0 } as const
/** Begins with the scenarios that are about the place, so that it has some time in any case. */
const TO_THE_END = { how: 'to the end', until: 1, atLeast: 0.5 } as const

/** Few preemptions find most of what can be found; only who survives that on all cells is worth a search of the rest to the end. */
function roundsOfMany(through: readonly Tried[]): Round[] {
  return [
    { ...QUICK, cells: () => through },
    { ...TO_THE_END, cells: () => through },
  ]
}

/** Who asks for one place waits for the answer: those that are about it are asked first, to the end. */
function roundsAlone(all: readonly Tried[], about: (one: Tried) => boolean): Round[] {
  const near = all.filter(about)
  return [
    { ...TO_THE_END, until: 0.5, cells: () => near },
    { ...QUICK, cells: () => all },
    { ...TO_THE_END, cells: (may) => all.filter((one) => may(one) || near.includes(one)) },
  ]
}

interface Work {
  readonly files: Readonly<Record<string, string>>
  readonly pool: Pool
  readonly options: AblationOptions
  readonly record: KillRecord
  /** Workers that share the cells of one site. */
  readonly lanes: number
  /** Told of each cell that is begun. */
  readonly onCell?: (what: string, done: number, total: number) => void
}

/** Changes `site`, with `marks` in it, and checks cells in `rounds`, until one notices. */
async function ablateSite(site: AblationSite, marks: readonly Edit[], rounds: readonly Round[], work: Work): Promise<Ablated> {
  const started = performance.now()
  const { siteTime, time } = work.options
  const { variants, ...plain } = site
  const searches = variants.map((): Searches => ({ bounded: new Set(), proved: new Set() }))
  const executed = new Set<Cell>()
  let through: readonly Tried[] = []
  const fewest = (of: keyof Searches): number =>
    searches.length === 0 ? 0 : Math.min(...searches.map((one) => through.filter(({ cell }) => one[of].has(cell)).length))
  const end = (verdict: AblationVerdict, killer: Ablated['killer'] = null): Ablated => ({
    site: plain,
    verdict,
    killer,
    executed: through.length,
    bounded: fewest('bounded'),
    proved: fewest('proved'),
    milliseconds: performance.now() - started,
  })
  if (site.status === 'undecided under SC') return end('undecided under SC')
  if (site.status === 'unpaired') return end('not ablatable')
  for (const round of rounds) {
    through = round.cells(({ cell }) => executed.has(cell) || searches.some(({ bounded }) => !bounded.has(cell)))
    let begun = 0
    const onNext = (): void => work.onCell?.(`${site.id}, ${round.how}`, ++begun, through.length * searches.length)
    for (const [variant, found] of searches.entries()) {
      const cells = inOrder(site, through, work.files, work.record).filter(({ cell }) => !found.proved.has(cell))
      const left = Math.max(siteTime * round.until - (performance.now() - started), siteTime * round.atLeast)
      const asked = cells.map((one) => ({ ...one, options: howTo(one, round, time) }))
      const { refused, silent, tried } = await tryChanged(ablate(work.files, site, variant, marks), asked, left, onNext, work)
      if (refused) return end('not ablatable')
      for (const { cell, trial } of tried) {
        if (trial.verdict === 'violation') {
          work.record.noticed(site, cell.scenario.name)
          return end('load-bearing', { cell: cellName(cell), message: trial.message, path: trial.path })
        }
        if (trial.executed) executed.add(cell)
        if (trial.verdict === 'proved') found.proved.add(cell)
        if (trial.verdict === 'proved' || (trial.preemptions ?? -1) >= FIRST_BOUND) found.bounded.add(cell)
      }
      // Perhaps it goes round for ever, perhaps the machine was busy with something else: that is not noticing.
      if (silent !== null) return end('went silent', { cell: cellName(silent.cell), message: silent.message, path: [] })
    }
  }
  if (through.length === 0) return end('not executed')
  if (fewest('proved') === through.length) return end('survived exhaustively')
  return end(fewest('bounded') === through.length ? 'survived up to k preemptions' : 'out of time')
}

/** Cells on which a changed kernel was searched up to the first bound, and to the end. */
interface Searches {
  readonly bounded: Set<Cell>
  readonly proved: Set<Cell>
}

/** How a cell is searched: in a quick round to the end only where that is known to be quick. */
function howTo({ small }: Tried, { how }: Round, milliseconds: number): SentOptions {
  const mode = how === 'to the end' ? 'states' : small ? 'check' : 'bounded'
  return { mode, preemptions: FIRST_BOUND, milliseconds, except: BOOKKEEPING }
}

interface Outcome {
  readonly refused: boolean
  /** The cell about which nothing was heard any more. */
  readonly silent: { readonly cell: Cell; readonly message: string } | null
  readonly tried: readonly { readonly cell: Cell; readonly trial: Trial }[]
}

const NOTHING: Outcome = Object.freeze({ refused: false, silent: null, tried: [] })

/** Checks `cells` with a changed kernel, in their order, until one notices or the time is over. */
async function tryChanged(
  files: Readonly<Record<string, string>>,
  cells: readonly (Tried & { readonly options: SentOptions })[],
  milliseconds: number,
  onNext: () => void,
  { pool, lanes, options: { design } }: Work,
): Promise<Outcome> {
  const stop = new Int32Array(new SharedArrayBuffer(4))
  const outcomes = await Promise.all(
    Array.from({ length: Math.min(lanes, cells.length) }, async (_, lane): Promise<Outcome> => {
      const mine = cells.filter((_, at) => at % lanes === lane)
      try {
        const asked = mine.map(({ name, options }) => ({ cell: name, options }))
        const trials = await pool.ask({ kind: 'trials', files, design, cells: asked, milliseconds, stop }, undefined, onNext)
        return { ...NOTHING, tried: trials.map((trial, at) => ({ cell: (mine[at] as Tried).cell, trial })) }
      } catch (error) {
        const kind = error instanceof Error ? error.name : ''
        if (kind === 'SourceRefused') return { ...NOTHING, refused: true }
        // A Worker that broke has noticed nothing: which cells it had tried is lost.
        if (kind === WORKER_BROKE) return NOTHING
        if (kind !== WORKER_SILENT) throw error
        const { message, at = 0 } = error as WorkerError
        return { ...NOTHING, silent: { cell: (mine[at] as Tried).cell, message } }
      }
    }),
  )
  return {
    refused: outcomes.some(({ refused }) => refused),
    silent: outcomes.find(({ silent }) => silent !== null)?.silent ?? null,
    tried: outcomes.flatMap(({ tried }) => tried),
  }
}

/** Does `work` for each of `items`, `jobs` at a time. */
async function inTurns<T>(items: readonly T[], jobs: number, work: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) await work(items[next++] as T)
  }
  await Promise.all(Array.from({ length: jobs }, worker))
}
