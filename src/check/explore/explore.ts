// Exploration of a model in one of the modes, with a verdict that says no more than what was done.
import { createBudget, type Limits } from './budget.ts'
import { blockedAgents, enumerate } from './enumerate.ts'
import { type Model, Status } from './model.ts'
import { exploreOptimal, type Tally } from './optimal.ts'
import { explorePct, exploreRandom } from './random.ts'
import { watchRuns } from './watched-run.ts'

/** `[agent, times, agent, times, …]`: who ran how many steps in a row. Small, and replays. */
export type Path = readonly number[]

/**
 * `proved`: every interleaving (of this program, under sequential consistency) was covered and none is wrong · `bounded`:
 * none with up to `preemptions` preemptions is wrong · `stopped`: a budget or bound ended the search, nothing is proved ·
 * `violation`: `path` leads to `failure`.
 */
export type Verdict = 'proved' | 'bounded' | 'stopped' | 'violation'

/** How to explore. */
export interface ExploreOptions extends Limits {
  /**
   * `exhaustive` (the default): optimal reduction · `bounded`: every interleaving with 0, 1, … up to `preemptions`
   * preemptions, so that a violation found has the fewest · `check`: bounded first, then exhaustive · `random`, `pct`:
   * by chance, until a budget ends it.
   */
  readonly mode?: 'exhaustive' | 'bounded' | 'check' | 'random' | 'pct'
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
  /** Called now and then with the counts so far. */
  readonly onProgress?: (executions: number, milliseconds: number) => void
}

/** What came of it. */
export interface ExploreReport {
  readonly verdict: Verdict
  /** What went wrong, or why the search stopped, or ''. */
  readonly message: string
  readonly path: Path
  /** Bound to which the search is complete: of preemptions, or null if none was completed. */
  readonly preemptions: number | null
  readonly executions: number
  readonly violations: number
  /** Executions found to be covered by others after they had begun. */
  readonly redundant: number
  /** Executions in which an agent waits for ever. */
  readonly stuck: number
  readonly steps: number
  readonly replayed: number
  /** Steps of the longest execution. */
  readonly maxDepth: number
  /** Shared objects that were touched, places in the program that were seen, agents that ran. */
  readonly locations: number
  readonly yieldPoints: number
  readonly agents: number
  readonly milliseconds: number
}

interface Findings {
  message: string
  path: Path
  violations: number
}

const PROGRESS_EVERY = 1024

/** Explores `model`. Throws when there was nothing to explore: a scenario in which nothing runs proves nothing. */
export function explore(model: Model, options: ExploreOptions = {}): ExploreReport {
  const { mode = 'exhaustive', preemptions = 2, seed = 1, depth = 3, maxSteps = 10_000 } = options
  const started = performance.now()
  const budget = createBudget(options)
  const found: Findings = { message: '', path: [], violations: 0 }
  const ran = new Uint8Array(model.agents)
  let seen = 0
  const onPath = (path: ArrayLike<number>, failure: string): boolean => {
    for (let i = 0; i < path.length; i++) ran[path[i] as number] = 1
    if ((++seen & (PROGRESS_EVERY - 1)) === 0) options.onProgress?.(seen, performance.now() - started)
    if (failure === '') return false
    if (found.violations++ === 0) {
      found.message = failure
      found.path = compress(path)
    }
    return options.keepGoing !== true
  }
  const tallies: Tally[] = []
  let complete: number | null = null
  let unbounded = false
  if (mode === 'bounded' || mode === 'check') {
    for (let k = 0; k <= preemptions && found.violations === 0 && !unbounded; k++) {
      const tally = enumerate(model, budget, maxSteps, k, true, onPath)
      tallies.push(tally)
      if (tally.stopped !== '' || found.violations > 0) break
      complete = k
      unbounded = tally.unbounded
    }
  }
  const bounded = tallies.every((tally) => tally.stopped === '')
  if (mode === 'exhaustive' || (mode === 'check' && bounded && found.violations === 0 && !unbounded)) {
    const tally = exploreOptimal(model, budget, maxSteps, (trace, failure) => onPath(trace.agentOf.subarray(0, trace.depth), failure))
    tallies.push(tally)
    unbounded = tally.stopped === ''
  }
  if (mode === 'random') tallies.push(exploreRandom(model, seed, budget, maxSteps, onPath))
  if (mode === 'pct') tallies.push(explorePct(model, seed, depth, budget, maxSteps, onPath))
  const stopped = tallies.find((tally) => tally.stopped !== '')?.stopped ?? ''
  const sum = (of: (tally: Tally) => number): number => tallies.reduce((total, tally) => total + of(tally), 0)
  const steps = sum((tally) => tally.steps)
  if (steps === 0) throw new Error('nothing was explored: no agent took a step')
  return {
    verdict: found.violations > 0 ? 'violation' : stopped !== '' ? 'stopped' : unbounded ? 'proved' : 'bounded',
    message: found.violations > 0 ? found.message : stopped,
    path: found.path,
    preemptions: complete,
    executions: sum((tally) => tally.executions),
    violations: found.violations,
    redundant: sum((tally) => tally.redundant),
    stuck: sum((tally) => tally.stuck),
    steps,
    replayed: sum((tally) => tally.replayed),
    maxDepth: Math.max(...tallies.map((tally) => tally.maxDepth)),
    locations: Math.max(...tallies.map((tally) => tally.locations)),
    yieldPoints: model.yieldPoints(),
    agents: ran.reduce((total, one) => total + one, 0),
    milliseconds: performance.now() - started,
  }
}

/** A sequence of agents as pairs of agent and how many times in a row. */
export function compress(agents: ArrayLike<number>): Path {
  const path: number[] = []
  for (let i = 0; i < agents.length; i++) {
    const agent = agents[i] as number
    if (path.length > 0 && path[path.length - 2] === agent) path[path.length - 1] = (path[path.length - 1] as number) + 1
    else path.push(agent, 1)
  }
  return path
}

/** Thrown when a path asks for an agent that cannot run: the program is not the one that it was recorded from. */
export class PathMismatch extends Error {}

/** Runs one execution along `path`. Returns what is wrong at its end, or ''. `onStep` is called before each step. */
export function replay(model: Model, path: Path, onStep?: (agent: number, step: number) => void): string {
  let steps = 0
  for (let i = 1; i < path.length; i += 2) steps += path[i] as number
  const run = watchRuns(model, steps + 1)
  run.begin()
  let step = 0
  for (let i = 0; i < path.length; i += 2) {
    const agent = path[i] as number
    for (let times = path[i + 1] as number; times > 0; times--) {
      if (agent >= model.agents || model.status(agent) !== Status.ready) {
        throw new PathMismatch(`step ${step} of the path wants agent ${agent}, which cannot run: the program has changed`)
      }
      onStep?.(agent, step++)
      run.step(agent)
    }
  }
  return run.finish(blockedAgents(model))
}
