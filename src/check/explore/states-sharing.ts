// Which objects agents share, as learned by an exploration so far: those that two or more have touched, one of them writing.
// Agents of one processor count as different. What is learned is never forgotten.
import { accesses, DISABLED } from './footprint.ts'
import { type Model, Status } from './model.ts'

/** What is known of who touches what. */
export interface Sharing {
  readonly model: Model
  /** For each object the agents that have touched it, and those that have written it, as bits; written by bit 31: see `changeOwner`. */
  readonly touched: Int32Array
  readonly written: Int32Array
  /** 1 for objects that are shared. */
  readonly shared: Int32Array
  /** How many are. */
  readonly count: Int32Array
  /** Whether something became shared since this was last set to false. */
  grown: boolean
  /** Records what an operation of `agent` looks at, and answers with the present value. */
  readonly look: (object: number) => number
  agent: number
}

/** Memory for what Workers learn together. */
export function shareSharing(objects: number): SharedArrayBuffer {
  return new SharedArrayBuffer((objects * 3 + 1) * 4)
}

/** Nothing is known yet, or what is in `buffer`. */
export function createSharing(
  model: Model,
  buffer: SharedArrayBuffer | ArrayBuffer = new ArrayBuffer((model.objects * 3 + 1) * 4),
): Sharing {
  const { objects } = model
  const bytes = objects * 4
  const sharing: Sharing = {
    model,
    touched: new Int32Array(buffer, 0, objects),
    written: new Int32Array(buffer, bytes, objects),
    shared: new Int32Array(buffer, bytes * 2, objects),
    count: new Int32Array(buffer, bytes * 3, 1),
    grown: false,
    look: (object) => {
      touch(sharing, sharing.agent, object, false)
      return model.value(object)
    },
    agent: 0,
  }
  return sharing
}

/** `agent` touches `object`. */
export function touch(sharing: Sharing, agent: number, object: number, writes: boolean): void {
  const { touched, written } = sharing
  const bit = 1 << agent
  if (((touched[object] as number) & bit) !== 0 && (!writes || ((written[object] as number) & bit) !== 0)) return
  Atomics.or(touched, object, bit)
  if (writes) Atomics.or(written, object, bit)
  const by = Atomics.load(touched, object)
  if ((by & (by - 1)) === 0 || Atomics.load(written, object) === 0 || Atomics.exchange(sharing.shared, object, 1) !== 0) return
  Atomics.add(sharing.count, 0, 1)
  sharing.grown = true
}

const OWNED = 1 << 31

/** `agent` allocates or frees `object`: a write for whoever touches it, though not of a value. */
export function changeOwner(sharing: Sharing, agent: number, object: number): void {
  touch(sharing, agent, object, true)
  if (((sharing.written[object] as number) & OWNED) === 0) Atomics.or(sharing.written, object, OWNED)
}

/** Whether agents share `object` and it was seen to change its owner. */
export function changesOwner({ shared, written }: Sharing, object: number): boolean {
  return shared[object] !== 0 && ((written[object] as number) & OWNED) !== 0
}

/** `agent` touches what is in `footprint`. */
export function touchAll(sharing: Sharing, agent: number, footprint: number): void {
  if (footprint > 0) touch(sharing, agent, footprint >> 1, (footprint & 1) !== 0)
  else if (footprint < 0) {
    const list = accesses(sharing.model.footprints, footprint)
    for (let i = 0; i < list.length; i++) touch(sharing, agent, (list[i] as number) >> 1, ((list[i] as number) & 1) !== 0)
  }
}

/** Records what `agent`'s announced operation touches, and what being able to perform it depends on. */
export function touchAnnounced(sharing: Sharing, agent: number): void {
  const { model } = sharing
  sharing.agent = agent
  const conditional = model.conditional(agent)
  const footprint = conditional ? model.predict(agent, sharing.look) : model.footprint(agent)
  if (footprint !== DISABLED) touchAll(sharing, agent, footprint)
  else if (model.status(agent) !== Status.done) touchAll(sharing, agent, model.footprint(agent))
}

/** Whether nothing in `footprint` is shared. */
export function isUnshared(sharing: Sharing, footprint: number): boolean {
  const { shared } = sharing
  if (footprint >= 0) return footprint === 0 || shared[footprint >> 1] === 0
  const list = accesses(sharing.model.footprints, footprint)
  for (let i = 0; i < list.length; i++) if (shared[(list[i] as number) >> 1] !== 0) return false
  return true
}
