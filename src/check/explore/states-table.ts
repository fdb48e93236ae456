// The visited states: open addressing over words, an entry being a digest and what the state was explored with. Several
// Workers may share one: an entry is claimed by compare-and-exchange, its digest written, then published with its payload.

/** The state was not there before. */
export const NEW = -1
/** There is no room for another state. */
export const FULL = -2

const ENTRY = 3
/** Payload word: 0 empty, `CLAIMED` while the digest is being written, else the payload with the top bit set. */
const CLAIMED = 1
const PUBLISHED = 1 << 31
const PAYLOAD = 0x7fffffff

/** A table of states. */
export interface StateTable {
  words: Int32Array
  /** Entries less one; their number is a power of two. */
  last: number
  /** How many states may be added, and how many entries are taken. */
  readonly limit: number
  readonly taken: Int32Array
  /** Whether it may be replaced by a larger one: it is nobody else's. */
  readonly grows: boolean
}

/** What a Worker needs to use the same table. */
export interface SharedTable {
  readonly words: SharedArrayBuffer
  readonly taken: SharedArrayBuffer
  readonly limit: number
}

/** A table for up to `limit` states that grows as it fills. */
export function createTable(limit: number): StateTable {
  const entries = 1 << 10
  return { words: new Int32Array(entries * ENTRY), last: entries - 1, limit, taken: new Int32Array(1), grows: true }
}

/** Memory for a table of `limit` states that Workers share. It is all reserved at once; the system commits it as it fills. */
export function shareTable(limit: number): SharedTable {
  let entries = 1 << 10
  while (entries * 0.75 < limit) entries *= 2
  return { words: new SharedArrayBuffer(entries * ENTRY * 4), taken: new SharedArrayBuffer(4), limit }
}

/** The table in shared memory. */
export function openTable(shared: SharedTable): StateTable {
  const words = new Int32Array(shared.words)
  return { words, last: words.length / ENTRY - 1, limit: shared.limit, taken: new Int32Array(shared.taken), grows: false }
}

/** How a payload and the one that is there become one. */
export const Merge = Object.freeze({ intersection: 0, least: 1 })

/**
 * Enters the state with digest `low`, `high`. Returns `NEW`, `FULL`, or the payload that was there, which is replaced by what
 * `merge` makes of it and `payload` (0 … 2^31 - 1).
 */
export function enterState(table: StateTable, low: number, high: number, payload: number, merge: number): number {
  for (let at = low & table.last; ; at = (at + 1) & table.last) {
    const { words } = table
    const p = at * ENTRY
    const full = (table.taken[0] as number) >= table.limit
    // Claimed without a look first: a page that is read before it is written is mapped twice, the second time with an IPI to all Workers.
    let found = full ? Atomics.load(words, p) : Atomics.compareExchange(words, p, 0, CLAIMED)
    if (found === 0) {
      if (full) return FULL
      words[p + 1] = low
      words[p + 2] = high
      Atomics.store(words, p, payload | PUBLISHED)
      const taken = Atomics.add(table.taken, 0, 1) + 1
      if (table.grows && taken * 4 > (table.last + 1) * 3) grow(table)
      return NEW
    }
    while (found === CLAIMED) found = Atomics.load(words, p)
    if (words[p + 1] !== low || words[p + 2] !== high) continue
    for (;;) {
      const old = found & PAYLOAD
      const made = merge === Merge.intersection ? old & payload : Math.min(old, payload)
      if (made === old) return old
      const seen = Atomics.compareExchange(words, p, found, made | PUBLISHED)
      if (seen === found) return old
      found = seen
    }
  }
}

/** Forgets all states. Only for a table of one's own. */
export function clearTable(table: StateTable): void {
  table.words.fill(0)
  table.taken[0] = 0
}

function grow(table: StateTable): void {
  const old = table.words
  const words = new Int32Array(old.length * 2)
  const last = words.length / ENTRY - 1
  for (let from = 0; from < old.length; from += ENTRY) {
    if (old[from] === 0) continue
    let at = (old[from + 1] as number) & last
    while (words[at * ENTRY] !== 0) at = (at + 1) & last
    words.set(old.subarray(from, from + ENTRY), at * ENTRY)
  }
  table.words = words
  table.last = last
}
