// Depth-first search of a model's states, each expanded once. A run begins at the deepest node that has a
// branch left (states-back.ts) and goes on from there until it meets a state that needs no more.
//
// Two reductions, both for the search without a bound:
//
// Sleep sets with state matching (Godefroid 1996). Agents asleep at a node have had their operation explored before an
// equivalent one; they wake when a dependent operation is performed. A state met again with sleepers Z, after it was explored
// with sleepers Z', still owes the operations of Z' \ Z, and from then on counts as explored with Z ∩ Z'.
//
// Local steps. An operation that touches no shared object is the only branch where it can be performed. Let w be any
// execution from there. If w has the operation, its agent's first, it can as well come first: it reads nothing that those
// before it write, writes nothing that they look at, and it can be performed now. If w has not, it can be performed before w,
// which leads to the same failures. Loops of local steps end with the bound on steps, since states within a run of local
// steps are not matched. What is shared is learned (states-sharing.ts). Suppose the search ended and an execution u x has a
// step x, the first one, that touches something not known to be touched so. All steps of u are known, so that the search has
// followed u up to order, local steps of others thrown in. One of those may have changed what x touches, but nothing before
// x's agent announced x, and announced operations are recorded with all that they depend on: x's touch is known. Whenever
// something becomes shared the search begins anew.
//
// Plain accesses happen together with the step before them. They may be treated so because they do not race
// (states-segments.ts). To see that they do not, an agent whose segment touches something shared is not moved on by itself,
// however local its next step. Within a processor nothing races: the handler's plain accesses may meet the task's. A local
// step whose segment does so is made a branch after all. That a task cannot run while its handler does is no obstacle to
// moving its local step before the handler; what the arrival depends on is recorded as touched by the handler.
//
// With a bound on preemptions: no sleep sets. The entry of a state, who ran last included, keeps the fewest preemptions with
// which it was reached. The agent that runs is not preempted before a local step: preempting it after that step costs the
// same and leaves as much to be done; it may save the switch back.
import { finishDigest } from './digest.ts'
import { conflict } from './footprint.ts'
import { type Model, readyAgents, Status } from './model.ts'
import { bringBack, saveNode, stepFrom } from './states-back.ts'
import { goesRound, livelockText, weightOf } from './states-path.ts'
import { digestSegments, judgeStep, type Segments, touchesShared } from './states-segments.ts'
import { isUnshared, type Sharing, touchAll, touchAnnounced } from './states-sharing.ts'
import { enterState, FULL, Merge, NEW, type StateTable } from './states-table.ts'
import type { Rules, StateTally } from './states-tally.ts'
import { isOnPath, neverEnds, turnsText } from './states-turns.ts'

export type { Rules, StateTally } from './states-tally.ts'

/** A search. Nodes lie along the path under way, numbered by their depth. */
export interface StateSearch {
  readonly model: Model
  readonly table: StateTable
  readonly sharing: Sharing
  readonly segments: Segments | null
  readonly maxDepth: number
  /** Most preemptions, or -1. */
  readonly bound: number
  readonly rules: Rules
  /** Told of each violation and the path to it. True ends the search. */
  readonly onViolation: (path: Uint8Array, failure: string) => boolean
  /** The node above which nothing is ours, and the one that the path has come to. */
  base: number
  depth: number
  /** The base's part of the whole search, as a fraction. */
  weight: number
  /** At each node the agent taken, those still to be taken, those asleep, all that were to be taken, preemptions spent. */
  readonly agentOf: Uint8Array
  readonly todo: Int32Array
  readonly asleep: Int32Array
  readonly branches: Int32Array
  readonly spent: Int32Array
  /** At each node its state (two words; 0 where it was not matched), and for how many nodes only the same agent can go on. */
  readonly states: Int32Array
  readonly alone: Int32Array
  /** At some nodes what brings the model and the segments back to them; at the others null. */
  readonly saves: ((() => boolean) | null)[]
  /** Whether any are. */
  saving: boolean
  /** At each node 1 if the agent taken must not sleep there. */
  readonly keepAwake: Uint8Array
  /** Who ran last, and whose next steps may be local for all we know, as bits. */
  last: number
  fresh: number
  /** Sets states of one epoch apart from those of another. */
  epoch: number
  readonly digest: Int32Array
  readonly tally: StateTally
  /** Whether the bound left something out. */
  cut: boolean
  /** States met again on a path from which an end was looked for, and what is said if there is none. */
  readonly escaped: Set<number>
  turns: string
  /** A violation has ended the search. */
  ended: boolean
  /** Why the search must stop, or ''. */
  stopped: string
}

