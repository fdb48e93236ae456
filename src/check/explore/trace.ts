// The execution under way as partial order: events with vector clocks, and for each object the chain of its accesses.
// Typed arrays throughout; going back to an earlier event pops what came after, so that a replayed prefix costs nothing.
import { accesses, conflict } from './footprint.ts'
import type { Model } from './model.ts'

/** An execution. Events and accesses are numbered from 0; event e happens before f if f's clock for e's agent exceeds e. */
export interface Trace {
  readonly model: Model
  readonly agents: number
  /** Processor of each agent. */
  readonly groups: Int32Array
  readonly maxDepth: number
  depth: number
  readonly agentOf: Int32Array
  readonly footprintOf: Int32Array
  readonly clocks: Int32Array
  /** The event before on the same processor, and the same agent's event before; -1 for none. */
  readonly groupBefore: Int32Array
  readonly agentBefore: Int32Array
  readonly lastOfGroup: Int32Array
  readonly lastOfAgent: Int32Array
  /** First access of each event, and of the event to come. */
  readonly firstAccess: Int32Array
  /** Of each access: its footprint, its event, the object's value before, the object's access before (-1: none). */
  readonly access: Int32Array
  readonly accessEvent: Int32Array
  readonly valueBefore: Int32Array
  readonly accessBefore: Int32Array
  /** The latest access of each object; -1 for none. */
  readonly heads: Int32Array
  /** Objects that any execution so far has touched. */
  readonly touched: Uint8Array
  locations: number
}

/** Accesses for which there is room, per event of `maxDepth` on average. */
const ROOM = 4

/** An empty execution of `model` with room for `maxDepth` events. */
export function createTrace(model: Model, maxDepth: number): Trace {
  const { agents } = model
  const groups = model.groups ?? Int32Array.from({ length: agents }, (_, agent) => agent)
  return {
    model,
    agents,
    groups,
    maxDepth,
    depth: 0,
    agentOf: new Int32Array(maxDepth + 1),
    footprintOf: new Int32Array(maxDepth + 1),
    clocks: new Int32Array((maxDepth + 1) * agents),
    groupBefore: new Int32Array(maxDepth + 1),
    agentBefore: new Int32Array(maxDepth + 1),
    lastOfGroup: new Int32Array(agents).fill(-1),
    lastOfAgent: new Int32Array(agents).fill(-1),
    firstAccess: new Int32Array(maxDepth + 2),
    access: new Int32Array((maxDepth + 1) * ROOM),
    accessEvent: new Int32Array((maxDepth + 1) * ROOM),
    valueBefore: new Int32Array((maxDepth + 1) * ROOM),
    accessBefore: new Int32Array((maxDepth + 1) * ROOM),
    heads: new Int32Array(model.objects).fill(-1),
    touched: new Uint8Array(model.objects),
    locations: 0,
  }
}

/** Whether operations of two agents do not commute. */
export function dependent(trace: Trace, agentA: number, a: number, agentB: number, b: number): boolean {
  return trace.groups[agentA] === trace.groups[agentB] || conflict(trace.model.footprints, a, b)
}

/** Whether event `e` happens before event `f`, or is it. */
export function happensBefore(trace: Trace, e: number, f: number): boolean {
  return (trace.clocks[f * trace.agents + (trace.agentOf[e] as number)] as number) > e
}

/** Adds the operation that `agent` is about to perform. Called before it is performed: values before are read here. */
export function append(trace: Trace, agent: number, footprint: number): void {
  const { agents, clocks, groups } = trace
  const event = trace.depth
  const group = groups[agent] as number
  const base = event * agents
  const before = trace.lastOfGroup[group] as number
  if (before < 0) clocks.fill(0, base, base + agents)
  else clocks.copyWithin(base, before * agents, before * agents + agents)
  trace.agentOf[event] = agent
  trace.footprintOf[event] = footprint
  trace.groupBefore[event] = before
  trace.agentBefore[event] = trace.lastOfAgent[agent] as number
  trace.lastOfGroup[group] = event
  trace.lastOfAgent[agent] = event
  let next = trace.firstAccess[event] as number
  if (footprint > 0) addAccess(trace, event, next++, footprint)
  else if (footprint < 0) {
    const list = accesses(trace.model.footprints, footprint)
    for (let i = 0; i < list.length; i++) addAccess(trace, event, next++, list[i] as number)
  }
  clocks[base + agent] = event + 1
  trace.depth = event + 1
  trace.firstAccess[event + 1] = next
}

function addAccess(trace: Trace, event: number, at: number, single: number): void {
  const object = single >> 1
  const head = trace.heads[object] as number
  trace.access[at] = single
  trace.accessEvent[at] = event
  trace.valueBefore[at] = trace.model.value(object)
  trace.accessBefore[at] = head
  trace.heads[object] = at
  if (trace.touched[object] === 0) {
    trace.touched[object] = 1
    trace.locations++
  }
  // A read follows the last write; a write follows the reads since, or else the last write.
  for (let i = head; i >= 0; i = trace.accessBefore[i] as number) {
    const written = ((trace.access[i] as number) & 1) !== 0
    if (written || (single & 1) !== 0) join(trace, event, trace.accessEvent[i] as number)
    if (written) break
  }
}

function join(trace: Trace, event: number, other: number): void {
  const { agents, clocks } = trace
  const to = event * agents
  const from = other * agents
  for (let i = 0; i < agents; i++) {
    const time = clocks[from + i] as number
    if (time > (clocks[to + i] as number)) clocks[to + i] = time
  }
}

/** Takes back all events from `depth` on. */
export function truncate(trace: Trace, depth: number): void {
  for (let event = trace.depth - 1; event >= depth; event--) {
    const agent = trace.agentOf[event] as number
    trace.lastOfAgent[agent] = trace.agentBefore[event] as number
    trace.lastOfGroup[trace.groups[agent] as number] = trace.groupBefore[event] as number
    for (let i = (trace.firstAccess[event + 1] as number) - 1; i >= (trace.firstAccess[event] as number); i--) {
      trace.heads[(trace.access[i] as number) >> 1] = trace.accessBefore[i] as number
    }
  }
  trace.depth = depth
}

/** Whether one more event of `footprint` fits. */
export function hasRoom(trace: Trace, footprint: number): boolean {
  const more = footprint < 0 ? accesses(trace.model.footprints, footprint).length : 1
  return trace.depth < trace.maxDepth && (trace.firstAccess[trace.depth] as number) + more < trace.access.length
}
