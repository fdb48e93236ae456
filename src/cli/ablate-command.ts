// `gracewalk ablate`: changes one synchronising site of the kernel at a time and checks the scenarios that execute it again.
import { existsSync, writeFileSync } from 'node:fs'
import { dirname, relative } from 'node:path'
import type { AblationSite } from '../check/ablate/index.ts'
import { isDesignFile } from '../machine/own-design.ts'
import { ablationJson, ablationMarkdown, ablationSummary, siteLines } from '../report/ablation-report.ts'
import { table } from '../report/table.ts'
import { SCENARIOS } from '../scenario/all.ts'
import { ablateSites, designSites, kernelSites, sitesOf } from '../scenario/runner/ablation.ts'
import type { Wanted } from '../scenario/runner/cells.ts'
import { openPool } from '../scenario/runner/pool.ts'
import type { Scenario } from '../scenario/scenario.ts'
import { furtherAxes, timeOption } from './check-options.ts'
import { names, type RawOptions, text, wholeNumber } from './option-values.ts'
import { startProgress } from './progress.ts'
import { coloursFor, endOnInterrupt, say } from './terminal.ts'
import { Exit, suggestion, UsageError } from './usage-error.ts'

/** What `gracewalk ablate` is to do. */
export interface AblateOptions {
  /** The file of a design of the user's, whose sites are changed; those of the kernel if undefined. */
  readonly design: string | undefined
  /** `file:line` or a site's id; all sites if undefined. */
  readonly site: string | undefined
  readonly operators: readonly string[]
  readonly jobs: number
  /** Milliseconds for the check of one scenario, and for all checks of one site. */
  readonly time: number
  readonly siteTime: number
  /** Values of the axes on which the scenarios are checked, where they are expected to be safe. */
  readonly wanted: Wanted
  readonly list: boolean
  readonly json: boolean
  /** Where to write the generated page. */
  readonly markdown: string | undefined
}

const OPERATORS = ['lock', 'rcu', 'irq', 'recheck', 'flush', 'ipi', 'wait', 'wake', 'exclusion', 'publish', 'atomicity', 'ordering']

/** Milliseconds without a word after which a changed kernel is taken to go round for ever. */
const SILENCE = 30_000

/** Reads the options. Throws `UsageError`. */
export function ablateOptions(raw: RawOptions, cores: number): AblateOptions {
  return {
    design: ownDesign(raw),
    site: text(raw, 'site'),
    operators: names(raw, 'operator', OPERATORS),
    jobs: wholeNumber(raw, 'jobs', cores, 1, 64),
    time: timeOption(raw, 'time', 10_000),
    siteTime: timeOption(raw, 'siteTime', 30_000),
    wanted: furtherAxes(raw),
    list: raw.list === true,
    json: raw.json === true,
    markdown: text(raw, 'markdown'),
  }
}

function ownDesign(raw: RawOptions): string | undefined {
  const given = text(raw, 'design')
  if (given !== undefined && (!isDesignFile(given) || given.includes(',')))
    throw new UsageError(`--design must be the file of a design of your own, not '${given}': sites of those that ship are the kernel's`)
  return given
}