/** A search of `model` from its beginning. */
export function createSearch(
  model: Model,
  table: StateTable,
  sharing: Sharing,
  segments: Segments | null,
  maxDepth: number,
  bound: number,
  rules: Rules,
  onViolation: StateSearch['onViolation'],
): StateSearch {
  if (model.digest === undefined) throw new Error('the states of this program cannot be told apart: it has no digest')
  return {
    model,
    table,
    sharing,
    segments,
    maxDepth,
    bound,
    rules,
    onViolation,
    base: 0,
    depth: 0,
    weight: 1,
    agentOf: new Uint8Array(maxDepth + 1),
    todo: new Int32Array(maxDepth + 2),
    asleep: new Int32Array(maxDepth + 2),
    branches: new Int32Array(maxDepth + 2),
    spent: new Int32Array(maxDepth + 2),
    states: new Int32Array(2 * (maxDepth + 2)),
    alone: new Int32Array(maxDepth + 2),
    saves: new Array(maxDepth + 2).fill(null),
    saving: true,
    keepAwake: new Uint8Array(maxDepth + 2),
    last: -1,
    fresh: 0,
    epoch: 0,
    digest: new Int32Array(2),
    tally: { executions: 0, states: 0, transitions: 0, replayed: 0, stuck: 0, maxDepth: 0, restarts: 0, ran: 0, done: 0 },
    cut: false,
    escaped: new Set(),
    turns: '',
    ended: false,
    stopped: '',
  }
}

/** Runs once: to the node at the end of the path, and on until a state needs no more. `anew`: the path is empty and new. */
export function runOnce(search: StateSearch, anew: boolean): void {
  run(search, anew)
  search.tally.done += weightOf(search, search.depth)
}

function run(search: StateSearch, anew: boolean): void {
  const { model, segments, agentOf, depth, tally } = search
  tally.executions++
  if (segments !== null) segments.judging = anew
  const from = bringBack(search)
  for (let d = from; d < depth; d++) {
    stepFrom(search, d, agentOf[d] as number, 0)
  }
  tally.replayed += depth - from
  search.last = depth === 0 ? -1 : (agentOf[depth - 1] as number)
  search.fresh = anew ? -1 : 0
  if (segments !== null) segments.judging = true
  if (anew && !arrive(search)) return
  for (;;) {
    if (search.depth >= search.maxDepth) {
      if ((search.alone[search.depth] as number) > search.maxDepth / 2) violate(search, livelockText(model, search.last, false))
      else search.stopped = `an execution has more than ${search.depth} steps`
      return
    }
    take(search)
    if (!arrive(search)) return
  }
}

/** Takes the next branch of the node that the path has come to. */
function take(search: StateSearch): void {
  const { model, segments, todo, last, bound } = search
  const d = search.depth
  const choices = todo[d] as number
  const stays = last >= 0 && model.status(last) === Status.ready
  const agent = last >= 0 && ((choices >> last) & 1) !== 0 ? last : 31 - Math.clz32(choices & -choices)
  todo[d] = choices & ~(1 << agent)
  const local = (choices & (choices - 1)) === 0 && search.branches[d] === 0
  const others = local && model.groups !== null ? readyAgents(model) & ~choices & ~(search.asleep[d] as number) : 0
  const footprint = model.footprint(agent)
  search.asleep[d + 1] = bound < 0 ? stillAsleep(search, search.asleep[d] as number, agent, footprint) : 0
  search.spent[d + 1] = (search.spent[d] as number) + (stays && agent !== last ? 1 : 0)
  search.agentOf[d] = agent
  if (todo[d] !== 0) saveNode(search)
  if (segments !== null) {
    segments.inner = false
    segments.owners = false
  }
  stepFrom(search, d, agent, footprint)
  search.keepAwake[d] = 0
  if (segments?.owners) {
    search.asleep[d + 1] = 0
    search.keepAwake[d] = 1
  }
  if (local && segments?.inner) {
    // The segment met the handler's or the task's: no local step after all.
    if (bound < 0 || (search.spent[d] as number) < bound) {
      todo[d] = others
      search.branches[d] = others | choices
    } else if (others !== 0) search.cut = true
  }
  search.tally.transitions++
  search.tally.ran |= 1 << agent
  search.depth = d + 1
  search.last = agent
  search.fresh |= 1 << agent
}

