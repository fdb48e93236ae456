// Plain accesses where states are merged. An agent's segment is what it accesses plainly between one of its steps and the
// next. Two segments of different processors that are under way at the same time and conflict are a data race, and so are a
// segment and a step of another processor that conflict: if such a pair is unordered in any interleaving, then in some
// interleaving the one is under way when the other comes. So it is enough to compare with what is under way now. Sleep sets
// leave out steps but no states: with them, steps that could be taken are compared, whether or not they are.
//
// That an object is allocated or freed in a segment races with nothing, but whether an access comes before or after it matters
// to who watches. Such a step is a branch, never put to sleep, and wakes all sleepers; so is one with plain accesses to what
// others free.

import { refill } from '../undo.ts'
import { mixInto } from './digest.ts'
import { accesses } from './footprint.ts'
import { changeOwner, changesOwner, type Sharing, touch } from './states-sharing.ts'

/** The segments that are under way. */
export interface Segments {
  readonly sharing: Sharing
  /** For each object the agents whose segments touch it, and write it, as bits. */
  readonly touching: Int32Array
  readonly writing: Int32Array
  /** For each agent the accesses of its segment to shared objects, as in footprints. */
  readonly lists: number[][]
  /** For each agent those of the same processor, itself included, and the others among them, as bits. */
  readonly mine: Int32Array
  /** Whether all objects count, shared or not. */
  readonly all: boolean
  /** Whether what comes is judged; else it only repeats what was. */
  judging: boolean
  /** Whether a segment touched what another agent of the same processor touches too, or what changes its owner. */
  inner: boolean
  /** Whether something shared changed its owner since this was last set to false. */
  owners: boolean
  failure: string
}

/** Watches the plain accesses of the model. Null if it has none. `all`: objects count whether or not they are shared. */
export function watchSegments(sharing: Sharing, all: boolean): Segments | null {
  const { model } = sharing
  if (model.watchPlain === undefined) return null
  const { agents, groups } = model
  const mine = new Int32Array(agents)
  for (let agent = 0; agent < agents; agent++) {
    for (let other = 0; other < agents; other++) {
      if (other === agent || (groups !== null && groups[other] === groups[agent])) mine[agent] = (mine[agent] as number) | (1 << other)
    }
  }
  const segments: Segments = {
    sharing,
    touching: new Int32Array(model.objects),
    writing: new Int32Array(model.objects),
    lists: Array.from({ length: agents }, () => []),
    mine,
    all,
    judging: false,
    inner: false,
    owners: false,
    failure: '',
  }
  model.watchPlain((agent, object, count, writes) => {
    for (let p = object; p < object + count; p++) plainAccess(segments, agent, p, writes)
  })
  model.watchOwners?.((agent, object, count) => {
    for (let p = object; p < object + count; p++) {
      changeOwner(sharing, agent, p)
      if (sharing.shared[p] === 0) continue
      segments.owners = true
      segments.inner = true
    }
  })
  return segments
}

function plainAccess(segments: Segments, agent: number, object: number, writes: boolean): void {
  const { sharing, touching, writing } = segments
  touch(sharing, agent, object, writes)
  if (!segments.all && sharing.shared[object] === 0) return
  if (changesOwner(sharing, object)) segments.inner = true
  const bit = 1 << agent
  const seen = touching[object] as number
  const others = ~(segments.mine[agent] as number)
  const within = (segments.mine[agent] as number) & ~bit
  if (within !== 0 && ((sharing.touched[object] as number) & within) !== 0) {
    if (writes || ((sharing.written[object] as number) & (within | bit)) !== 0) segments.inner = true
  }
  if (segments.judging && ((writes ? seen : (writing[object] as number)) & others) !== 0) {
    race(segments, agent, object, writes ? 'a plain store' : 'a plain load', (writes ? seen : (writing[object] as number)) & others)
  }
  if ((seen & bit) !== 0 && (!writes || ((writing[object] as number) & bit) !== 0)) return
  touching[object] = seen | bit
  if (writes) writing[object] = (writing[object] as number) | bit
  ;(segments.lists[agent] as number[]).push((object << 1) | (writes ? 1 : 0))
}

/** An execution begins: nothing is under way. Before the model is reset. */
export function beginSegments(segments: Segments): void {
  for (let agent = 0; agent < segments.lists.length; agent++) endSegment(segments, agent)
  segments.failure = ''
}

/** Remembers the segments under way. Returns what brings them back. */
export function saveSegments(segments: Segments): () => void {
  const { lists, touching, writing, failure } = segments
  const kept = lists.map((list) => list.slice())
  return () => {
    for (let agent = 0; agent < lists.length; agent++) {
      endSegment(segments, agent)
      const list = kept[agent] as number[]
      for (let i = 0; i < list.length; i++) {
        const object = (list[i] as number) >> 1
        touching[object] = (touching[object] as number) | (1 << agent)
        if (((list[i] as number) & 1) !== 0) writing[object] = (writing[object] as number) | (1 << agent)
      }
      refill(lists[agent] as number[], list)
    }
    segments.failure = failure
  }
}

/** `agent` takes a step of `footprint`: it is compared if what comes is judged, and ends the agent's segment. */
export function stepSegments(segments: Segments, agent: number, footprint: number): void {
  if (segments.judging) judgeStep(segments, agent, footprint)
  endSegment(segments, agent)
}

/** Compares the operation of `footprint` that `agent` can take now with what is under way. Returns what is wrong, or ''. */
export function judgeStep(segments: Segments, agent: number, footprint: number): string {
  if (footprint > 0) judgeSingle(segments, agent, footprint)
  else if (footprint < 0) {
    const list = accesses(segments.sharing.model.footprints, footprint)
    for (let i = 0; i < list.length; i++) judgeSingle(segments, agent, list[i] as number)
  }
  return segments.failure
}

/** Ends `agent`'s segment. */
export function endSegment({ lists, touching, writing }: Segments, agent: number): void {
  const list = lists[agent] as number[]
  for (let one = list.pop(); one !== undefined; one = list.pop()) {
    touching[one >> 1] = (touching[one >> 1] as number) & ~(1 << agent)
    writing[one >> 1] = (writing[one >> 1] as number) & ~(1 << agent)
  }
}

function judgeSingle(segments: Segments, agent: number, single: number): void {
  const object = single >> 1
  const against = ((single & 1) !== 0 ? segments.touching[object] : segments.writing[object]) as number
  const others = against & ~(segments.mine[agent] as number)
  if (others !== 0) race(segments, agent, object, (single & 1) !== 0 ? 'a marked write' : 'a marked read', others)
}

function race(segments: Segments, agent: number, object: number, what: string, others: number): void {
  const other = 31 - Math.clz32(others & -others)
  const place = segments.sharing.model.place?.() ?? ''
  const stores = (((segments.writing[object] as number) >> other) & 1) !== 0
  segments.failure ||=
    `${what} of word ${object} by agent ${agent}${place === '' ? '' : ` (${place})`} ` +
    `is not ordered with a plain ${stores ? 'store' : 'load'} of it by agent ${other}`
}

/** Whether `agent`'s segment touches anything shared. */
export function touchesShared({ lists }: Segments, agent: number): boolean {
  return (lists[agent] as number[]).length !== 0
}

/** Adds the segments to a digest. */
export function digestSegments({ lists }: Segments, into: Int32Array): void {
  for (let agent = 0; agent < lists.length; agent++) {
    const list = lists[agent] as number[]
    mixInto(into, list.length)
    for (let i = 0; i < list.length; i++) mixInto(into, list[i] as number)
  }
}
