// Where stepped CPUs say what they want to do next. Each CPU has two rows (its task, and the interrupt handler on top of
// it); an instruction fills the row of the CPU that the executor selected and the generator stops. Only the stepped tree
// has this file; check/ and simulate/ are its readers.
import { CPU_STRIDE } from '../../kernel/machine/percpu.ts'
import { hash0, hash1 } from './frame-hash.ts'
import { SPIN_BEGINS, SPIN_ENDS } from './ops.ts'

/** Words of a row: operation, three operands, place in the source, two hashes of the frames that stopped there. */
export const Row = Object.freeze({ op: 0, a: 1, b: 2, c: 3, site: 4, hash0: 5, hash1: 6 })
/** log2 of the words from one row to the next. */
export const ROW_SHIFT = 3
/** CPUs that a stepped machine can have. */
export const MAX_CPUS = 1024

/** What each CPU announced last: two rows per CPU. */
export const rows = new Int32Array((MAX_CPUS * 2) << ROW_SHIFT)

/** First word of the row of the executing CPU. */
export let row = 0
/** Number of the executing CPU. */
export let cpu = 0
/** Its per-CPU area. */
export let cpuArea = 0
/** CPU 0's per-CPU area. */
export let areas = 0
/** Virtual time in microseconds, for `clock`. */
export let now = 0

/** Told of each plain access and annotation at once: operation, operands, place. For detectors. */
export type Observer = (op: number, a: number, b: number, c: number, site: number) => void
/** The observer, if any. */
export let observer: Observer | null = null

/** Words changed by plain stores, counted for the executor (a spinning CPU may be waiting for one). */
export let plainChanges = 0

/** Marks that a kernel can have. */
export const MAX_MARKS = 4096
/** 1 for each mark that was executed since a reader cleared it; see the annotation `reached`. */
export const marks = new Uint8Array(MAX_MARKS)

/** Plain loads since code went on. */
let loads = 0
/** How many of them there may be: full-size machines were seen to make some two thousand. */
const MOST_LOADS = 10_000

/** Code does what no kernel survives. */
export class Oops extends Error {}

/** Counts one plain load. Throws `Oops` in a loop that goes round for ever without a step: nothing else would end it. */
export function countLoad(): void {
  if (++loads > MOST_LOADS) throw new Oops(`it goes round for ever: ${MOST_LOADS} plain loads without a step`)
}

/** Says where the per-CPU areas are. */
export function bindAreas(perCpuAreas: number): void {
  areas = perCpuAreas
  selectCpu(0, 0)
}

/** The code that runs from now on is CPU `number`'s task (`level` 0) or interrupt handler (1). */
export function selectCpu(number: number, level: number): void {
  cpu = number
  cpuArea = areas + number * CPU_STRIDE
  row = ((number << 1) | level) << ROW_SHIFT
  loads = 0
}

/** Sets or removes the observer. */
export function observe(to: Observer | null): void {
  observer = to
  fed = null
}

/** While not null, code runs again that ran before: plain loads find what they found then, stores and annotations do nothing. */
export let fed: readonly number[] | null = null
let fedAt = 0
let fedTo = 0
let endsThere = false
let heard: Observer | null = null

/**
 * From now on code runs again, on `values` from number `from` to number `to`: the results of its steps and of its plain loads, in
 * order. `thenNew`: what it does once it has used them is new.
 */
export function runAgain(values: readonly number[], from: number, to: number, thenNew: boolean): void {
  fed = values
  fedAt = from
  fedTo = to
  endsThere = thenNew
  heard = observer
  observer = null
}

/** The next of the values on which code runs again. */
export function nextFed(): number {
  const value = (fed as readonly number[])[fedAt++] as number
  if (fedAt === fedTo && endsThere) runOn()
  return value
}

/** Whether all values have been used. */
export function allFed(): boolean {
  return fedAt >= fedTo
}

/** From now on what code does is new. */
export function runOn(): void {
  fed = null
  observer = heard
}

/** Sets what `clock` answers. */
export function setNow(microseconds: number): void {
  now = microseconds
}

/** Fills the row of the executing CPU. */
export function announce(op: number, a: number, b: number, c: number, site: number): void {
  const at = row
  rows[at] = op
  rows[at + 1] = a
  rows[at + 2] = b
  rows[at + 3] = c
  rows[at + 4] = site
  rows[at + 5] = hash0
  rows[at + 6] = hash1
}

/** Counts one word changed by a plain store. */
export function countPlainChange(): void {
  plainChanges = (plainChanges + 1) | 0
}

/**
 * A loop that waits (one with a `relax` of its own) begins. `whole` 1: a turn of it that only looks, even the first, ends at
 * `relax` where it began; 0: only from one `relax` to the next can be told whether anything has become different.
 */
export function spinBegins(whole: number): void {
  if (observer !== null) observer(SPIN_BEGINS, whole, 0, 0, 0)
}

/** It ends. Returns `value`. */
export function spinEnds(value: number): number {
  if (observer !== null) observer(SPIN_ENDS, 0, 0, 0, 0)
  return value
}
