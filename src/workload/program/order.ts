// Second pass: the recorded commit order. Operations are committed where they end, unless something that could only happen
// afterwards is seen earlier: an mmap at a place that a munmap still under way has freed, a touch that needs an mprotect.

import { createOrder, orderChange, orderTouch, overlap } from './edges.ts'
import { failsAgain } from './failures.ts'
import type { Kin } from './kinship.ts'
import { claim, infer, mapMissed, noteUnknown } from './missing.ts'
import { accessOf, allows, applyModel, changedPages, claimedPages, copyModel, createModel, enables, frees, pagesOf } from './model.ts'
import { emptyOperation, NONE, type Operation, RECORDED_PAGE } from './program.ts'
import { rangeAt, visitRanges } from './ranges.ts'
import type { Collected } from './raw.ts'
import { addSpace, finishCommit, insert, type Ordered, type SpaceState, type Sweep, spaceFor } from './sweep.ts'

/** The whole of any address space, in pages. */
const EVERYTHING = 2 ** 52

/** Orders what was collected. */
export function orderOperations(from: Collected, kin: Kin): Ordered {
  const { operations, points } = from
  const sweep: Sweep = {
    committed: [],
    spaces: [],
    order: createOrder(operations, from.starts, from.ends, from.tasks.length),
    from,
    kin,
    spaceOf: from.tasks.map(() => -1),
    lastOf: from.tasks.map(() => -1),
    owed: from.tasks.map(() => []),
    forcedBy: new Map(),
    complete: from.complete,
    at: 0,
  }
  for (sweep.at = 0; sweep.at < points.length; sweep.at++) {
    const point = points[sweep.at]!
    if (point < 0) continue
    const index = point >> 1
    const operation = operations[index]!
    if (from.ends[index]! < 0 || kin.tasks[operation.task]!.process < 0) continue
    if (operation.kind === 'touch') commitTouch(sweep, index)
    else if ((point & 1) === 0) begin(sweep, index)
    else if (sweep.order.sequence[index]! < 0 && !from.early.has(index)) commit(sweep, index)
  }
  return sweep
}

function begin(sweep: Sweep, index: number): void {
  const operation = sweep.from.operations[index]!
  const space = spaceFor(sweep, operation.task)
  if (operation.kind === 'brk') measureBreak(space, operation)
  if (sweep.from.early.has(index)) commit(sweep, index)
  else if (changedPages(operation).length > 0) space.pending.push(index)
}

function commitTouch(sweep: Sweep, index: number): void {
  const { operations, report } = sweep.from
  const touch = operations[index]!
  const space = spaceFor(sweep, touch.task)
  const page = Math.floor(touch.address / RECORDED_PAGE)
  const access = accessOf(touch)
  let forced = -1
  let what = rangeAt(space.model.map, page)
  if (!what || !allows(what.prot, access)) {
    forced = space.pending.find((other) => operations[other]!.task !== touch.task && enables(operations[other]!, page, access)) ?? -1
    if (forced >= 0) {
      commit(sweep, forced)
      what = rangeAt(space.model.map, page)
    }
  }
  if (what === undefined) claim(sweep, space, page, access)
  else if (what === null && !sweep.complete) mapMissed(sweep, space, touch, page, page + 1)
  else if (what?.inferred && what.prot < 0) noteUnknown(sweep, space, page, access)
  else if (!what || !allows(what.prot, access)) {
    touch.denied = true
    report.denied++
  }
  finishCommit(sweep, space, index, orderTouch(sweep.order, space.order, index, page, forced))
}

function commit(sweep: Sweep, index: number): void {
  const operation = sweep.from.operations[index]!
  const space = spaceFor(sweep, operation.task)
  space.pending = space.pending.filter((other) => other !== index)
  if (operation.kind === 'fork') commitFork(sweep, space, index)
  else if (operation.kind === 'exec' || operation.kind === 'exit') commitLeaving(sweep, space, index)
  else if (operation.errno !== 0) commitFailure(sweep, space, index)
  else commitChange(sweep, space, index)
}

// It must find what it found: behind what changed those pages before, not noted for what comes after.
function commitFailure(sweep: Sweep, space: SpaceState, index: number): void {
  const { operations, report } = sweep.from
  const operation = operations[index]!
  operation.repeatable = failsAgain(operation, space.model)
  report.failed++
  if (operation.repeatable) report.repeatable++
  const before = new Set<number>()
  for (const [start, end] of changedPages(operation)) {
    visitRanges(space.order.changed, start, end, (_from, _to, changers) => {
      for (const other of changers ?? NONE) if (!overlap(sweep.order, other, index)) before.add(other)
    })
  }
  finishCommit(sweep, space, index, [...before])
}

function commitChange(sweep: Sweep, space: SpaceState, index: number): void {
  const { operations } = sweep.from
  const operation = operations[index]!
  if (operation.kind === 'brk') measureBreak(space, operation)
  settleUsers(sweep, space, index)
  makeRoom(sweep, space, index)
  infer(sweep, space, operation)
  applyModel(space.model, operation)
  if (operation.kind === 'brk' && operation.result >= 0) space.model.brk = operation.result
  const before = new Set<number>()
  const proves = (other: number): boolean => sweep.forcedBy.get(other) === index || provenBefore(operations, other, operation)
  for (const [start, end] of changedPages(operation)) {
    for (const other of orderChange(sweep.order, space.order, index, start, end, proves)) before.add(other)
  }
  finishCommit(sweep, space, index, [...before])
}

