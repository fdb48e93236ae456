// The state of the second pass, and how an operation gets its place in the commit order.

import { commitOrder, createSpaceOrder, type Order, orderChange, type SpaceOrder } from './edges.ts'
import type { Kin } from './kinship.ts'
import { applyModel, changedPages, createModel, type SpaceModel } from './model.ts'
import type { Operation, Space } from './program.ts'
import type { Collected } from './raw.ts'

/** An address space while the recording is gone through. */
export interface SpaceState extends Space {
  model: SpaceModel
  order: SpaceOrder
  /** Operations of it that have begun and not been committed. */
  pending: number[]
  /** Tasks that run in it. */
  tasks: Set<number>
}

/** All operations in commit order, and the address spaces. */
export interface Ordered {
  committed: number[]
  spaces: SpaceState[]
  order: Order
}

/** The second pass. */
export interface Sweep extends Ordered {
  from: Collected
  kin: Kin
  spaceOf: number[]
  lastOf: number[]
  /** What a task's next operation must come after: its birth, or a vfork child's exec. */
  owed: number[][]
  forcedBy: Map<number, number>
  /**
   * The recorder lost nothing: a touch of what was unmapped is then a SIGSEGV that the program survived, and no sign of a
   * missing mmap.
   */
  complete: boolean
  at: number
}

/** The space of a task; made for one that was there before the recording. */
export function spaceFor(sweep: Sweep, task: number): SpaceState {
  let index = sweep.spaceOf[task]!
  if (index >= 0) return sweep.spaces[index]!
  const { process } = sweep.kin.tasks[task]!
  index = sweep.spaces.findIndex((space) => space.process === process && space.madeBy < 0 && space.tasks.size > 0)
  if (index < 0) index = addSpace(sweep, process, -1, -1, createModel())
  sweep.spaceOf[task] = index
  sweep.spaces[index]!.tasks.add(task)
  return sweep.spaces[index]!
}

/** A new address space. */
export function addSpace(sweep: Sweep, process: number, parent: number, madeBy: number, model: SpaceModel): number {
  const index = sweep.spaces.length
  const nothing = Number.NaN
  const order = createSpaceOrder()
  sweep.spaces.push({ index, process, parent, madeBy, heapStart: nothing, model, order, pending: [], tasks: new Set() })
  return index
}

/** Gives an operation its place, behind those of `before`. */
export function finishCommit(sweep: Sweep, space: SpaceState, index: number, before: number[]): void {
  const operation = sweep.from.operations[index]!
  operation.space = space.index
  const owed = sweep.owed[operation.task]!
  if (owed.length > 0) before = before.concat(owed.splice(0))
  commitOrder(sweep.order, index, before, sweep.committed.length)
  sweep.committed.push(index)
  sweep.lastOf[operation.task] = index
}

/** Commits, now, an operation that the recording does not have. */
export function insert(sweep: Sweep, space: SpaceState, operation: Operation, time: number): void {
  const index = sweep.from.operations.push(operation) - 1
  operation.inferred = true
  operation.time = time
  sweep.from.starts.push(sweep.at)
  sweep.from.ends.push(sweep.at)
  sweep.order.sequence.push(-1)
  applyModel(space.model, operation)
  const [[start, end]] = changedPages(operation) as [[number, number]]
  finishCommit(
    sweep,
    space,
    index,
    orderChange(sweep.order, space.order, index, start, end, () => true),
  )
}