/** Looks at the state that the path has come to. Returns whether there is something to be taken there. */
function arrive(search: StateSearch): boolean {
  const { model, sharing, segments, todo, bound, depth: d, tally } = search
  todo[d] = 0
  search.saves[d] = null
  search.branches[d] = 0
  if (d > tally.maxDepth) tally.maxDepth = d
  const failure = model.failure() || (segments?.failure ?? '')
  if (failure !== '') return violate(search, failure)
  if (search.last >= 0) touchAnnounced(sharing, search.last)
  if (sharing.grown) return false
  search.alone[d] = d > 0 && (search.alone[d - 1] as number) > 0 ? countAlone(search) : 0
  search.states[2 * d] = 0
  search.states[2 * d + 1] = 0
  if (search.rules.local) {
    const agent = localAgent(search)
    if (agent >= 0) {
      const sleeps = (((search.asleep[d] as number) >> agent) & 1) !== 0
      todo[d] = sleeps && readyAgents(model) !== 1 << agent ? 0 : 1 << agent
      return todo[d] !== 0
    }
  }
  search.fresh = 0
  for (let agent = 0; agent < model.agents; agent++) touchAnnounced(sharing, agent)
  if (sharing.grown) return false
  const ready = readyAgents(model)
  // Who alone can go on may do so for ever: that is seen only by whoever goes on, slept for or not.
  const single = (ready & (ready - 1)) === 0
  if (single) search.asleep[d] = 0
  const old = enter(search, ready)
  if (old === FULL) {
    search.stopped = `the budget of ${search.table.limit} states is spent`
    return false
  }
  if (old === NEW) tally.states++
  if (single && ready !== 0) {
    if (search.alone[d] === 0) search.alone[d] = 1
    else if (old !== NEW && goesRound(search.states, d, search.alone[d] as number, search.digest))
      return violate(search, livelockText(model, search.last, true))
  }
  search.states[2 * d] = search.digest[0] as number
  search.states[2 * d + 1] = search.digest[1] as number
  if (ready === 0) return old === NEW && finish(search)
  let choices = ready
  if (bound < 0) {
    if (old === NEW && segments !== null && stepRaces(search, segments, ready)) return false
    const asleep = search.asleep[d] as number
    choices &= old === NEW ? ~asleep : old & ~asleep
    if (old !== NEW) search.asleep[d] = asleep & old
  } else {
    if (old !== NEW && old <= (search.spent[d] as number)) return false
    if (search.spent[d] === bound && search.last >= 0 && ((ready >> search.last) & 1) !== 0) {
      choices = 1 << search.last
      if (choices !== ready) search.cut = true
    }
  }
  todo[d] = choices
  search.branches[d] = choices
  if (choices === 0 && old !== NEW && bound < 0 && goesInTurns(search)) return violate(search, search.turns)
  return choices !== 0
}

/** Most states from which a search tries whether there is a way to an end. */
const TRIES = 2000

/** Whether the path has come back to a state of its own from which there is no way to an end. If it looks, the run is over. */
function goesInTurns(search: StateSearch): boolean {
  const { digest, escaped, model } = search
  if (!isOnPath(search.states, search.depth, digest)) return false
  const key = (digest[0] as number) * 2 ** 21 + ((digest[1] as number) & 0x1fffff)
  if (escaped.has(key) || escaped.size >= TRIES) return false
  escaped.add(key)
  search.turns = turnsText(model)
  return neverEnds(model)
}

/** For how many nodes, this one included, only the agent that ran last can go on. */
function countAlone(search: StateSearch): number {
  const ready = readyAgents(search.model)
  return ready === 1 << search.last ? (search.alone[search.depth - 1] as number) + 1 : 0
}

/** Whether a step that can be taken now races with a segment; if so that is reported. */
function stepRaces(search: StateSearch, segments: Segments, ready: number): boolean {
  for (let bits = ready; bits !== 0; bits &= bits - 1) {
    const agent = 31 - Math.clz32(bits & -bits)
    const failure = judgeStep(segments, agent, search.model.footprint(agent))
    if (failure === '') continue
    search.agentOf[search.depth++] = agent
    violate(search, failure)
    return true
  }
  return false
}

