// Footprints: which shared objects an operation touches and whether it changes them, as one number. Two operations are
// dependent when their footprints conflict. One access is coded in the number itself; more are interned in a table.

/** What a blocked operation would have as its footprint where it cannot be performed. */
export const DISABLED = -0x80000000

/** Interned footprints of more than one access; number `-(i + 1)` is the i-th. */
export interface Footprints {
  readonly lists: Int32Array[]
  readonly pairs: Map<number, number>
  readonly more: Map<string, number>
}

/** An empty table. */
export function createFootprints(): Footprints {
  return { lists: [], pairs: new Map(), more: new Map() }
}

/** The footprint of an operation that only reads `object`. Objects are 1, 2, …; object 0 stands for none. */
export function reads(object: number): number {
  return object << 1
}

/** The footprint of an operation that changes `object`. */
export function writes(object: number): number {
  return (object << 1) | 1
}

/** The footprint of an operation with the accesses of two. Both are of one access. */
export function both(table: Footprints, a: number, b: number): number {
  const key = a * 2 ** 26 + b
  const known = table.pairs.get(key)
  if (known !== undefined) return known
  const made = -table.lists.push(Int32Array.of(a, b))
  table.pairs.set(key, made)
  return made
}

/** The footprint of an operation with all accesses of `singles`, in this order. */
export function all(table: Footprints, singles: readonly number[]): number {
  if (singles.length === 0) return 0
  if (singles.length === 1) return singles[0] as number
  if (singles.length === 2) return both(table, singles[0] as number, singles[1] as number)
  const key = singles.join()
  const known = table.more.get(key)
  if (known !== undefined) return known
  const made = -table.lists.push(Int32Array.from(singles))
  table.more.set(key, made)
  return made
}

/** The accesses of a footprint of more than one. */
export function accesses(table: Footprints, footprint: number): Int32Array {
  return table.lists[-footprint - 1] as Int32Array
}

/** Whether two operations touch an object in common that at least one of them changes. */
export function conflict(table: Footprints, a: number, b: number): boolean {
  if (a >= 0 && b >= 0) return (a ^ b) <= 1 && ((a | b) & 1) !== 0
  if (a >= 0) return conflict(table, b, a)
  const list = accesses(table, a)
  for (let i = 0; i < list.length; i++) if (conflict(table, b, list[i] as number)) return true
  return false
}
