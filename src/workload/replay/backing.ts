// What backs each page while machine operations go by in recorded order: which touches mean the same page of a file or of shared
// memory, which file pages are used, and how much memory the program needs at its peak.
import { MapFlag } from '../../abi/constants.ts'
import { copyRanges, createRanges, type RangeMap, rangeAt, setRange, visitRanges } from '../program/ranges.ts'
import type { MachineOperation } from './operations.ts'

/** Object numbers times this, plus a page index, make one number. */
const OBJECT_PAGES = 2 ** 30

/** Behind a range: an object and the page index that the range's page 0 would have; `file` -1 for shared anonymous memory. */
interface Backing {
  readonly object: number
  readonly file: number
  readonly delta: number
  readonly shared: boolean
}

interface SpaceBacking {
  ranges: RangeMap<Backing | null>
  present: Set<number>
  /** Its pages outlive it: a child may hold them. */
  forked: boolean
}

/** What the program needs. */
export interface Needs {
  /** Pages of data at the peak, an upper bound. */
  pages: number
  /** PTE tables at the peak, an upper bound. */
  tables: number
  /** Pages of files that are touched: file index and page index alternate. */
  warm: number[]
}

/** Follows the operations of a plan in recorded order. */
export interface BackingTracker {
  see(operation: MachineOperation): void
  needs(): Needs
}

/** A tracker; `fileCount` files have the first object numbers. `tableShift`: log2 of the pages below one PTE table. */
export function trackBacking(spaceCount: number, fileCount: number, pageBytes: number, tableShift: number): BackingTracker {
  const spaces: SpaceBacking[] = Array.from({ length: spaceCount }, () => ({ ranges: createRanges(), present: new Set(), forked: false }))
  const warm = new Map<number, [number, number]>()
  const tables = new Set<number>()
  let objects = fileCount
  let resident = 0
  let peak = 0

  const drop = (space: SpaceBacking, start: number, end: number): void => {
    const { present } = space
    const forget = (page: number): void => {
      if (present.delete(page) && !space.forked) resident--
    }
    if (end - start < present.size) for (let page = start; page < end; page++) forget(page)
    else for (const page of present) if (page >= start && page < end) forget(page)
  }
  const touch = (operation: MachineOperation, page: number): void => {
    const space = spaces[operation.space]!
    const backing = rangeAt(space.ranges, page)
    if (backing === undefined) return
    if (backing !== null) {
      const index = page + backing.delta
      operation.object = backing.object * OBJECT_PAGES + index
      operation.shared = backing.shared
      if (backing.file >= 0 && index >= 0 && !warm.has(operation.object)) {
        warm.set(operation.object, [backing.file, index])
        resident++
      }
    }
    if (space.present.has(page)) return
    space.present.add(page)
    tables.add(operation.space * 2 ** 32 + Math.floor(page / 2 ** tableShift))
    if (++resident > peak) peak = resident
  }
  const see = (operation: MachineOperation): void => {
    if (operation.errno !== 0) return
    const space = spaces[operation.space]!
    const start = operation.address / pageBytes
    const end = start + Math.ceil(operation.length / pageBytes)
    switch (operation.kind) {
      case 'touch':
        touch(operation, start)
        break
      case 'mmap': {
        drop(space, start, end)
        const shared = (operation.flags & MapFlag.type) !== MapFlag.private
        const { file } = operation
        const delta = file >= 0 ? operation.offset / pageBytes - start : -start
        setRange(space.ranges, start, end, file >= 0 || shared ? { object: file >= 0 ? file : objects++, file, delta, shared } : null)
        break
      }
      case 'munmap':
        drop(space, start, end)
        setRange(space.ranges, start, end, undefined)
        break
      case 'madvise':
        if (operation.advice < 20) drop(space, start, end)
        break
      case 'brk':
        // The heap is private and anonymous wherever it is: mark generously.
        setRange(
          space.ranges,
          Math.max(0, Math.ceil(operation.address / pageBytes) - 2 ** 20),
          Math.ceil(operation.address / pageBytes),
          null,
        )
        break
      case 'mremap': {
        if (operation.newAddress === 0) {
          const what = rangeAt(space.ranges, start)
          if (what !== undefined) setRange(space.ranges, start, start + operation.newLength / pageBytes, what)
          break
        }
        const shift = operation.newAddress / pageBytes - start
        const pieces: [number, number, Backing | null][] = []
        visitRanges(space.ranges, start, end, (from, to, what) => what !== undefined && pieces.push([from, to, what]))
        setRange(space.ranges, start, end, undefined)
        const grown = (operation.newLength - operation.length) / pageBytes
        for (const [from, to, what] of pieces) {
          const moved = what === null ? null : { ...what, delta: what.delta - shift }
          setRange(space.ranges, from + shift, to + shift + Math.max(0, to === end ? grown : 0), moved)
        }
        break
      }
      case 'fork':
        spaces[operation.child]!.ranges = copyRanges(space.ranges)
        space.forked = true
        break
      case 'exit':
      case 'exec':
        if (operation.last) {
          if (!space.forked) resident -= space.present.size
          space.present.clear()
          space.ranges = createRanges()
        }
    }
  }
  return { see, needs: () => ({ pages: peak, tables: tables.size, warm: [...warm.values()].flat() }) }
}
