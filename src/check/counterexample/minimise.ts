// Makes a failing path shorter: fewer preemptions first, then fewer switches from one CPU to another, then fewer steps.
// Greedy: every candidate is executed, and taken if the same failure comes of it with less.
import { blockedAgents } from '../explore/enumerate.ts'
import { compress, type Model, type Path, PathMismatch, replay, Status } from '../explore/index.ts'
import { violationOf } from '../violation.ts'
import type { Watch } from '../watch.ts'
import { signatureOf } from './signature.ts'

/** How long a path is. */
export interface PathCost {
  /** Switches away from an agent that could have gone on. */
  readonly preemptions: number
  readonly switches: number
  readonly steps: number
}

/** What came of it. */
export interface Minimised {
  readonly path: Path
  readonly failure: string
  readonly signature: string
  readonly before: PathCost
  readonly after: PathCost
  /** Executions that it took. */
  readonly replays: number
  /** Whether nothing more could be taken away before the budget ended. */
  readonly complete: boolean
  /** Whether the path fails when it is replayed. If not, `failure` is what the exploration said. */
  readonly reproduced: boolean
}

/** What may be spent. */
export interface MinimiseOptions {
  /** Executions. Default 1000. */
  readonly replays?: number
  /** Default 5000. */
  readonly milliseconds?: number
  /** The model's watch, if it can explain violations: then the same detector must find it. */
  readonly watch?: Watch | null
  /** Steps that a candidate may have. Default twice those of the path, and 1000. */
  readonly maxSteps?: number
  /** What the exploration said of the path. With it a path that does not fail alone is handed back as it is. */
  readonly expectedFailure?: string
}

interface Run extends PathCost {
  readonly agents: readonly number[]
  readonly failure: string
}

/**
 * Minimises `path`, which must fail on `model`. Throws `PathMismatch` where the path cannot be followed, and an error where
 * it does not fail and no `expectedFailure` is given. The result fails with the same signature and never has more preemptions than `path`.
 */
export function minimise(model: Model, path: Path, options: MinimiseOptions = {}): Minimised {
  const { replays: most = 1000, milliseconds = 5000, watch = null, expectedFailure = '' } = options
  const deadline = performance.now() + milliseconds
  const given = expand(path)
  const maxSteps = options.maxSteps ?? given.length * 2 + 1000
  const signed = (failure: string): string => signatureOf(failure, violationOf(watch))
  const failure = expectedFailure === '' ? replay(model, path) : replayed(model, path)
  const signature = signed(failure)
  if (failure === '') {
    if (expectedFailure === '') throw new Error('the path does not fail: nothing to minimise')
    return asGiven(model, path, expectedFailure, 1)
  }
  let replays = 1
  // A race of plain accesses is seen by `replay` alone; such paths are judged by it, and not run on behind their end.
  const first = guarded(model, given, maxSteps)
  const byReplay = signed(first?.failure ?? '') !== signature
  const attempt = (agents: readonly number[]): Run | null => {
    replays++
    if (!byReplay) {
      const run = guarded(model, agents, maxSteps)
      return run !== null && run.failure !== '' && signed(run.failure) === signature ? run : null
    }
    const run = guarded(model, agents, maxSteps, true)
    if (run === null) return null
    replays++
    const seen = replayed(model, compress(run.agents))
    return seen !== '' && signed(seen) === signature ? { ...run, failure: seen } : null
  }
  const start = attempt(given)
  if (start === null) {
    if (expectedFailure === '') throw new Error('the path fails in another way when it is run again: the program is not deterministic')
    // What was said once and is not said again: a detector remembers it, as one of lock order does.
    return asGiven(model, path, expectedFailure, replays)
  }
  let best = start
  let complete = true
  for (let improved = true; improved; ) {
    improved = false
    for (const candidate of candidates(best.agents)) {
      if (replays >= most || performance.now() >= deadline) {
        complete = false
        break
      }
      const run = attempt(candidate)
      if (run === null || !isLess(run, best)) continue
      best = run
      improved = true
      break
    }
    if (!complete) break
  }
  const cost = ({ preemptions, switches, steps }: PathCost): PathCost => ({ preemptions, switches, steps })
  const before = { ...cost(start), steps: given.length }
  // The last word is the replay's: what is handed out fails just as it says.
  const shortest = compress(best.agents)
  const final = replayed(model, shortest)
  if (signed(final) !== signature) return { path, failure, signature, before, after: before, replays, complete: false, reproduced: true }
  return { path: shortest, failure: final, signature, before, after: cost(best), replays, complete, reproduced: true }
}

function asGiven(model: Model, path: Path, failure: string, replays: number): Minimised {
  const cost = pathCost(model, path) ?? { preemptions: 0, switches: 0, steps: expand(path).length }
  return {
    path,
    failure,
    signature: signatureOf(failure, null),
    before: cost,
    after: cost,
    replays: replays + 1,
    complete: true,
    reproduced: false,
  }
}