/** A ready agent whose next step is local and need not wait, or -1. With a bound only who runs anyway is moved on. */
function localAgent(search: StateSearch): number {
  const { last } = search
  if (last >= 0 && ((search.fresh >> last) & 1) !== 0 && isLocal(search, last)) return last
  if (search.bound >= 0) return -1
  search.fresh &= ~(1 << last)
  for (let bits = search.fresh & ((1 << search.model.agents) - 1); bits !== 0; bits &= bits - 1) {
    const agent = 31 - Math.clz32(bits & -bits)
    if (isLocal(search, agent)) return agent
    search.fresh &= ~(1 << agent)
  }
  return -1
}

function isLocal({ model, segments, sharing }: StateSearch, agent: number): boolean {
  if (model.status(agent) !== Status.ready) return false
  if (segments !== null && touchesShared(segments, agent)) return false
  const footprint = model.footprint(agent)
  touchAll(sharing, agent, footprint)
  return isUnshared(sharing, footprint)
}

/** Those of `asleep` that sleep on when `agent` performs an operation of `footprint`. */
function stillAsleep({ model }: StateSearch, asleep: number, agent: number, footprint: number): number {
  const { groups, footprints } = model
  let still = 0
  for (let bits = asleep & ~(1 << agent); bits !== 0; bits &= bits - 1) {
    const sleeper = 31 - Math.clz32(bits & -bits)
    if (groups !== null && groups[sleeper] === groups[agent]) continue
    if (!conflict(footprints, model.footprint(sleeper), footprint)) still |= 1 << sleeper
  }
  return still
}

/** Enters the present state into the table. Returns what `enterState` does. */
function enter(search: StateSearch, ready: number): number {
  const { model, segments, digest, bound, last, depth, epoch } = search
  digest[0] = 0
  digest[1] = 0
  model.digest?.(digest)
  if (segments !== null) digestSegments(segments, digest)
  digest[0] = (digest[0] as number) ^ Math.imul(epoch, 0x632be5ab)
  // Who ran last matters only if it could run on.
  if (bound >= 0 && last >= 0 && ((ready >> last) & 1) !== 0) digest[1] = (digest[1] as number) ^ Math.imul(last + 1, 0x1b56c4e9)
  finishDigest(digest)
  const payload = bound < 0 ? search.asleep[depth] : search.spent[depth]
  const merge = bound < 0 ? Merge.intersection : Merge.least
  return enterState(search.table, digest[0] as number, digest[1] as number, payload as number, merge)
}

/** Judges a state in which nobody can go on. */
function finish(search: StateSearch): false {
  const { model } = search
  let blocked = 0
  for (let agent = 0; agent < model.agents; agent++) if (model.status(agent) === Status.blocked) blocked |= 1 << agent
  if (blocked !== 0) search.tally.stuck++
  const failure = model.finish(blocked)
  return failure === '' ? false : violate(search, failure)
}

function violate(search: StateSearch, failure: string): false {
  if (search.onViolation(search.agentOf.subarray(0, search.depth), failure)) search.ended = true
  return false
}

/** Goes back to the deepest node that has a branch left. Returns whether there is one. */
export function goBack(search: StateSearch): boolean {
  const { todo, asleep, agentOf, bound, rules } = search
  for (let d = search.depth - 1; d >= search.base; d--) {
    if (bound < 0 && rules.sleep && search.keepAwake[d] === 0) asleep[d] = (asleep[d] as number) | (1 << (agentOf[d] as number))
    if (todo[d] !== 0) {
      search.depth = d
      return true
    }
  }
  return false
}

/** Goes back to the very beginning of another epoch: something has become shared. */
export function beginAnew(search: StateSearch, epoch: number): void {
  enterEpoch(search, epoch)
  search.saves.fill(null)
  search.base = 0
  search.depth = 0
  search.weight = 1
  search.asleep[0] = 0
  search.spent[0] = 0
}

/** What was found in the epoch before counts no longer. */
export function enterEpoch(search: StateSearch, epoch: number): void {
  search.epoch = epoch
  search.cut = false
  search.tally.states = 0
  search.tally.done = 0
}
