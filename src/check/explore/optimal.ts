// Optimal dynamic partial-order reduction with wakeup trees, under sequential consistency: one execution for each
// Mazurkiewicz trace. Stateless: an execution is replayed up to the deepest node with a branch left, then goes on.
import type { Budget } from './budget.ts'
import { type Model, Status } from './model.ts'
import { beginPlainOrder, type PlainOrder, stepPlainOrder, watchPlainOrder } from './plain-order.ts'
import { createReversal, forgetRaces, type Nodes, type Reversal, retryRaces, reverseRaces } from './races.ts'
import { append, createTrace, dependent, hasRoom, type Trace, truncate } from './trace.ts'
import { addChild, createWakeupTree, dropFirst, makeNode, type WakeupTree } from './wakeup-tree.ts'

/** Called at the end of each complete execution. Return true to end the exploration. */
export type OnExecution = (trace: Trace, failure: string) => boolean

/** What an exploration has done. */
export interface Tally {
  executions: number
  /** Executions that were begun and found to be covered by others. Optimal reduction should have none. */
  redundant: number
  /** Executions in which an agent waits for ever. */
  stuck: number
  /** Steps performed, and how many of them only repeated a prefix. */
  steps: number
  replayed: number
  maxDepth: number
  races: number
  locations: number
  /** Why the exploration ended before all was explored, or ''. */
  stopped: string
}

/** A tally of nothing. */
export function createTally(): Tally {
  return { executions: 0, redundant: 0, stuck: 0, steps: 0, replayed: 0, maxDepth: 0, races: 0, locations: 0, stopped: '' }
}

interface Search {
  readonly model: Model
  readonly trace: Trace
  readonly tree: WakeupTree
  readonly nodes: Nodes
  readonly reversal: Reversal
  readonly tally: Tally
  readonly plain: PlainOrder | null
  failure: string
}

/** Explores every trace of `model` once, until `onExecution` or the budget ends it. `maxDepth` bounds one execution. */
export function exploreOptimal(model: Model, budget: Budget, maxDepth: number, onExecution: OnExecution): Tally {
  const trace = createTrace(model, maxDepth)
  const tree = createWakeupTree()
  const nodes: Nodes = {
    asleep: new Int32Array(maxDepth + 2),
    sleeper: new Int32Array((maxDepth + 2) * model.agents),
    branches: new Int32Array(maxDepth + 2),
  }
  const tally = createTally()
  const search: Search = {
    model,
    trace,
    tree,
    nodes,
    reversal: createReversal(trace, nodes, tree),
    tally,
    plain: watchPlainOrder(trace),
    failure: '',
  }
  nodes.branches[0] = makeNode(tree, -1, 0)
  for (;;) {
    replay(search)
    const end = extend(search)
    tally.maxDepth = Math.max(tally.maxDepth, trace.depth)
    if (end === End.covered) tally.redundant++
    else if (end !== End.tooDeep) {
      tally.executions++
      if (end === End.stuck) tally.stuck++
      if (onExecution(trace, search.failure)) break
    }
    if (end === End.tooDeep) tally.stopped = `an execution has more than ${trace.depth} steps`
    if (tally.stopped !== '' || !backtrack(search)) break
    tally.stopped = budget(tally.executions + tally.redundant)
    if (tally.stopped !== '') break
  }
  tally.races = search.reversal.races
  tally.locations = trace.locations
  return tally
}

const End = Object.freeze({ finished: 0, stuck: 1, covered: 2, tooDeep: 3 })

function replay({ model, trace, tally, plain }: Search): void {
  if (plain !== null) beginPlainOrder(plain)
  model.reset()
  const { depth, agentOf } = trace
  for (let d = 0; d < depth; d++) {
    const agent = agentOf[d] as number
    if (plain !== null) stepPlainOrder(plain, agent, d)
    model.step(agent)
  }
  tally.steps += depth
  tally.replayed += depth
}