/** What a path costs on `model`, or null if it cannot be followed. */
export function pathCost(model: Model, path: Path): PathCost | null {
  const run = guarded(model, expand(path), Number.POSITIVE_INFINITY, true)
  return run === null ? null : { preemptions: run.preemptions, switches: run.switches, steps: run.steps }
}

/** The agents of a path, step by step. */
export function expand(path: Path): number[] {
  const agents: number[] = []
  for (let i = 0; i < path.length; i += 2) for (let times = path[i + 1] as number; times > 0; times--) agents.push(path[i] as number)
  return agents
}

function isLess(a: PathCost, b: PathCost): boolean {
  if (a.preemptions !== b.preemptions) return a.preemptions < b.preemptions
  return a.switches !== b.switches ? a.switches < b.switches : a.steps < b.steps
}

/**
 * Follows `agents` until something is wrong. If nothing is by the end, and unless `only` them, lets the rest run to an end: the
 * agent that ran last as long as it can, then the lowest. Null: they cannot be followed, or there are too many steps.
 */
function execute(model: Model, agents: readonly number[], maxSteps: number, only = false): Run | null {
  model.reset()
  const taken: number[] = []
  let last = -1
  let preemptions = 0
  let switches = 0
  const done = (failure: string): Run => ({ agents: taken, failure, preemptions, switches, steps: taken.length })
  for (;;) {
    if (!only && model.failure() !== '') return done(model.failure())
    let agent = agents[taken.length]
    if (agent === undefined) {
      if (only) return done('')
      agent = last >= 0 && model.status(last) === Status.ready ? last : firstReady(model)
      if (agent < 0) return done(model.failure() || model.finish(blockedAgents(model)))
    } else if (agent >= model.agents || model.status(agent) !== Status.ready) return null
    if (taken.length >= maxSteps) return null
    if (agent !== last) {
      if (last >= 0) switches++
      if (last >= 0 && model.status(last) === Status.ready) preemptions++
      last = agent
    }
    model.step(agent)
    taken.push(agent)
  }
}

/**
 * `execute`, or null where the end cannot be judged: a scenario's tear-down throws if the execution is cut off in the middle of
 * a call, and so may a broken kernel.
 */
function guarded(...how: Parameters<typeof execute>): Run | null {
  try {
    return execute(...how)
  } catch {
    return null
  }
}

/** `replay`, or '' where the end cannot be judged. */
function replayed(model: Model, path: Path): string {
  try {
    return replay(model, path)
  } catch (error) {
    if (error instanceof PathMismatch) throw error
    return ''
  }
}

function firstReady(model: Model): number {
  for (let agent = 0; agent < model.agents; agent++) if (model.status(agent) === Status.ready) return agent
  return -1
}

/** Paths that might do instead, most promising first. */
function* candidates(agents: readonly number[]): Generator<number[]> {
  const blocks = blocksOf(agents)
  const without = (keep: (block: number, agent: number) => boolean): number[] =>
    blocks.flatMap(([agent, times], i) => (keep(i, agent) ? new Array<number>(times).fill(agent) : []))
  const all = [...new Set(agents)]
  // An agent that does nothing at all.
  for (const agent of all) if (all.length > 1) yield without((_, other) => other !== agent)
  // An agent that does nothing more from some block on.
  for (let i = 0; i < blocks.length; i++) yield without((block, agent) => block < i || agent !== blocks[i]?.[0])
  // A block joins the one before or behind it of the same agent.
  for (let i = 0; i < blocks.length; i++) {
    const next = blocks.findIndex(([agent], j) => j > i && agent === blocks[i]?.[0])
    if (next < 0) continue
    const order = blocks.map((_, j) => j)
    order.splice(next, 1)
    order.splice(i + 1, 0, next)
    yield inOrder(blocks, order)
    const later = blocks.map((_, j) => j)
    later.splice(i, 1)
    later.splice(next - 1, 0, i)
    yield inOrder(blocks, later)
  }
  // A block is left out, with what follows as it was.
  for (let i = 0; i < blocks.length; i++) yield without((block) => block !== i)
  // The end of a block is left out, by halves.
  for (let i = blocks.length - 1; i >= 0; i--) {
    const [agent, times] = blocks[i] as [number, number]
    for (let cut = times >> 1; cut > 0; cut >>= 1)
      yield blocks.flatMap(([other, n], j) => new Array<number>(j === i ? times - cut : n).fill(j === i ? agent : other))
  }
  if (agents.length > 1) yield agents.slice(0, -1)
}

function inOrder(blocks: readonly (readonly [number, number])[], order: readonly number[]): number[] {
  return order.flatMap((block) => {
    const [agent, times] = blocks[block] as readonly [number, number]
    return new Array<number>(times).fill(agent)
  })
}

function blocksOf(agents: readonly number[]): [number, number][] {
  const path = compress(agents)
  const blocks: [number, number][] = []
  for (let i = 0; i < path.length; i += 2) blocks.push([path[i] as number, path[i + 1] as number])
  return blocks
}
