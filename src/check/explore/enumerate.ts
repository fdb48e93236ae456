// Plain depth-first enumeration of interleavings, without any reduction: all of them, or all with at most so many
// preemptions. The bug-first phase (the first counterexample has the fewest preemptions) and the oracle of the tests.
import type { Budget } from './budget.ts'
import { type Model, Status } from './model.ts'
import { createTally, type Tally } from './optimal.ts'
import { watchRuns } from './watched-run.ts'

/** Called at the end of each execution with its path: the agents in the order in which they ran. True ends all. */
export type OnPath = (path: readonly number[], failure: string) => boolean

/** What an enumeration has done. */
export interface Enumeration extends Tally {
  /** Whether no interleaving was left out because it has too many preemptions. */
  unbounded: boolean
}

/**
 * Runs every interleaving of `model` with at most `preemptions` switches away from an agent that could have run on, and,
 * if `exactly`, only those with just as many (those with fewer were run before).
 */
export function enumerate(
  model: Model,
  budget: Budget,
  maxDepth: number,
  preemptions: number,
  exactly: boolean,
  onPath: OnPath,
): Enumeration {
  const tally: Enumeration = { ...createTally(), unbounded: true }
  const run = watchRuns(model, maxDepth)
  const path: number[] = []
  let ran = 0
  // For each step: the agents that remain to be tried there, the one that could have run on (-1: none), and the preemptions
  // spent before the step.
  const untried: number[] = []
  const stayers: number[] = []
  const spent: number[] = [0]
  for (;;) {
    run.begin()
    for (const agent of path) run.step(agent)
    tally.steps += path.length
    tally.replayed += path.length
    let running = path.length === 0 ? -1 : (path[path.length - 1] as number)
    for (;;) {
      const ready = readyAgents(model)
      if (ready === 0) break
      const used = spent[path.length] as number
      const canStay = running >= 0 && ((ready >> running) & 1) !== 0
      if (canStay && used === preemptions && ready !== 1 << running) tally.unbounded = false
      const choices = canStay && used === preemptions ? 1 << running : ready
      const agent = canStay ? running : 31 - Math.clz32(choices & -choices)
      if (!run.hasRoom(agent)) {
        tally.stopped = `an execution has more than ${path.length} steps`
        return tally
      }
      untried.push(choices & ~(1 << agent))
      stayers.push(canStay ? running : -1)
      spent.push(used)
      path.push(agent)
      run.step(agent)
      running = agent
      tally.steps++
    }
    tally.locations = run.locations()
    tally.maxDepth = Math.max(tally.maxDepth, path.length)
    ran++
    if (!exactly || spent[path.length] === preemptions) {
      tally.executions++
      const blocked = blockedAgents(model)
      if (blocked !== 0) tally.stuck++
      if (onPath(path, run.finish(blocked))) return tally
    }
    tally.stopped = budget(ran)
    if (tally.stopped !== '' || !next(path, untried, stayers, spent)) return tally
  }
}

/** Replaces the last step that has something left to try. Returns whether there was one. */
function next(path: number[], untried: number[], stayers: number[], spent: number[]): boolean {
  while (path.length > 0) {
    path.pop()
    spent.pop()
    const d = path.length
    const choices = untried[d] as number
    if (choices === 0) {
      untried.pop()
      stayers.pop()
      continue
    }
    const agent = 31 - Math.clz32(choices & -choices)
    untried[d] = choices & ~(1 << agent)
    // The one that could run on was tried first: whoever is left preempts it.
    spent.push((spent[d] as number) + ((stayers[d] as number) >= 0 ? 1 : 0))
    path.push(agent)
    return true
  }
  return false
}

function readyAgents(model: Model): number {
  let ready = 0
  for (let agent = 0; agent < model.agents; agent++) if (model.status(agent) === Status.ready) ready |= 1 << agent
  return ready
}

/** The agents that are blocked, as bits. */
export function blockedAgents(model: Model): number {
  let blocked = 0
  for (let agent = 0; agent < model.agents; agent++) if (model.status(agent) === Status.blocked) blocked |= 1 << agent
  return blocked
}
