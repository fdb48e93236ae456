// Checking one cell: explore it, compare the verdict with what is expected, and make a counterexample of what is wrong.

import {
  type Counterexample,
  compareReplay,
  counterexample,
  minimise,
  pinningTest,
  type ReplayFile,
  type ReplayVerdict,
  readLayouts,
  record,
  replayFile,
} from '../../check/counterexample/index.ts'
import {
  CallThrew,
  type ExploreOptions,
  type ExploreReport,
  explore,
  NothingExplored,
  type Path,
  replay,
} from '../../check/explore/index.ts'
import { loadedDesign } from '../../machine/own-design.ts'
import { type Scenario, unknownValue } from '../scenario.ts'
import { type Combination, isValue, LISTS, shortCombination, wholeCombination } from './axes.ts'
import { type Cell, cellsOf, expectedOf } from './cells.ts'
import { ScenarioError } from './errors.ts'
import { type Rehearsal, type RehearseOptions, rehearse } from './rehearse.ts'

/** How to check. */
export interface CheckOptions extends RehearseOptions {
  /** Preemptions up to which a violation is looked for first; the search goes on to all interleavings. Default 2. */
  readonly preemptions?: number
  /** Default `check`; `bounded` ends at `preemptions`: the verdict is then at best that there is no violation up to them. */
  readonly mode?: ExploreOptions['mode']
  readonly seed?: number
  readonly milliseconds?: number
  readonly executions?: number
  readonly states?: number
  readonly onProgress?: ExploreOptions['onProgress']
}

/** What a check of a cell came to; survives `postMessage`. */
export interface CheckResult {
  readonly scenario: string
  readonly combination: Combination
  /** Name of the broken variant, or null for the kernel as it is. */
  readonly variant: string | null
  /** `safe`, `unsafe`, or null where nobody has said. */
  readonly expected: 'safe' | 'unsafe' | null
  /**
   * Whether the verdict is what is expected. A search that a budget ended proves nothing, so it does not do for `safe`; one that was
   * asked to stop at a bound, or to go by chance, does if it found nothing.
   */
  readonly asExpected: boolean
  readonly report: ExploreReport
}

/** Explores `cell`. */
export async function checkCell(cell: Cell, options: CheckOptions = {}): Promise<CheckResult> {
  return resultOf(cell, exploreRehearsal(await rehearse(cell, options), options), options.mode)
}

/** Explores what was set up. */
export function exploreRehearsal({ cell, model }: Rehearsal, options: CheckOptions): ExploreReport {
  const { preemptions = 2, mode = 'check', seed, milliseconds, executions, states, onProgress } = options
  const how: ExploreOptions = {
    mode,
    preemptions,
    ...(seed === undefined ? {} : { seed }),
    ...(milliseconds === undefined ? {} : { milliseconds }),
    ...(executions === undefined ? {} : { executions }),
    ...(states === undefined ? {} : { states }),
    ...(onProgress === undefined ? {} : { onProgress }),
  }
  try {
    return explore(model, how)
  } catch (error) {
    throw nothingRan(cell, error)
  }
}

/** A search in which nothing was explored, and a call that is no program, are the scenario's mistakes: then says so. Other errors as they are. */
export function nothingRan({ scenario }: Cell, error: unknown): unknown {
  const what =
    error instanceof NothingExplored
      ? 'nothing was explored: no call takes a step in shared memory'
      : error instanceof CallThrew
        ? `a call threw: ${error.message}`
        : ''
  return what === '' ? error : new ScenarioError(`scenario ${scenario.name}: ${what}`, { cause: error })
}

/** The result of `cell` with what came of its exploration. */
export function resultOf(cell: Cell, report: ExploreReport, mode: CheckOptions['mode'] = 'check'): CheckResult {
  const { scenario, combination, variant, expected } = cell
  const violated = report.verdict === 'violation'
  const cut = report.verdict === 'stopped' && mode !== 'random' && mode !== 'pct'
  const fine = !violated && (expected === null || !cut)
  const said = expected === null || expected === 'safe' ? fine : violated && report.message.search(expected.unsafe) >= 0
  return {
    scenario: scenario.name,
    combination,
    variant: variant?.name ?? null,
    expected: expected === null ? null : expected === 'safe' ? 'safe' : 'unsafe',
    asExpected: said,
    report,
  }
}

