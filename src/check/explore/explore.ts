// Exploration of a model in one of the modes, with a verdict that says no more than what was done.
import { type Budget, createBudget, type Limits } from './budget.ts'
import { enumerate } from './enumerate.ts'
import { mergeSections } from './irq-off.ts'
import type { Model } from './model.ts'
import { exploreOptimal } from './optimal.ts'
import { compress } from './path.ts'
import { type Mode, type Phase, planPhases } from './plan.ts'
import { createMeter, type Progress } from './progress.ts'
import { explorePct, exploreRandom } from './random.ts'
import { replay } from './replay.ts'
import { type ExploreReport, type Findings, type PhaseResult, reportOn } from './report.ts'
import { DEFAULT_STATES, exploreStates, type StateResult } from './states.ts'
import { startWorkers } from './states-jobs.ts'
import { createSharing, type Sharing } from './states-sharing.ts'
import type { ModelSource } from './states-worker.ts'
import type { Trace } from './trace.ts'

export { compress, type Path } from './path.ts'
export { PathMismatch, replay } from './replay.ts'
export type { ExploreReport, Verdict } from './report.ts'

/** How to explore. */
export interface ExploreOptions extends Limits {
  /**
   * `exhaustive` (the default): optimal reduction, every trace once · `states`: every interleaving with equal states merged
   * (needs `Model.digest`) · `bounded`: every interleaving with 0, 1, … up to `preemptions` preemptions, so that a violation
   * found has the fewest · `check`: bounded first, then all, with states merged if they can be · `random`, `pct`: by chance,
   * until a budget ends it.
   */
  readonly mode?: Mode
  /** Default 2. */
  readonly preemptions?: number
  /** For `random` and `pct`. Default 1. */
  readonly seed?: number
  /** Depth of the bugs that `pct` looks for. Default 3. */
  readonly depth?: number
  /** Steps that one execution may have. Default 10,000. */
  readonly maxSteps?: number
  /** Goes on after a violation and counts; the first is reported. */
  readonly keepGoing?: boolean
  /** Told now and then how far it has come. */
  readonly onProgress?: (progress: Progress) => void
}

const DEFAULT_PREEMPTIONS = 2
const DEFAULT_STEPS = 10_000

/** Explores `model`. Throws when there was nothing to explore: a scenario in which nothing runs proves nothing. */
export function explore(model: Model, options: ExploreOptions = {}): ExploreReport {
  const { mode = 'exhaustive', preemptions = DEFAULT_PREEMPTIONS } = options
  const started = performance.now()
  const budget = createBudget(options)
  const found: Findings = { message: '', path: [], violations: 0, ran: 0, yieldPoints: 0, irqOff: [] }
  const meter = createMeter(options.onProgress, started)
  const sharing: { learned?: Sharing } = {}
  const plan = planPhases(mode, preemptions, model.digest !== undefined, found)
  let before = 0
  let step = plan.next()
  while (!step.done) {
    const offset = before
    const result = perform(
      model,
      step.value,
      options,
      (executions) => budget(offset + executions),
      found,
      sharing,
      (executions, states, depth, done) => meter(offset + executions, states, depth, done),
    )
    before += result.executions
    step = plan.next(result)
  }
  found.yieldPoints = model.yieldPoints()
  found.irqOff = model.irqOff?.() ?? []
  return reportOn(step.value.phases, found, step.value.preemptions, performance.now() - started)
}

