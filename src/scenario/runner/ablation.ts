// Ablation: each synchronising site that a scenario executes is changed by itself, and the scenarios are checked again. A
// site without which something goes wrong is load-bearing; one that no scenario misses is either unneeded there or a gap in
// the scenarios.
import { type AblationSite, ablate, edited, findSites, markSites, readKernelFiles } from '../../check/ablate/index.ts'
import { designTexts, readDesignFile } from '../../compile/design-file.ts'
import type { Scenario } from '../scenario.ts'
import { inOrder, isAbout, type KillRecord, openKillRecord } from './ablation-order.ts'
import { FIRST_BOUND, note, nothingSeen, type Round, roundsAlone, roundsOfMany, type Seen, type Tried } from './ablation-rounds.ts'
import { type Cell, cellName, cellsOf, type Wanted } from './cells.ts'
import { type Pool, WORKER_BROKE, WORKER_SILENT, type WorkerError } from './pool.ts'
import type { CoverageQuestion, SentOptions, Trial } from './question.ts'
import { builtWith, KERNEL_SOURCE } from './variant.ts'

/** Detectors of bookkeeping: rules about how code is written, which do not count as noticing. */
export const BOOKKEEPING: readonly string[] = Object.freeze(['unbalanced', 'lock-order'])

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
  /** Milliseconds that the searches of one site to the end may take; all of its searches may take four times that. */
  readonly siteTime: number
  /** Values of the axes on which scenarios are tried, where they are expected to be safe; their own if left out. */
  readonly wanted?: Wanted
  readonly onProgress?: (what: string, done: number, total: number) => void
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
 * where it names none, on every design on x86_64 and on one design elsewhere. Those of a design of the user's: on x86_64.
 */
function cellsOfAblation(scenarios: readonly Scenario[], { design: own, wanted }: AblationOptions): readonly Tried[] {
  return cellsOf(scenarios, own === undefined ? wanted : { archs: ['x86_64'], ...wanted, designs: [own] })
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
  const lanes = Math.max(1, Math.floor(jobs / sites.length))
  const results = new Map<string, Ablated>()
  const few = sites.length <= FEW
  const work: Work = { files, pool, options, record, lanes, ...(few && onProgress !== undefined ? { onCell: onProgress } : {}) }
  const covered = few ? [] : await coverage(all, sites, files, pool, options)
  await inTurns(sites, jobs, async (site) => {
    const about = (one: Tried): boolean => isAbout(one.cell.scenario, site, files)
    const rounds = few ? roundsAlone(all, about) : roundsOfMany(covered.filter((one) => one.sites.has(site.id) || about(one)))
    const result = await ablateSite(site, rounds, work)
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
      const { marks, cut, ...rest } = await pool.ask({ kind: 'coverage', cell: one.name, kernel })
      onProgress?.('learning what the scenarios execute', ++done, cells.length)
      const executed = sites.filter(({ id }) => cut || marks.includes(of.get(id) as number))
      return { ...one, ...rest, sites: new Set(executed.map(({ id }) => id)) }
    }),
  )
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

/** Changes `site` and checks cells in `rounds`, until one notices. */
async function ablateSite(site: AblationSite, rounds: readonly Round[], work: Work): Promise<Ablated> {
  const started = performance.now()
  const { siteTime, time } = work.options
  const { variants, ...plain } = site
  const known = new Map<Cell, Seen>()
  const seen = ({ cell }: Tried): Seen => {
    const found = known.get(cell) ?? nothingSeen(variants.length)
    known.set(cell, found)
    return found
  }
  let through: readonly Tried[] = []
  const searchedTo = (far: readonly Seen['searched'][number][]): number =>
    variants.length === 0 ? 0 : through.filter((one) => seen(one).searched.every((how) => far.includes(how))).length
  const end = (verdict: AblationVerdict, killer: Ablated['killer'] = null): Ablated => ({
    site: plain,
    verdict,
    killer,
    executed: through.length,
    bounded: searchedTo(['bounded', 'proved']),
    proved: searchedTo(['proved']),
    milliseconds: performance.now() - started,
  })
  if (site.status === 'undecided under SC') return end('undecided under SC')
  if (site.status === 'unpaired') return end('not ablatable')
  const marks = markSites(work.files, [site]).edits
  for (const round of rounds) {
    through = round.cells(seen)
    const far = round.how === 'quick' ? ['bounded', 'proved'] : ['proved']
    for (const [variant, { name }] of variants.entries()) {
      const open = through.filter((one) => !far.includes(seen(one).searched[variant] as string))
      const ordered = inOrder(site, open, work.files, work.record)
      // Who took too long once does so again.
      const cells = [...ordered.filter((one) => !seen(one).gaveUp[variant]), ...ordered.filter((one) => seen(one).gaveUp[variant])]
      const elapsed = performance.now() - started
      const left = Math.max(siteTime * round.until - elapsed, (siteTime * round.atLeast) / variants.length)
      let begun = 0
      const onNext = (): void => work.onCell?.(`${site.id}${name === '' ? '' : ` ${name}`}, ${round.how}`, ++begun, cells.length)
      const asked = cells.map((one) => ({ ...one, options: howTo(one, round, time) }))
      const { refused, silent, tried } = await tryChanged(ablate(work.files, site, variant, marks), asked, left, onNext, work)
      if (refused) return end('not ablatable')
      for (const { of, trial } of tried) {
        if (trial.verdict === 'violation') {
          work.record.noticed(site, of.cell.scenario.name)
          return end('load-bearing', { cell: cellName(of.cell), message: trial.message, path: trial.path })
        }
        note(seen(of), variant, round, trial)
      }
      // Perhaps it goes round for ever, perhaps the machine was busy with something else: that is not noticing.
      if (silent !== null) return end('went silent', { cell: cellName(silent.cell), message: silent.message, path: [] })
    }
  }
  if (through.length === 0) return end('not executed')
  if (searchedTo(['proved']) === through.length) return end('survived exhaustively')
  return end(searchedTo(['bounded', 'proved']) === through.length ? 'survived up to k preemptions' : 'out of time')
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
  readonly tried: readonly { readonly of: Tried; readonly trial: Trial }[]
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
  const deadline = Date.now() + milliseconds
  const outcomes = await Promise.all(
    Array.from({ length: Math.min(lanes, cells.length) }, async (_, lane): Promise<Outcome> => {
      const mine = cells.filter((_, at) => at % lanes === lane)
      try {
        const asked = mine.map(({ name, options }) => ({ cell: name, options }))
        const trials = await pool.ask({ kind: 'trials', files, design, cells: asked, deadline, stop }, undefined, onNext)
        return { ...NOTHING, tried: trials.map((trial, at) => ({ of: mine[at] as Tried, trial })) }
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