/** A violation, ready to be printed, kept and pinned. */
export interface Explanation {
  readonly counterexample: Counterexample
  readonly replay: ReplayFile
  readonly test: string
}

/** The counterexample of `cell` that a report found, made as short as can be. `all` shows every step. */
export async function explain(
  cell: Cell,
  { path, message }: Pick<ExploreReport, 'path' | 'message'>,
  options: RehearseOptions & { readonly all?: boolean } = {},
): Promise<Explanation> {
  const rehearsal = await rehearse(cell, options)
  const { model, recorder, tree, detectors } = rehearsal
  const minimised = minimise(model, path, { watch: detectors, expectedFailure: message })
  const recording = record(model, recorder, minimised.path, message)
  const { combination } = cell
  const name = nameOf(cell)
  return {
    counterexample: counterexample({
      facts: factsOf(rehearsal),
      recording,
      path: minimised.path,
      layouts: await readLayouts(tree),
      minimised,
      all: options.all ?? false,
      ...(rehearsal.play.labels === undefined ? {} : { labels: rehearsal.play.labels }),
    }),
    replay: replayFile(name, combination, minimised.path, recording, loadedDesign(combination.design)?.hash),
    test: pinningTest({
      scenario: name,
      ...combination,
      path: minimised.path,
      failure: recording.failure,
      acrossExecutions: recording.acrossExecutions,
    }),
  }
}

/** `srcu:one-scan`: the scenario, and the variant where there is one. */
export function nameOf({ scenario, variant }: Cell): string {
  return variant === null ? scenario.name : `${scenario.name}:${variant.name}`
}

function factsOf({ cell, play, setUp }: Rehearsal): Counterexample['facts'] {
  return { scenario: nameOf(cell), ...cell.combination, setUp, calls: play.calls.map((calls) => calls.map(({ text }) => text)) }
}

/** Runs what a replay file holds. Says whether it came out the same, or where the code has changed. */
export async function replayCell(
  cell: Cell,
  file: ReplayFile,
  options: RehearseOptions & { readonly all?: boolean } = {},
): Promise<{ readonly verdict: ReplayVerdict; readonly counterexample: Counterexample }> {
  const rehearsal = await rehearse(cell, options)
  const recording = record(rehearsal.model, rehearsal.recorder, file.path)
  return {
    verdict: compareReplay(file, recording),
    counterexample: counterexample({
      facts: factsOf(rehearsal),
      recording,
      path: file.path,
      layouts: await readLayouts(rehearsal.tree),
      all: options.all ?? false,
      ...(rehearsal.play.labels === undefined ? {} : { labels: rehearsal.play.labels }),
    }),
  }
}

/** The cell of `scenario` (and one of its variants) on `combination`, whatever is left out as in the scenario's first one. */
export function cellOf(scenario: Scenario, combination: Partial<Combination> = {}, variantName: string | null = null): Cell {
  const variant = variantName === null ? null : (scenario.variants?.find(({ name }) => name === variantName) ?? null)
  if (variantName !== null && variant === null) throw new ScenarioError(`scenario ${scenario.name} has no variant ${variantName}`)
  const first = cellsOf([scenario])[0]
  if (first === undefined) throw new ScenarioError(`scenario ${scenario.name} names no combination`)
  const whole = wholeCombination({ ...first.combination, ...variant?.on, ...combination })
  for (const list of Object.keys(LISTS) as (keyof typeof LISTS)[]) {
    const value = whole[LISTS[list]]
    if (!isValue(list, value)) throw new ScenarioError(`scenario ${scenario.name}: ${unknownValue(list, value)}`)
  }
  const expected = variant !== null ? { unsafe: variant.unsafe } : expectedOf(scenario, whole)
  return { scenario, combination: shortCombination(whole), variant, expected }
}

/** Runs `path` once. Returns what is wrong at its end, or ''. */
export async function replayPath(cell: Cell, path: Path, options: RehearseOptions = {}): Promise<string> {
  return replay((await rehearse(cell, options)).model, path)
}
