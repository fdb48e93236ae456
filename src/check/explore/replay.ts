// One execution along a path: the same again, and judged by the same rules.
import { blockedAgents } from './enumerate.ts'
import { type Model, Status } from './model.ts'
import type { Path } from './path.ts'
import { livelockText } from './states-path.ts'
import { beginSegments, stepSegments, watchSegments } from './states-segments.ts'
import { createSharing } from './states-sharing.ts'
import { neverEnds, turnsText } from './states-turns.ts'
import { watchRuns } from './watched-run.ts'

/** Thrown when a path asks for an agent that cannot run: the program is not the one that it was recorded from. */
export class PathMismatch extends Error {}

/** Runs one execution along `path`. Returns what is wrong at its end, or ''. `onStep` is called before each step. */
export function replay(model: Model, path: Path, onStep?: (agent: number, step: number) => void): string {
  let steps = 0
  for (let i = 1; i < path.length; i += 2) steps += path[i] as number
  // What was found without merging can be done with it.
  model.merging?.(true)
  const run = watchRuns(model, steps + 1)
  const round = watchRound(model)
  const livelock = follow(model, run, path, (agent, step, done) => (done ? round.stepped(agent) : onStep?.(agent, step)))
    ? round.livelock() || round.turns()
    : ''
  if (livelock !== '') return livelock
  // Looking for a way out has led away.
  if (round.wandered()) follow(model, run, path)
  return run.finish(blockedAgents(model)) || racesAlong(model, path)
}

/** Runs an execution along `path`; `around` is called before and after each step. Returns whether nothing is wrong by its end. */
function follow(
  model: Model,
  run: ReturnType<typeof watchRuns>,
  path: Path,
  around?: (agent: number, step: number, done: boolean) => void,
): boolean {
  run.begin()
  let step = 0
  for (let i = 0; i < path.length; i += 2) {
    const agent = path[i] as number
    for (let times = path[i + 1] as number; times > 0; times--) {
      if (agent >= model.agents || model.status(agent) !== Status.ready) {
        throw new PathMismatch(`step ${step} of the path wants agent ${agent}, which cannot run: the program has changed`)
      }
      around?.(agent, step, false)
      run.step(agent)
      around?.(agent, step, true)
      step++
    }
  }
  return model.failure() === ''
}

/** Steps that an agent takes alone after which it is taken to go round, though no state came again. */
const ALONE = 4000

/** Looks whether the agent that runs comes back to a state at which it alone could go on. */
function watchRound(model: Model): { stepped(agent: number): void; livelock(): string; turns(): string; wandered(): boolean } {
  const path = new Set<string>()
  let met = false
  const states = new Map<string, number>()
  const digest = new Int32Array(2)
  let last = -1
  let alone = 0
  let again = false
  return {
    stepped: (agent) => {
      let ready = 0
      for (let other = 0; other < model.agents; other++) if (model.status(other) === Status.ready) ready |= 1 << other
      again = false
      met = false
      if (ready !== 0 && model.digest !== undefined) {
        digest.fill(0)
        model.digest(digest)
        met = path.has(digestKey(digest))
        path.add(digestKey(digest))
      }
      if (ready !== 1 << agent) {
        states.clear()
        alone = 0
        return
      }
      if (agent !== last) alone = 0
      last = agent
      alone++
      if (model.digest === undefined) return
      const key = digestKey(digest)
      again = states.has(key)
      states.set(key, alone)
    },
    livelock: () => (again || alone > ALONE ? livelockText(model, last, again) : ''),
    wandered: () => met,
    turns: () => {
      if (!met) return ''
      const text = turnsText(model)
      return neverEnds(model) ? text : ''
    },
  }
}

function digestKey(digest: Int32Array): string {
  return `${digest[0]},${digest[1]}`
}

/** Data races that only a search with merged states looks for. */
function racesAlong(model: Model, path: Path): string {
  const segments = watchSegments(createSharing(model), true)
  if (segments === null) return ''
  beginSegments(segments)
  segments.judging = true
  model.reset()
  for (let i = 0; i < path.length; i += 2) {
    const agent = path[i] as number
    for (let times = path[i + 1] as number; times > 0; times--) {
      stepSegments(segments, agent, model.footprint(agent))
      model.step(agent)
    }
  }
  return segments.failure
}
