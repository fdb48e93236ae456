// Races: for an operation that is about to happen (or stays blocked), the earlier events that it could have preceded.
// Each is reversed: what does not depend on the event, then the operation, goes into the wakeup tree of the event's node.
//
// A reversal that an independent operation seems to cover is tried again at the end of each execution that contains the
// race: what comes later may show that the independent operation cannot come first after all. Without this, traces are
// lost in programs whose control flow depends on what they read (see the test "reversals are tried again").
import { accesses, DISABLED } from './footprint.ts'
import type { ValueAt } from './model.ts'
import { happensBefore, type Trace } from './trace.ts'
import { Initial, initial, insert, type Sequence, type WakeupTree } from './wakeup-tree.ts'

/** Sleep sets of the nodes on the current path, and where their wakeup trees are. */
export interface Nodes {
  /** Bit q of `asleep[d]`: agent q sleeps at node d; `sleeper[d * agents + q]` is the footprint of its operation. */
  readonly asleep: Int32Array
  readonly sleeper: Int32Array
  /** The tree node whose children are the branches of node d. */
  readonly branches: Int32Array
}

interface OpenRaces {
  earlier: Int32Array
  later: Int32Array
  agent: Int32Array
  footprint: Int32Array
}

/** What reversing races needs at hand. */
export interface Reversal {
  readonly trace: Trace
  readonly nodes: Nodes
  readonly tree: WakeupTree
  readonly v: Sequence
  readonly candidates: Int32Array
  count: number
  /** The event before which `valueAt` looks. */
  before: number
  readonly valueAt: ValueAt
  races: number
  /** Races of the current path to be tried again: the earlier event, the later one, and the latter's operation. */
  readonly open: OpenRaces
  openCount: number
}

/** Scratch space for the races of `trace`. */
export function createReversal(trace: Trace, nodes: Nodes, tree: WakeupTree): Reversal {
  const room = trace.maxDepth + 2
  const reversal: Reversal = {
    trace,
    nodes,
    tree,
    v: { agent: new Int32Array(room), footprint: new Int32Array(room), length: 0 },
    candidates: new Int32Array(room),
    count: 0,
    before: 0,
    valueAt: (object) => valueWithout(trace, reversal.before, object),
    races: 0,
    open: roomFor(1024),
    openCount: 0,
  }
  return reversal
}

function roomFor(count: number): OpenRaces {
  const make = (): Int32Array => new Int32Array(count)
  return { earlier: make(), later: make(), agent: make(), footprint: make() }
}

function grow(open: OpenRaces): void {
  const more = roomFor(open.later.length * 2)
  for (const key of ['earlier', 'later', 'agent', 'footprint'] as const) {
    more[key].set(open[key])
    open[key] = more[key]
  }
}

/** The value of `object` had event `e`, and all that happens after it, not happened. */
function valueWithout(trace: Trace, e: number, object: number): number {
  let value = trace.model.value(object)
  for (let i = trace.heads[object] as number; i >= 0; i = trace.accessBefore[i] as number) {
    if (((trace.access[i] as number) & 1) === 0) continue
    if (!happensBefore(trace, e, trace.accessEvent[i] as number)) break
    value = trace.valueBefore[i] as number
  }
  return value
}

/** Reverses the races of `agent`'s announced operation with earlier events. Called before it is performed, if ever. */
export function reverseRaces(reversal: Reversal, agent: number, footprint: number, blocking: boolean): void {
  const { trace, candidates } = reversal
  const { agents, clocks } = trace
  reversal.count = 0
  if (footprint > 0) collect(reversal, agent, footprint, blocking)
  else if (footprint < 0) {
    const list = accesses(trace.model.footprints, footprint)
    for (let i = 0; i < list.length; i++) collect(reversal, agent, list[i] as number, blocking)
  }
  if (trace.model.groups !== null) collectNeighbour(reversal, agent)
  const before = trace.lastOfAgent[agent] as number
  const count = reversal.count
  for (let i = 0; i < count; i++) {
    const e = candidates[i] as number
    const of = trace.agentOf[e] as number
    if (of === agent || (before >= 0 && (clocks[before * agents + of] as number) > e)) continue
    let between = false
    for (let j = 0; j < count && !between; j++) {
      const f = candidates[j] as number
      between = f > e && (clocks[f * agents + of] as number) > e
    }
    if (!between) reverse(reversal, e, agent, footprint)
  }
}

