// Which operations must come before which? Per address space: the last operations that changed each range of pages, and the
// last touches of each page since. What a task's own order, or an edge already there, implies gets no edge (vector clocks).
import { NONE, type Operation } from './program.ts'
import { createRanges, type RangeMap, setRange, visitRanges } from './ranges.ts'

const SNAPSHOTS = 128 // remembered per task; forgetting one only costs a superfluous edge
const CLOCKED_TASKS = 256
const BUCKET = 512

/** Order within one address space. */
export interface SpaceOrder {
  changed: RangeMap<readonly number[]>
  touched: Map<number, Map<number, readonly number[]>>
}

/** Order among all operations committed so far. */
export interface Order {
  operations: Operation[]
  /** Points between which each operation took place; see Collected. */
  starts: number[]
  ends: number[]
  /** Commit number of each operation, -1 before. */
  sequence: number[]
  /** For each task: the last commit number of each other task that is known to be before it. */
  clocks: Map<number, number>[]
  snapshots: { sequence: number; clock: Map<number, number> }[][]
  races: Map<number, number[]>
  racingPairs: number
}

/** An order of nothing. */
export function createOrder(operations: Operation[], starts: number[], ends: number[], tasks: number): Order {
  return {
    operations,
    starts,
    ends,
    sequence: operations.map(() => -1),
    clocks: Array.from({ length: tasks }, () => new Map()),
    snapshots: Array.from({ length: tasks }, () => []),
    races: new Map(),
    racingPairs: 0,
  }
}

/** An address space in which nothing has happened. */
export function createSpaceOrder(): SpaceOrder {
  return { changed: createRanges(), touched: new Map() }
}

/** What must come before a touch of `page`; remembers it. */
export function orderTouch(order: Order, space: SpaceOrder, index: number, page: number, forced: number): number[] {
  const before: number[] = []
  visitRanges(space.changed, page, page + 1, (_start, _end, changers) => {
    for (const other of changers ?? NONE) {
      if (other === forced || !overlap(order, other, index)) before.push(other)
      else addRace(order, other, index)
    }
  })
  const bucket = Math.floor(page / BUCKET)
  let pages = space.touched.get(bucket)
  if (!pages) {
    pages = new Map()
    space.touched.set(bucket, pages)
  }
  const earlier = pages.get(page)
  if (earlier === undefined) {
    pages.set(page, [index])
    return before
  }
  const task = order.operations[index]!.task
  const others = earlier.filter((other) => order.operations[other]!.task !== task)
  pages.set(page, others.length === 0 ? [index] : [...others, index])
  return before
}

/**
 * What must come before an operation that changes the pages `[start, end)`; remembers it. `proves` says that an overlapping
 * earlier operation nevertheless came first.
 */
export function orderChange(
  order: Order,
  space: SpaceOrder,
  index: number,
  start: number,
  end: number,
  proves: (other: number) => boolean,
): number[] {
  const before = new Set<number>()
  const judge = (other: number): boolean => {
    if (!overlap(order, other, index) || proves(other)) {
      before.add(other)
      return false
    }
    addRace(order, other, index)
    return true
  }
  const pieces: [number, number, readonly number[]][] = []
  visitRanges(space.changed, start, end, (from, to, changers) => {
    const racing = changers?.filter(judge) ?? NONE
    pieces.push([from, to, racing])
  })
  const alone: readonly number[] = [index]
  for (const [from, to, racing] of pieces) setRange(space.changed, from, to, racing.length === 0 ? alone : [...racing, index])
  visitTouched(space, start, end, (pages, page, touches) => {
    const racing = touches.filter(judge)
    if (racing.length === 0) pages.delete(page)
    else pages.set(page, racing)
  })
  return [...before]
}

/** Commits an operation: edges from those of `before` that nothing implies yet. */
export function commitOrder(order: Order, index: number, before: number[], next: number): void {
  const operation = order.operations[index]!
  order.sequence[index] = next
  const clock = order.clocks[operation.task]!
  let edges: number[] | undefined
  // The latest first: it may imply the others.
  if (before.length > 1) before.sort((a, b) => order.sequence[b]! - order.sequence[a]!)
  for (const other of before) {
    const task = order.operations[other]!.task
    const sequence = order.sequence[other]!
    if (task === operation.task || sequence < 0 || (clock.get(task) ?? -1) >= sequence) continue
    edges ??= []
    edges.push(other)
    learn(order, clock, task, sequence)
  }
  if (edges === undefined) return
  operation.after = edges
  if (order.clocks.length > CLOCKED_TASKS) return
  const snapshots = order.snapshots[operation.task]!
  if (snapshots.length >= SNAPSHOTS) snapshots.splice(0, SNAPSHOTS / 2)
  snapshots.push({ sequence: next, clock: new Map(clock) })
}

// `clock` now knows of `task` up to `sequence`, and of everything that was known there.
function learn(order: Order, clock: Map<number, number>, task: number, sequence: number): void {
  clock.set(task, sequence)
  const snapshots = order.snapshots[task]!
  for (let at = snapshots.length - 1; at >= 0; at--) {
    const snapshot = snapshots[at]!
    if (snapshot.sequence > sequence) continue
    for (const [other, known] of snapshot.clock) if ((clock.get(other) ?? -1) < known) clock.set(other, known)
    return
  }
}

/** Did two operations of different tasks take place at the same time? */
export function overlap(order: Order, earlier: number, later: number): boolean {
  const a = order.operations[earlier]!
  const b = order.operations[later]!
  if (a.task === b.task) return false
  return order.starts[later]! < order.ends[earlier]! && order.starts[earlier]! < order.ends[later]!
}

function addRace(order: Order, a: number, b: number): void {
  const known = order.races.get(b)
  if (known?.includes(a)) return
  order.racingPairs++
  if (known) known.push(a)
  else order.races.set(b, [a])
  const other = order.races.get(a)
  if (other) other.push(b)
  else order.races.set(a, [b])
}

// Whichever is less: the buckets of the range, or all there are.
function visitTouched(
  space: SpaceOrder,
  start: number,
  end: number,
  visit: (pages: Map<number, readonly number[]>, page: number, touches: readonly number[]) => void,
): void {
  const first = Math.floor(start / BUCKET)
  const last = Math.floor((end - 1) / BUCKET)
  const look = (bucket: number, pages: Map<number, readonly number[]>): void => {
    for (const [page, touches] of pages) if (page >= start && page < end) visit(pages, page, touches)
    if (pages.size === 0) space.touched.delete(bucket)
  }
  if (last - first > space.touched.size) {
    for (const [bucket, pages] of space.touched) if (bucket >= first && bucket <= last) look(bucket, pages)
    return
  }
  for (let bucket = first; bucket <= last; bucket++) {
    const pages = space.touched.get(bucket)
    if (pages) look(bucket, pages)
  }
}