function perform(
  model: Model,
  { search, bound }: Phase,
  options: ExploreOptions,
  budget: Budget,
  found: Findings,
  sharing: { learned?: Sharing },
  meter: ReturnType<typeof createMeter>,
): PhaseResult {
  const { seed = 1, depth = 3, maxSteps = DEFAULT_STEPS, states = DEFAULT_STATES } = options
  const violate = (path: ArrayLike<number>, failure: string): boolean => {
    if (found.violations++ === 0) {
      found.message = failure
      found.path = compress(path)
    }
    return options.keepGoing !== true
  }
  let ended = 0
  const onPath = (path: ArrayLike<number>, failure: string): boolean => {
    for (let i = 0; i < path.length; i++) found.ran |= 1 << (path[i] as number)
    meter(++ended, 0, path.length, null)
    return failure !== '' && violate(path, failure)
  }
  if (search === 'states') {
    const known = sharing.learned
    sharing.learned ??= createSharing(model)
    const before = found.violations
    const result = exploreStates(model, {
      bound,
      maxSteps,
      states,
      budget,
      onViolation: violate,
      onRun: ({ tally, depth: steps }) => meter(tally.executions, tally.states, steps, tally.done),
      sharing: sharing.learned,
      learned: known !== undefined,
    })
    found.ran |= result.tally.ran
    // A replay may put the same race into other words.
    if (before === 0 && found.violations > 0) found.message = replay(model, found.path) || found.message
    return phaseOf(result)
  }
  model.merging?.(false)
  const result = performTraces()
  return { ...result, stopped: result.stopped || (model.incomplete?.() ?? '') }

  function performTraces(): PhaseResult {
    if (search === 'enumerate') return enumerate(model, budget, maxSteps, bound, true, onPath)
    if (search === 'random') return { ...exploreRandom(model, seed, budget, maxSteps, onPath), unbounded: false }
    if (search === 'pct') return { ...explorePct(model, seed, depth, budget, maxSteps, onPath), unbounded: false }
    const onExecution = (trace: Trace, failure: string): boolean => onPath(trace.agentOf.subarray(0, trace.depth), failure)
    return { ...exploreOptimal(model, budget, maxSteps, onExecution), unbounded: true }
  }
}

function phaseOf({ tally, stopped, cut, shared, touched }: StateResult): PhaseResult {
  return {
    executions: tally.executions,
    redundant: 0,
    stuck: tally.stuck,
    steps: tally.transitions + tally.replayed,
    replayed: tally.replayed,
    maxDepth: tally.maxDepth,
    locations: touched,
    stopped,
    unbounded: !cut,
    states: tally.states,
    transitions: tally.transitions,
    restarts: tally.restarts,
    sharedObjects: shared,
  }
}

/** Modes that several Workers can share. */
export interface JobOptions extends Omit<ExploreOptions, 'mode' | 'seed' | 'depth'> {
  /** Default `check`. */
  readonly mode?: 'states' | 'bounded' | 'check'
  /** Workers. */
  readonly jobs: number
}

/**
 * Explores the model that `source` names with several Workers, states merged. Rejects when there was nothing to explore,
 * when the model cannot be built or has no digest. Which of several counterexamples is found may differ between runs.
 */
export async function exploreJobs(source: ModelSource, options: JobOptions): Promise<ExploreReport> {
  const { mode = 'check', preemptions = DEFAULT_PREEMPTIONS, jobs, maxSteps = DEFAULT_STEPS, keepGoing = false } = options
  const { states = DEFAULT_STATES } = options
  const limits: Limits = {
    ...(options.executions === undefined ? {} : { executions: options.executions }),
    ...(options.milliseconds === undefined ? {} : { milliseconds: options.milliseconds }),
  }
  const started = performance.now()
  const found: Findings = { message: '', path: [], violations: 0, ran: 0, yieldPoints: 0, irqOff: [] }
  const workers = await startWorkers(source, jobs, maxSteps, keepGoing)
  try {
    const plan = planPhases(mode, preemptions, true, found)
    const seen = new Set<number>()
    let before = 0
    let step = plan.next()
    while (!step.done) {
      const offset = before
      const { result, violations, message, path, yieldPoints, places, irqOff } = await workers.search(
        { bound: step.value.bound, states, limits, executions: offset, milliseconds: performance.now() - started },
        options.onProgress === undefined
          ? undefined
          : (runs, count, depth, done) => {
              const rate = (runs * 1000) / (performance.now() - started)
              options.onProgress?.({ executions: runs, rate, states: count, depth, done })
            },
      )
      if (found.violations === 0 && violations > 0) {
        found.message = message
        found.path = path
      }
      found.violations += violations
      found.ran |= result.tally.ran
      for (const place of places) seen.add(place)
      found.irqOff = mergeSections([...found.irqOff, ...irqOff])
      found.yieldPoints = Math.max(found.yieldPoints, yieldPoints, seen.size)
      before += result.tally.executions
      step = plan.next(phaseOf(result))
    }
    return reportOn(step.value.phases, found, step.value.preemptions, performance.now() - started)
  } finally {
    await workers.close()
  }
}
