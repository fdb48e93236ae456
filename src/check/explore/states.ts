// Exploration with states merged, on one thread: where lock-heavy code has millions of traces, it has few states.
import type { Budget } from './budget.ts'
import { type Model, Status } from './model.ts'
import { randomNumbers } from './random.ts'
import { beginAnew, createSearch, goBack, type Rules, runOnce, type StateSearch, type StateTally } from './states-search.ts'
import { beginSegments, stepSegments, watchSegments } from './states-segments.ts'
import { createSharing, type Sharing, touchAnnounced } from './states-sharing.ts'
import { clearTable, createTable } from './states-table.ts'

/** How to explore. */
export interface StateOptions {
  /** Most preemptions, or -1 for all interleavings. */
  readonly bound: number
  readonly maxSteps: number
  /** Most states that may be remembered. */
  readonly states: number
  readonly budget: Budget
  /** Told of each violation and the path to it. True ends the search. */
  readonly onViolation: StateSearch['onViolation']
  /** Called after each run. */
  readonly onRun?: (search: StateSearch) => void
  /** Where to put what is learned of sharing, and whether an exploration before this one has begun to. */
  readonly sharing?: Sharing
  readonly learned?: boolean
  /** Default: all rules. */
  readonly rules?: Rules
}

/** What came of it. */
export interface StateResult {
  readonly tally: StateTally
  /** Why the search ended before its end, or ''. */
  readonly stopped: string
  /** Whether the bound left anything out. */
  readonly cut: boolean
  /** Objects that agents share, and that were touched at all. */
  readonly shared: number
  readonly touched: number
}

/** States that are remembered unless said otherwise: some 200 MB. */
export const DEFAULT_STATES = 12_000_000
export const ALL_RULES: Rules = { sleep: true, local: true, learn: true }

/** Executions by chance from which an exploration learns what is shared before it begins. */
const LESSONS = 24

/** Visits every state of `model` that interleavings within the bound can reach, up to order and local steps. */
export function exploreStates(model: Model, options: StateOptions): StateResult {
  const { bound, maxSteps, states, budget, onViolation, rules = ALL_RULES, sharing = createSharing(model) } = options
  model.merging?.(true)
  const table = createTable(states)
  const search = createSearch(model, table, sharing, watchSegments(sharing, false), maxSteps, bound, rules, onViolation)
  const { tally } = search
  if (rules.learn && options.learned !== true) learn(search)
  for (let anew = true; ; ) {
    runOnce(search, anew)
    options.onRun?.(search)
    if (search.ended) break
    anew = sharing.grown
    if (anew) {
      sharing.grown = false
      tally.restarts++
      clearTable(table)
      beginAnew(search, 0)
    }
    if (search.stopped !== '' || (!anew && !goBack(search))) break
    search.stopped = budget(tally.executions)
    if (search.stopped !== '') break
  }
  return resultOf(search)
}

/** What `search` has come to. */
export function resultOf({ model, tally, stopped, cut, sharing }: StateSearch): StateResult {
  let touched = 0
  for (let object = 0; object < model.objects; object++) if (sharing.touched[object] !== 0) touched++
  const incomplete = model.incomplete?.() ?? ''
  return { tally, stopped: stopped || incomplete, cut, shared: sharing.count[0] as number, touched }
}

/** Runs some executions by chance, to learn what agents share. Nothing is judged. */
export function learn({ model, sharing, segments, maxDepth, tally }: StateSearch): void {
  const random = randomNumbers(1)
  for (let lesson = 0; lesson < LESSONS; lesson++) {
    if (segments !== null) beginSegments(segments)
    model.reset()
    let running = -1
    for (let d = 0; d < maxDepth && model.failure() === ''; d++) {
      let ready = 0
      let count = 0
      for (let agent = 0; agent < model.agents; agent++) {
        touchAnnounced(sharing, agent)
        if (model.status(agent) !== Status.ready) continue
        ready |= 1 << agent
        count++
      }
      if (ready === 0) break
      // Some executions switch often, some seldom.
      if (running < 0 || ((ready >> running) & 1) === 0 || random(1 << (lesson % 6)) === 0) {
        for (let skip = random(count); skip > 0; skip--) ready &= ready - 1
        running = 31 - Math.clz32(ready & -ready)
      }
      if (segments !== null) stepSegments(segments, running, 0)
      model.step(running)
      tally.replayed++
    }
  }
  sharing.grown = false
}