/** Runs the command. Returns the exit code. */
export async function ablateCommand(wanted: readonly string[], options: AblateOptions, version: string): Promise<number> {
  const scenarios = wanted.length === 0 ? SCENARIOS : wanted.map(scenarioNamed)
  const { sites: all, files } = options.design === undefined ? kernelSites() : designSites(options.design)
  let sites = all.filter((site) => options.operators.includes(site.operator)).filter((site) => matches(site, options))
  if (sites.length === 0) throw new UsageError(nothingAt(options, all))
  const colours = coloursFor(process.stdout)
  if (options.list) {
    if (wanted.length > 0) sites = await executed(sites, files, scenarios, options)
    if (options.json) say([JSON.stringify({ gracewalk: version, sites: sites.map(({ variants, ...site }) => site) }, null, 2)])
    else
      say(
        table(
          ['site', 'function', 'what', 'source'],
          sites.map((s) => [s.id, s.function, s.explanation, s.text.slice(0, 60)]),
          colours,
        ),
      )
    return Exit.success
  }
  endOnInterrupt()
  const progress = startProgress(options.json && !process.stderr.isTTY)
  const pool = openPool(options.jobs, SILENCE)
  try {
    const onProgress = (what: string, done: number, total: number): void => progress.at(what, done, total)
    const results = await ablateSites(sites, files, scenarios, pool, { ...options, onProgress })
    progress.stop()
    if (options.markdown !== undefined) writeFileSync(options.markdown, ablationMarkdown(results))
    if (options.json) say([JSON.stringify(ablationJson(version, results), null, 2)])
    else say([...siteLines(results, colours), '', ...ablationSummary(results, colours)])
    return Exit.success
  } finally {
    progress.stop()
    await pool.close()
  }
}

/** The sites that `scenarios` execute. Throws `UsageError` where that is none. */
async function executed(
  sites: readonly AblationSite[],
  files: Readonly<Record<string, string>>,
  scenarios: readonly Scenario[],
  options: AblateOptions,
): Promise<AblationSite[]> {
  endOnInterrupt()
  const progress = startProgress(options.json && !process.stderr.isTTY)
  const pool = openPool(options.jobs, SILENCE)
  try {
    const onProgress = (what: string, done: number, total: number): void => progress.at(what, done, total)
    const found = await sitesOf(sites, files, scenarios, pool, { ...options, onProgress })
    if (found.length === 0)
      throw new UsageError(`the scenarios that are named execute none of these sites: ${scenarios.map(({ name }) => name).join(', ')}`)
    return [...found]
  } finally {
    progress.stop()
    await pool.close()
  }
}

/** That no site fits what was asked for, and where the nearest are. */
function nothingAt({ site, operators, design }: AblateOptions, all: readonly AblationSite[]): string {
  if (site === undefined) return `no site has the operator ${operators.join(' or ')}`
  const file = shortPlace(site, design).split(':')[0] as string
  const lines = [...new Set(all.filter((one) => one.file === file).map(({ line }) => line))]
  // A file of the user's, most likely a design.
  const own = design === undefined && existsSync(site.split(':')[0] as string) ? ', --design FILE those of a design of your own' : ''
  const others = `gracewalk ablate --list shows them${own}`
  const near = lines.length > 0 ? `${file} has sites in lines ${lines.join(', ')}` : others
  return `no site at '${site}': ${near}`
}

/** Without the way to the kernel's source, or to the directory of the user's design. */
function shortPlace(wanted: string, design: string | undefined): string {
  if (design === undefined) return wanted.replace(/^(?:\.\/)?(?:src\/)?kernel\//, '')
  const [file = '', ...behind] = wanted.split(':')
  const own = relative(dirname(design), file)
  return [own.startsWith('..') ? file : own, ...behind].join(':')
}

/** Whether a site is at one of the places that were asked for, with commas between them. */
function matches(site: Place, { site: wanted, design }: AblateOptions): boolean {
  return wanted === undefined || wanted.split(',').some((place) => isAt(site, shortPlace(place.trim(), design)))
}

type Place = { readonly id: string; readonly file: string; readonly line: number }

function isAt({ id, file, line }: Place, place: string): boolean {
  return id === place || id.startsWith(`${place}:`) || `${file}:${line}` === place || file === place || file.startsWith(`${place}/`)
}

function scenarioNamed(name: string): Scenario {
  const found = SCENARIOS.find((one) => one.name === name)
  if (found !== undefined) return found
  throw new UsageError(
    `unknown scenario '${name}'${suggestion(
      name,
      SCENARIOS.map((one) => one.name),
    )} (gracewalk check --list)`,
  )
}