/** Events that touched the same object in a way that matters: the reads since the last write, or the last write. */
function collect(reversal: Reversal, agent: number, single: number, blocking: boolean): void {
  const { trace } = reversal
  const writes = (single & 1) !== 0
  let found = false
  for (let i = trace.heads[single >> 1] as number; i >= 0; i = trace.accessBefore[i] as number) {
    const written = ((trace.access[i] as number) & 1) !== 0
    if (!written && !writes) continue
    if (written && writes && found) return
    const e = trace.accessEvent[i] as number
    if (blocking && !couldPrecede(reversal, agent, e)) continue
    addCandidate(reversal, e)
    if (written) return
    found = true
  }
}

/** The newest event of another agent on the same processor before which the operation could have been performed. */
function collectNeighbour(reversal: Reversal, agent: number): void {
  const { trace } = reversal
  let e = trace.lastOfGroup[trace.groups[agent] as number] as number
  for (; e >= 0 && trace.agentOf[e] !== agent; e = trace.groupBefore[e] as number) {
    if (!couldPrecede(reversal, agent, e)) continue
    addCandidate(reversal, e)
    return
  }
}

/** Whether `agent`'s operation would not be blocked just before event `e`. */
function couldPrecede(reversal: Reversal, agent: number, e: number): boolean {
  reversal.before = e
  return reversal.trace.model.predict(agent, reversal.valueAt) !== DISABLED
}

function addCandidate(reversal: Reversal, e: number): void {
  const { candidates } = reversal
  for (let i = 0; i < reversal.count; i++) if (candidates[i] === e) return
  candidates[reversal.count++] = e
}

/** Finds out what `agent`'s operation would be just before event `e`, and reverses the race of the two. */
function reverse(reversal: Reversal, e: number, agent: number, footprint: number): void {
  const { trace } = reversal
  let now = footprint
  if (trace.model.conditional(agent)) {
    reversal.before = e
    now = trace.model.predict(agent, reversal.valueAt)
    if (now === DISABLED) return
  }
  reversal.races++
  if (!covered(reversal, e, agent, now)) {
    const { open } = reversal
    const i = reversal.openCount++
    if (i === open.later.length) grow(open)
    open.earlier[i] = e
    open.later[i] = trace.depth
    open.agent[i] = agent
    open.footprint[i] = now
  }
}

/**
 * Inserts what does not happen after `e`, then `agent`'s operation, at the node of `e`, unless a sleeper covers it. Returns
 * whether this settles the race for all executions that begin like this one up to the later event.
 */
function covered(reversal: Reversal, e: number, agent: number, footprint: number): boolean {
  const { trace, nodes, v, tree } = reversal
  const { agents, clocks, depth } = trace
  const of = trace.agentOf[e] as number
  let length = 0
  for (let f = e + 1; f < depth; f++) {
    if ((clocks[f * agents + of] as number) > e) continue
    v.agent[length] = trace.agentOf[f] as number
    v.footprint[length] = trace.footprintOf[f] as number
    length++
  }
  v.agent[length] = agent
  v.footprint[length] = footprint
  v.length = length + 1
  let weak = false
  for (let mask = nodes.asleep[e] as number; mask !== 0; mask &= mask - 1) {
    const q = 31 - Math.clz32(mask & -mask)
    const how = initial(trace, q, nodes.sleeper[e * agents + q] as number, v)
    if (how === Initial.yes) return true
    if (how === Initial.weak) weak = true
  }
  return weak ? false : insert(tree, nodes.branches[e] as number, v, trace)
}

/** Forgets the open races of events from `depth` on. */
export function forgetRaces(reversal: Reversal, depth: number): void {
  const { later } = reversal.open
  while (reversal.openCount > 0 && (later[reversal.openCount - 1] as number) >= depth) reversal.openCount--
}

/** Tries the open races again, now that the execution is complete. */
export function retryRaces(reversal: Reversal): void {
  const { earlier, later, agent, footprint } = reversal.open
  let kept = 0
  for (let i = 0; i < reversal.openCount; i++) {
    const e = earlier[i] as number
    const p = agent[i] as number
    const now = footprint[i] as number
    if (covered(reversal, e, p, now)) continue
    earlier[kept] = e
    later[kept] = later[i] as number
    agent[kept] = p
    footprint[kept] = now
    kept++
  }
  reversal.openCount = kept
}
