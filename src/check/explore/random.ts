// Executions by chance: uniformly random with a seed, and probabilistic concurrency testing (Burckhardt and others, ASPLOS
// 2010), which finds a bug of depth d among n agents and k steps with probability at least 1 / (n k^(d-1)) per execution.
import type { Budget } from './budget.ts'
import { blockedAgents, type OnPath } from './enumerate.ts'
import { type Model, Status } from './model.ts'
import { createTally, type Tally } from './optimal.ts'
import { watchRuns } from './watched-run.ts'

/** A generator of numbers from 0 to below `limit`; equal seeds give equal numbers. */
export function randomNumbers(seed: number): (limit: number) => number {
  // mulberry32
  let state = (seed ^ 0x9e3779b9) | 0
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % limit
  }
}

/** Chooses one of the ready agents (bits) for step `step`. */
type Choose = (ready: number, step: number) => number

/** Runs executions in each of which every ready agent is equally likely at each step, until the budget ends it. */
export function exploreRandom(model: Model, seed: number, budget: Budget, maxDepth: number, onPath: OnPath): Tally {
  const random = randomNumbers(seed)
  return repeat(model, budget, maxDepth, onPath, () => (ready) => {
    let skip = random(bitCount(ready))
    let bits = ready
    for (; skip > 0; skip--) bits &= bits - 1
    return 31 - Math.clz32(bits & -bits)
  })
}

/**
 * Runs executions of random priorities with `depth - 1` random points at which the running agent's priority drops below all
 * others. How long executions are is learned from those before.
 */
export function explorePct(model: Model, seed: number, depth: number, budget: Budget, maxDepth: number, onPath: OnPath): Tally {
  const random = randomNumbers(seed)
  const priority = new Int32Array(model.agents)
  const drops = new Int32Array(Math.max(0, depth - 1))
  return repeat(model, budget, maxDepth, onPath, (longest) => {
    for (let i = 0; i < priority.length; i++) {
      const j = random(i + 1)
      priority[i] = priority[j] as number
      priority[j] = depth + i
    }
    for (let i = 0; i < drops.length; i++) drops[i] = random(Math.max(1, longest))
    return (ready, step) => {
      let best = highest(ready, priority)
      const drop = drops.indexOf(step)
      if (drop >= 0) {
        priority[best] = drop
        best = highest(ready, priority)
      }
      return best
    }
  })
}

function highest(ready: number, priority: Int32Array): number {
  let best = -1
  for (let bits = ready; bits !== 0; bits &= bits - 1) {
    const agent = 31 - Math.clz32(bits & -bits)
    if (best < 0 || (priority[agent] as number) > (priority[best] as number)) best = agent
  }
  return best
}

function bitCount(bits: number): number {
  let count = 0
  for (; bits !== 0; bits &= bits - 1) count++
  return count
}

function repeat(model: Model, budget: Budget, maxDepth: number, onPath: OnPath, begin: (longest: number) => Choose): Tally {
  const tally = createTally()
  const run = watchRuns(model, maxDepth)
  const path: number[] = []
  while (tally.stopped === '') {
    const choose = begin(tally.maxDepth)
    run.begin()
    path.length = 0
    for (;;) {
      let ready = 0
      for (let agent = 0; agent < model.agents; agent++) if (model.status(agent) === Status.ready) ready |= 1 << agent
      if (ready === 0) break
      const agent = choose(ready, path.length)
      if (!run.hasRoom(agent)) {
        tally.stopped = `an execution has more than ${path.length} steps`
        return tally
      }
      path.push(agent)
      run.step(agent)
    }
    tally.executions++
    tally.locations = run.locations()
    tally.steps += path.length
    tally.maxDepth = Math.max(tally.maxDepth, path.length)
    const blocked = blockedAgents(model)
    if (blocked !== 0) tally.stuck++
    if (onPath(path, run.finish(blocked))) return tally
    tally.stopped = budget(tally.executions)
  }
  return tally
}
