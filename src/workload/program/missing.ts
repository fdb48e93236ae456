// What the recording does not have, as the second pass meets it: memory in use that was mapped before the recording began, and
// memory in use although it was unmapped, so that a call is missing.

import { pagesOf, type SpaceModel, UNKNOWN_MAPPING } from './model.ts'
import { emptyOperation, type Operation, RECORDED_PAGE } from './program.ts'
import { setRange, visitRanges } from './ranges.ts'
import { insert, type SpaceState, type Sweep } from './sweep.ts'

/** What a successful call says about memory that nothing is known of. */
export function infer(sweep: Sweep, space: SpaceState, operation: Operation): void {
  if (operation.kind === 'mmap' || operation.kind === 'brk') return
  const [start, end] = pagesOf(operation.address, operation.length)
  const unknown: [number, number][] = []
  const missed: [number, number][] = []
  visitRanges(space.model.map, start, end, (from, to, what) => {
    if (what === undefined) unknown.push([from, to])
    else if (what === null && operation.kind !== 'munmap' && operation.result === 0) missed.push([from, to])
  })
  for (const [from, to] of unknown) {
    const root = rootOf(sweep, space)
    const free = root === space || pageRangeUnknown(root.model, from, to)
    if (free) {
      root.model.claimed.push({ start: from, end: to })
      setRange(root.model.map, from, to, UNKNOWN_MAPPING)
      setRange(space.model.map, from, to, UNKNOWN_MAPPING)
    } else if (operation.kind !== 'munmap') mapMissed(sweep, space, operation, from, to)
  }
  for (const [from, to] of missed) mapMissed(sweep, space, operation, from, to)
}

/**
 * A page in use that nothing mapped: it was mapped before the recording, in the first of the spaces that this one was forked
 * from.
 */
export function claim(sweep: Sweep, space: SpaceState, page: number, access: number): void {
  const root = rootOf(sweep, space)
  if (root !== space && !pageRangeUnknown(root.model, page, page + 1)) {
    const task = [...space.tasks][0]!
    mapMissed(sweep, space, emptyOperation('touch', task), page, page + 1)
    return
  }
  root.model.unknown.set(page, (root.model.unknown.get(page) ?? 0) | access)
  setRange(root.model.map, page, page + 1, UNKNOWN_MAPPING)
  if (root !== space) setRange(space.model.map, page, page + 1, UNKNOWN_MAPPING)
}

function pageRangeUnknown(model: SpaceModel, start: number, end: number): boolean {
  let unknown = true
  visitRanges(model.map, start, end, (_from, _to, what) => {
    if (what !== undefined && what !== UNKNOWN_MAPPING) unknown = false
  })
  return unknown
}

/** One more use of such a page. */
export function noteUnknown(sweep: Sweep, space: SpaceState, page: number, access: number): void {
  const { unknown } = rootOf(sweep, space).model
  unknown.set(page, (unknown.get(page) ?? 0) | access)
}

function rootOf(sweep: Sweep, space: SpaceState): SpaceState {
  while (space.parent >= 0) space = sweep.spaces[space.parent]!
  return space
}

/** The recording says that nothing is mapped here, and yet it is in use: the call that mapped it is missing. */
export function mapMissed(sweep: Sweep, space: SpaceState, cause: Operation, start: number, end: number): void {
  const map = emptyOperation('mmap', cause.task)
  map.address = map.result = start * RECORDED_PAGE
  map.length = (end - start) * RECORDED_PAGE
  map.prot = cause.kind === 'touch' && cause.exec ? 7 : 3
  map.flags = 0x32
  sweep.from.report.missedMappings++
  insert(sweep, space, map, cause.time)
}