// Two operations overlap in time; did the one that was committed earlier certainly come first?
function provenBefore(operations: Operation[], other: number, later: Operation): boolean {
  const earlier = operations[other]!
  // The touch was allowed, and after this operation it would not have been.
  if (earlier.kind === 'touch') {
    if (later.kind === 'mprotect') return !allows(later.prot & 7, accessOf(earlier))
    return later.kind === 'munmap' || (later.kind === 'brk' && later.length < 0)
  }
  // The place was free for the kernel to choose only because of the earlier one.
  return claimedPages(later) !== undefined && (earlier.kind === 'munmap' || earlier.kind === 'mremap')
}

// What is about to be unmapped was still there for the calls under way that succeed only on mapped memory.
function settleUsers(sweep: Sweep, space: SpaceState, index: number): void {
  const { operations } = sweep.from
  const operation = operations[index]!
  for (const other of space.pending) {
    const { kind, task, errno, address, length } = operations[other]!
    if (task === operation.task || errno !== 0 || (kind !== 'mprotect' && kind !== 'madvise' && kind !== 'mremap')) continue
    const [start, end] = pagesOf(address, length)
    if (!frees(operation, start, end) || sweep.order.sequence[other]! >= 0) continue
    sweep.forcedBy.set(other, index)
    commit(sweep, other)
  }
}

// The kernel chose this place, so it was free: what frees it and has begun must have come first (also where it was free before:
// nobody unmaps what another task has just got and not yet heard of). What is mapped there even so was unmapped by a call that
// the recording does not have.
function makeRoom(sweep: Sweep, space: SpaceState, index: number): void {
  const { operations, report } = sweep.from
  const operation = operations[index]!
  const claimed = claimedPages(operation)
  if (!claimed) return
  const [start, end] = claimed
  const occupied = (): [number, number][] => {
    const pieces: [number, number][] = []
    visitRanges(space.model.map, start, end, (from, to, what) => what && pieces.push([from, to]))
    return pieces
  }
  for (const other of space.pending.filter((other) => frees(operations[other]!, start, end))) {
    if (operations[other]!.task === operation.task) continue
    sweep.forcedBy.set(other, index)
    commit(sweep, other)
  }
  for (const [from, to] of occupied()) {
    const unmap = emptyOperation('munmap', operation.task)
    unmap.address = from * RECORDED_PAGE
    unmap.length = (to - from) * RECORDED_PAGE
    unmap.result = 0
    report.missedUnmappings++
    insert(sweep, space, unmap, operation.time)
  }
}

function measureBreak(space: SpaceState, operation: Operation): void {
  const { model } = space
  if (!(operation.result >= 0)) return
  if (Number.isNaN(model.heapStart)) space.heapStart = model.heapStart = operation.result
  // Below the heap's own beginning: something other than brk moved the break (prctl), and from where is not known.
  if (operation.result < model.heapStart) model.brk = Number.NaN
  if (operation.address === 0 || Number.isNaN(model.brk)) operation.length = 0
  else operation.length = operation.result - model.brk
}

function commitFork(sweep: Sweep, space: SpaceState, index: number): void {
  const { operations, report } = sweep.from
  const operation = operations[index]!
  if (operation.childTask < 0) {
    report.failed++
    finishCommit(sweep, space, index, [])
    return
  }
  const child = sweep.kin.tasks[operation.childTask]!
  const kinship = sweep.kin.kinship[operation.childTask]!
  if (child.process < 0 || kinship === 'there before') return
  if (kinship !== 'fork') {
    // No operation on memory: the child goes on behind its parent's last one.
    sweep.spaceOf[child.index] = space.index
    space.tasks.add(child.index)
    child.startedAfter = sweep.lastOf[operation.task]!
    sweep.owed[child.index]!.push(...sweep.owed[operation.task]!)
    if (child.startedAfter >= 0) sweep.owed[child.index]!.push(child.startedAfter)
    return
  }
  const made = addSpace(sweep, child.process, space.index, index, copyModel(space.model))
  sweep.spaces[made]!.heapStart = space.heapStart
  sweep.spaces[made]!.tasks.add(child.index)
  sweep.spaceOf[child.index] = made
  sweep.kin.processes[child.process]!.forkedAt = index
  child.startedAfter = index
  operation.child = made
  // Every page is copied or not by whether its write came before.
  finishCommit(
    sweep,
    space,
    index,
    orderChange(sweep.order, space.order, index, 0, EVERYTHING, () => false),
  )
  sweep.owed[child.index]!.push(index)
}

function commitLeaving(sweep: Sweep, space: SpaceState, index: number): void {
  const operation = sweep.from.operations[index]!
  space.tasks.delete(operation.task)
  operation.last = space.tasks.size === 0
  const before: number[] = []
  // The space goes away with its last task: behind everything that others did in it.
  if (operation.last) for (const other of sweep.lastOf) if (other >= 0 && inSpace(sweep, other, space.index)) before.push(other)
  if (operation.kind === 'exec') {
    operation.child = addSpace(sweep, sweep.kin.tasks[operation.task]!.process, -1, index, createModel())
    sweep.spaceOf[operation.task] = operation.child
    sweep.spaces[operation.child]!.tasks.add(operation.task)
    sweep.kin.tasks[operation.task]!.name = sweep.from.tasks[operation.task]!.name
  }
  finishCommit(sweep, space, index, before)
}

function inSpace(sweep: Sweep, index: number, space: number): boolean {
  return sweep.from.operations[index]!.space === space
}