/** Runs on from the end of the trace until nothing is left to run. */
function extend(search: Search): number {
  const { model, trace, tree, nodes, reversal, tally, plain } = search
  const from = trace.depth
  let running = from > 0 ? (trace.agentOf[from - 1] as number) : 0
  for (;;) {
    const d = trace.depth
    const parent = nodes.branches[d] as number
    let node = tree.firstChild[parent] as number
    let agent = 0
    if (node === 0) {
      agent = choose(model, nodes.asleep[d] as number, running)
      if (agent < 0) break
      node = makeNode(tree, agent, 0)
      addChild(tree, parent, node)
    } else {
      agent = tree.agent[node] as number
      if (model.status(agent) !== Status.ready) throw new Error(`exploration chose agent ${agent} at step ${d}, which cannot run`)
    }
    const footprint = model.footprint(agent)
    if (!hasRoom(trace, footprint)) {
      tally.steps += d - from
      return End.tooDeep
    }
    tree.footprint[node] = footprint
    reverseRaces(reversal, agent, footprint, model.conditional(agent))
    append(trace, agent, footprint)
    if (plain !== null) stepPlainOrder(plain, agent, d)
    model.step(agent)
    nodes.branches[d + 1] = node
    nodes.asleep[d + 1] = stillAsleep(search, d, agent, footprint)
    running = agent
  }
  tally.steps += trace.depth - from
  return settle(search)
}

/** An agent that can run and does not sleep; the one that ran last if possible. */
function choose(model: Model, asleep: number, running: number): number {
  if (((asleep >> running) & 1) === 0 && model.status(running) === Status.ready) return running
  for (let agent = 0; agent < model.agents; agent++) {
    if (((asleep >> agent) & 1) === 0 && model.status(agent) === Status.ready) return agent
  }
  return -1
}

/** The sleep set after `agent`'s operation at node `d`. */
function stillAsleep({ trace, nodes }: Search, d: number, agent: number, footprint: number): number {
  const { agents } = trace
  let still = 0
  for (let mask = nodes.asleep[d] as number; mask !== 0; mask &= mask - 1) {
    const q = 31 - Math.clz32(mask & -mask)
    const sleeper = nodes.sleeper[d * agents + q] as number
    if (q === agent || dependent(trace, q, sleeper, agent, footprint)) continue
    nodes.sleeper[(d + 1) * agents + q] = sleeper
    still |= 1 << q
  }
  return still
}

/** Nothing more can run: what stays blocked races too; then the execution is judged. */
function settle(search: Search): number {
  const { model, reversal } = search
  let blocked = 0
  let ready = 0
  for (let agent = 0; agent < model.agents; agent++) {
    const status = model.status(agent)
    if (status === Status.ready) ready++
    if (status !== Status.blocked && status !== Status.idle) continue
    if (status === Status.blocked) blocked |= 1 << agent
    reverseRaces(reversal, agent, model.footprint(agent), true)
  }
  retryRaces(reversal)
  if (ready > 0) return End.covered
  while (search.plain?.again) replay(search)
  search.failure = model.failure() || (search.plain?.failure ?? '') || model.finish(blocked)
  return blocked === 0 ? End.finished : End.stuck
}

/** Goes back to the deepest node that has a branch left. Returns whether there is one. */
function backtrack({ trace, tree, nodes, reversal }: Search): boolean {
  const { agents } = trace
  for (let d = trace.depth - 1; d >= 0; d--) {
    const parent = nodes.branches[d] as number
    const agent = trace.agentOf[d] as number
    nodes.asleep[d] = (nodes.asleep[d] as number) | (1 << agent)
    nodes.sleeper[d * agents + agent] = trace.footprintOf[d] as number
    dropFirst(tree, parent)
    while (tree.firstChild[parent] !== 0) {
      const next = tree.agent[tree.firstChild[parent] as number] as number
      if ((((nodes.asleep[d] as number) >> next) & 1) === 0) break
      dropFirst(tree, parent)
    }
    if (tree.firstChild[parent] !== 0) {
      truncate(trace, d)
      forgetRaces(reversal, d)
      return true
    }
  }
  return false
}
