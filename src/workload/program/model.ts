// What is mapped in one address space, as far as the recording says: `undefined` where it says nothing, `null` where it says that
// nothing is mapped. What is touched without being recorded as mapped is collected, to be inferred from.
import { type Operation, RECORDED_PAGE } from './program.ts'
import { copyRanges, createRanges, type RangeMap, rangeAt, setRange, visitRanges } from './ranges.ts'

const READ = 1
const WRITE = 2
const EXEC = 4
const MAP_FIXED = 0x10

/** A mapping; equal ones are one object, so that neighbours join. */
export interface Mapping {
  prot: number
  flags: number
  file: number
  /** It was there before the recording said so; with prot -1 nothing is known of its protection. */
  inferred: boolean
}

/** The state of one address space. */
export interface SpaceModel {
  map: RangeMap<Mapping | null>
  /** The break, NaN while unknown. */
  brk: number
  heapStart: number
  /** Pages seen in use before anything mapped them, and how (READ, WRITE, EXEC bits). Kept by the space that was there first. */
  unknown: Map<number, number>
  /** Ranges that a call could only succeed on when they were mapped. */
  claimed: { start: number; end: number }[]
  /** All pages that recorded calls ever mapped: inferred mappings must not extend over them. */
  recorded: RangeMap<true>
}

const interned = new Map<string, Mapping>()

/** The one object for these values. */
export function mapping(prot: number, flags: number, file: number, inferred: boolean): Mapping {
  const key = `${prot} ${flags} ${file} ${inferred}`
  let found = interned.get(key)
  if (!found) {
    found = Object.freeze({ prot, flags, file, inferred })
    interned.set(key, found)
  }
  return found
}

/** Mapped before the recording, nothing else known. */
export const UNKNOWN_MAPPING: Mapping = mapping(-1, 0, -1, true)

/** An address space of which nothing is known. */
export function createModel(): SpaceModel {
  const nothing = Number.NaN
  return { map: createRanges(), brk: nothing, heapStart: nothing, unknown: new Map(), claimed: [], recorded: createRanges() }
}

/** What fork gives the child. */
export function copyModel(from: SpaceModel): SpaceModel {
  return { ...createModel(), map: copyRanges(from.map), brk: from.brk, heapStart: from.heapStart, recorded: copyRanges(from.recorded) }
}

/** First page and the page behind the last. */
export function pagesOf(address: number, length: number): [number, number] {
  return [Math.floor(address / RECORDED_PAGE), Math.ceil((address + length) / RECORDED_PAGE)]
}

/** The access bits that a touch needs. */
export function accessOf(touch: Operation): number {
  return touch.exec ? EXEC : touch.write ? WRITE : READ
}

/** Does a protection allow an access? As on x86: any access allows reading. */
export function allows(prot: number, access: number): boolean {
  if (prot < 0) return true
  return access === READ ? (prot & 7) !== 0 : (prot & access) !== 0
}

/** Does this mmap or mremap say where the mapping goes, so that it replaces what is there? */
export function replaces(operation: Operation): boolean {
  return operation.kind === 'mremap' ? (operation.flags & 2) !== 0 : (operation.flags & MAP_FIXED) !== 0
}

/** The ranges of pages that a successful operation changes. */
export function changedPages(operation: Operation): [number, number][] {
  switch (operation.kind) {
    case 'mmap':
    case 'munmap':
    case 'mprotect':
    case 'madvise':
      return [pagesOf(operation.address, operation.length)]
    case 'brk': {
      const moved = operation.length
      if (moved === 0) return []
      const from = moved > 0 ? operation.result - moved : operation.result
      return [[Math.ceil(from / RECORDED_PAGE), Math.ceil((from + Math.abs(moved)) / RECORDED_PAGE)]]
    }
    case 'mremap': {
      const [oldStart, oldEnd] = pagesOf(operation.address, operation.length)
      const [newStart, newEnd] = pagesOf(operation.result, operation.newLength)
      if (newStart === oldStart) return [[oldStart, Math.max(oldEnd, newEnd)]]
      return [
        [oldStart, oldEnd],
        [newStart, newEnd],
      ]
    }
    default:
      return []
  }
}

/** The pages that an operation makes usable at a place that must have been free, or undefined. */
export function claimedPages(operation: Operation): [number, number] | undefined {
  if (operation.errno !== 0 || replaces(operation)) return undefined
  if (operation.kind === 'mmap') return pagesOf(operation.address, operation.length)
  if (operation.kind !== 'mremap') return undefined
  const [oldStart, oldEnd] = pagesOf(operation.address, operation.length)
  const [newStart, newEnd] = pagesOf(operation.result, operation.newLength)
  if (newStart !== oldStart) return [newStart, newEnd]
  return newEnd > oldEnd ? [oldEnd, newEnd] : undefined
}

/** Applies a successful operation. */
export function applyModel(model: SpaceModel, operation: Operation): void {
  const set = (start: number, end: number, value: Mapping | null): void => {
    setRange(model.map, start, end, value)
    if (value) setRange(model.recorded, start, end, true)
  }
  const [range] = changedPages(operation)
  if (!range) return
  const [start, end] = range
  switch (operation.kind) {
    case 'mmap':
      set(start, end, mapping(operation.prot & 7, operation.flags, operation.file, false))
      return
    case 'munmap':
      set(start, end, null)
      return
    case 'brk':
      set(start, end, operation.length > 0 ? mapping(READ | WRITE, 0x22, -1, false) : null)
      return
    case 'mprotect': {
      const pieces: [number, number, Mapping][] = []
      visitRanges(model.map, start, end, (from, to, what) => {
        if (what) pieces.push([from, to, mapping(operation.prot & 7, what.flags, what.file, what.inferred)])
      })
      for (const [from, to, what] of pieces) setRange(model.map, from, to, what)
      return
    }
    case 'mremap': {
      const what = rangeAt(model.map, start) ?? UNKNOWN_MAPPING
      const [newStart, newEnd] = pagesOf(operation.result, operation.newLength)
      if (newStart === start) {
        const [, oldEnd] = pagesOf(operation.address, operation.length)
        if (newEnd < oldEnd) set(newEnd, oldEnd, null)
        else set(oldEnd, newEnd, what)
        return
      }
      if (operation.length > 0 && (operation.flags & 4) === 0) set(start, end, null)
      set(newStart, newEnd, what)
    }
  }
}

/** Would this pending operation make `page` accessible? */
export function enables(operation: Operation, page: number, access: number): boolean {
  if (operation.errno !== 0) return false
  for (const [start, end] of changedPages(operation)) {
    if (page < start || page >= end) continue
    if (operation.kind === 'mmap' || operation.kind === 'mprotect') return allows(operation.prot & 7, access)
    return operation.kind === 'mremap' || (operation.kind === 'brk' && operation.length > 0)
  }
  return false
}

/** Would this pending operation free pages of `[start, end)`? */
export function frees(operation: Operation, start: number, end: number): boolean {
  if (operation.errno !== 0) return false
  const shrinks = operation.kind === 'munmap' || operation.kind === 'mremap' || (operation.kind === 'brk' && operation.length < 0)
  return shrinks && changedPages(operation).some(([from, to]) => from < end && start < to)
}
