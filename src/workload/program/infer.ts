// What exec mapped, or what was there before the recording began: private anonymous mappings around the pages that are in use
// without a recorded mapping. Runs of pages with the same use become one; the image, heap, stack and vdso stay apart because
// they lie far apart, or because something recorded lies between.

import type { SpaceModel } from './model.ts'
import { emptyOperation, type Operation, RECORDED_PAGE } from './program.ts'
import { visitRanges } from './ranges.ts'

const READ = 1
const WRITE = 2
const EXEC = 4
const MAP_PRIVATE_FIXED_ANONYMOUS = 0x32
/** Untouched pages that may lie inside one mapping: 2 MiB. */
const LARGEST_GAP = 512

interface Region {
  start: number
  end: number
  prot: number
}

/** The mappings to make before the first operation of this space, in order of address. */
export function inferMappings(model: SpaceModel, task: number): Operation[] {
  return regions(model).map(({ start, end, prot }) => {
    const map = emptyOperation('mmap', task)
    map.address = map.newAddress = map.result = start * RECORDED_PAGE
    map.length = (end - start) * RECORDED_PAGE
    map.prot = prot
    map.flags = MAP_PRIVATE_FIXED_ANONYMOUS
    map.inferred = true
    return map
  })
}

function regions(model: SpaceModel): Region[] {
  const pieces: Region[] = []
  for (const [page, access] of model.unknown) pieces.push({ start: page, end: page + 1, prot: protection(access) })
  // A range that a call succeeded on was mapped; how, only touches tell.
  for (const { start, end } of model.claimed) pieces.push({ start, end, prot: 0 })
  pieces.sort((a, b) => a.start - b.start || b.prot - a.prot)
  const out: Region[] = []
  for (const piece of split(pieces)) {
    const before = out[out.length - 1]
    if (before && piece.prot === before.prot && joins(model, before, piece)) before.end = piece.end
    else out.push({ ...piece })
  }
  return smooth(model, out)
}

// Overlapping pieces: a page has all uses that were seen; a claimed range without a use is readable and writable.
function split(pieces: Region[]): Region[] {
  const touched = new Map<number, number>()
  const out: Region[] = []
  for (const piece of pieces) {
    if (piece.prot !== 0) touched.set(piece.start, (touched.get(piece.start) ?? 0) | piece.prot)
  }
  const pages = Float64Array.from(touched.keys()).sort()
  let next = 0
  let covered = 0
  for (const piece of pieces) {
    let at = Math.max(piece.start, covered)
    if (at >= piece.end) continue
    covered = piece.end
    if (piece.prot !== 0) {
      out.push({ start: at, end: piece.end, prot: touched.get(at)! })
      continue
    }
    while (next < pages.length && pages[next]! < at) next++
    for (; next < pages.length && pages[next]! < piece.end; next++) {
      const page = pages[next]!
      if (page > at) out.push({ start: at, end: page, prot: READ | WRITE })
      out.push({ start: page, end: page + 1, prot: touched.get(page)! | READ | WRITE })
      at = page + 1
    }
    if (at < piece.end) out.push({ start: at, end: piece.end, prot: READ | WRITE })
  }
  return out
}

// Pages that were only read, between pages of one other use, belong to them.
function smooth(model: SpaceModel, regions: Region[]): Region[] {
  const out: Region[] = []
  for (let at = 0; at < regions.length; at++) {
    const region = regions[at]!
    const before = out[out.length - 1]
    const after = regions[at + 1]
    if (before && region.prot === before.prot && joins(model, before, region)) before.end = region.end
    else if (
      before &&
      after &&
      region.prot === READ &&
      before.prot === after.prot &&
      joins(model, before, region) &&
      joins(model, region, after)
    ) {
      before.end = region.end
    } else out.push(region)
  }
  return out
}

function joins(model: SpaceModel, before: Region, after: Region): boolean {
  if (after.start === before.end) return true
  if (after.start - before.end > LARGEST_GAP) return false
  let free = true
  visitRanges(model.recorded, before.end, after.start, (_from, _to, recorded) => {
    if (recorded) free = false
  })
  // The heap begins where the break was, whatever lies below it.
  const heap = model.heapStart / RECORDED_PAGE
  return free && !(heap >= before.end && heap <= after.start)
}

function protection(access: number): number {
  return READ | (access & WRITE) | (access & EXEC)
}
