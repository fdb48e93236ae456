// Plain accesses are no steps: they happen together with the step before them. That loses no behaviour as long as in every
// execution explored each pair of accesses to a word, one plain and one a write, is ordered by the trace's happens-before.
// This checks just that; a pair that is not ordered is a violation, since "proved" would not hold without it. (It is not the
// detector of data races: happens-before of traces also orders a read before a later write, which synchronises nothing.)
//
// Most words are touched by one processor only, in all executions: for those, remembering whose they are is enough. When
// another touches one, the execution is to be run again (`again`), this time with the word remembered in full.
import { accesses } from './footprint.ts'
import type { Trace } from './trace.ts'

const PLAIN_READ = 0
const PLAIN_WRITE = 1
const STEP_READ = 2
const STEP_WRITE = 3
const KINDS = 4
const SHARED = 255
const NAMES = ['a plain load', 'a plain store', 'a marked read', 'a marked write'] as const
/** Kinds of access that must be ordered with each kind, as bits. */
const AGAINST = [(1 << PLAIN_WRITE) | (1 << STEP_WRITE), 0b1111, 1 << PLAIN_WRITE, (1 << PLAIN_READ) | (1 << PLAIN_WRITE)] as const

/** Bulk operations are remembered by blocks of so many words (a power of two), not word by word. */
const BLOCK_SHIFT = 6

/**
 * For each entry, agent and kind of access: 2 + the latest event that did it in this execution (1: before its first). Entries
 * are the objects, then for each block of objects what touched single ones in it, then what touched it as a whole.
 */
export interface PlainOrder {
  readonly trace: Trace
  readonly blocks: number
  readonly latest: Int32Array
  /** The execution in which an object's entries were made; older ones count for nothing. */
  readonly stamps: Int32Array
  execution: number
  /** For each entry: 0 untouched, 1 + the processor that alone touches it, or `SHARED`. */
  readonly owners: Uint8Array
  again: boolean
  event: number
  agent: number
  failure: string
}

/** Watches the plain accesses of the trace's model. Null if it has none. */
export function watchPlainOrder(trace: Trace): PlainOrder | null {
  const { model, agents } = trace
  if (model.watchPlain === undefined) return null
  const blocks = (model.objects >> BLOCK_SHIFT) + 1
  const order: PlainOrder = {
    trace,
    blocks,
    latest: new Int32Array((model.objects + 2 * blocks) * agents * KINDS),
    stamps: new Int32Array(model.objects + 2 * blocks),
    execution: 0,
    owners: new Uint8Array(model.objects + 2 * blocks),
    again: false,
    event: -1,
    agent: 0,
    failure: '',
  }
  model.watchPlain((agent, object, count, writes) => {
    if (order.event < 0) order.agent = agent // what agents do before their first steps
    const kind = writes ? PLAIN_WRITE : PLAIN_READ
    const end = object + count
    const whole = 1 << BLOCK_SHIFT
    for (let p = object; p < end; ) {
      if ((p & (whole - 1)) === 0 && p + whole <= end) {
        blockAccess(order, p, kind)
        p += whole
      } else access(order, p++, kind)
    }
  })
  return order
}

/** An execution begins. */
export function beginPlainOrder(order: PlainOrder): void {
  order.execution++
  order.again = false
  order.event = -1
  order.failure = ''
}

/** `agent` takes the step that is event `event`; its plain accesses follow. Called before the step. */
export function stepPlainOrder(order: PlainOrder, agent: number, event: number): void {
  order.agent = agent
  order.event = event
  const footprint = order.trace.footprintOf[event] as number
  if (footprint > 0) stepAccess(order, footprint)
  else if (footprint < 0) for (const single of accesses(order.trace.model.footprints, footprint)) stepAccess(order, single)
}

function stepAccess(order: PlainOrder, single: number): void {
  access(order, single >> 1, (single & 1) !== 0 ? STEP_WRITE : STEP_READ)
}

function access(order: PlainOrder, object: number, kind: number): void {
  const singles = order.trace.model.objects + (object >> BLOCK_SHIFT)
  const whole = singles + order.blocks
  const mine = 1 + (order.trace.groups[order.agent] as number)
  const shared = claim(order, object, mine)
  const inShared = claim(order, singles, mine)
  if (shared) judge(order, object, kind, object)
  const bulk = order.owners[whole] as number
  if (bulk !== 0 && (inShared || bulk !== mine)) {
    judge(order, whole, kind, object)
    note(order, singles, kind)
  }
  if (shared) note(order, object, kind)
}

function blockAccess(order: PlainOrder, object: number, kind: number): void {
  const singles = order.trace.model.objects + (object >> BLOCK_SHIFT)
  const whole = singles + order.blocks
  const mine = 1 + (order.trace.groups[order.agent] as number)
  const shared = claim(order, whole, mine)
  const by = order.owners[singles] as number
  if (!shared && (by === 0 || by === mine)) return
  judge(order, singles, kind, object)
  judge(order, whole, kind, object)
  note(order, whole, kind)
}

/** Notes that processor `mine` - 1 touches an entry. Returns whether others do too. */
function claim(order: PlainOrder, entry: number, mine: number): boolean {
  const { owners } = order
  const owner = owners[entry] as number
  if (owner === mine) return false
  if (owner === SHARED) return true
  owners[entry] = owner === 0 ? mine : SHARED
  if (owner !== 0 || entry >= order.trace.model.objects) order.again = true
  return owner !== 0
}

/** Compares an access with those of other agents that the entry remembers. */
function judge(order: PlainOrder, entry: number, kind: number, object: number): void {
  const { trace, latest, stamps, agent, event } = order
  if (stamps[entry] !== order.execution) return
  const { agents, clocks, groups } = trace
  const base = entry * agents * KINDS
  const against = AGAINST[kind] as number
  for (let other = 0; other < agents; other++) {
    if (other === agent || groups[other] === groups[agent]) continue
    // What the other did in or before its event number `known` - 1 happens before this event.
    const known = event < 0 ? 0 : (clocks[event * agents + other] as number)
    for (let k = 0; k < KINDS; k++) {
      const when = latest[base + other * KINDS + k] as number
      if (when === 0 || ((against >> k) & 1) === 0) continue
      // A plain access comes after the step that it is counted with: only a later step of the other's orders it.
      if ((k < STEP_READ ? when - 1 : when - 2) < known && known > 0) continue
      order.failure ||= unordered(order, object, kind, other, k, when - 2)
    }
  }
}

function note(order: PlainOrder, entry: number, kind: number): void {
  const { latest, stamps } = order
  const { agents } = order.trace
  const base = entry * agents * KINDS
  if (stamps[entry] !== order.execution) {
    stamps[entry] = order.execution
    for (let i = 0; i < agents * KINDS; i++) latest[base + i] = 0
  }
  latest[base + order.agent * KINDS + kind] = order.event + 2
}

function unordered(
  { trace, agent, event }: PlainOrder,
  object: number,
  kind: number,
  other: number,
  otherKind: number,
  then: number,
): string {
  const { model } = trace
  const place = model.place?.() ?? ''
  const step = (number: number): string => (number < 0 ? 'before its first step' : `step ${number}`)
  return (
    `${NAMES[kind]} of word ${object} by agent ${agent} (${step(event)}${place === '' ? '' : `, ${place}`}) ` +
    `is not ordered with ${NAMES[otherKind]} of it by agent ${other} (${step(then)})`
  )
}
