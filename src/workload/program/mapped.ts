// Which pages are mapped, and how, while a program's operations are gone through in order: what the summary and the assumed
// touches need. Successful operations only, and nothing about contents.

import { changedPages } from './model.ts'
import { type Operation, type Program, RECORDED_PAGE } from './program.ts'
import { copyRanges, createRanges, type RangeMap, rangeAt, setRange, visitRanges } from './ranges.ts'

/** Protection by page, for each address space. */
export interface Mapped {
  spaces: RangeMap<number>[]
  /** Pages mapped in each of them. */
  pages: number[]
}

/** Address spaces with nothing mapped. */
export function createMapped(program: Program): Mapped {
  return { spaces: program.spaces.map(() => createRanges<number>()), pages: program.spaces.map(() => 0) }
}

/** Applies one operation. */
export function applyMapped(mapped: Mapped, operation: Operation): void {
  const { kind, space, child } = operation
  if (kind === 'fork' && child >= 0) {
    mapped.spaces[child] = copyRanges(mapped.spaces[space]!)
    mapped.pages[child] = mapped.pages[space]!
  } else if ((kind === 'exit' || kind === 'exec') && operation.last) {
    mapped.spaces[space] = createRanges()
    mapped.pages[space] = 0
  }
  if (operation.errno !== 0) return
  const [first, second] = changedPages(operation)
  if (!first) return
  const [start, end] = first
  switch (kind) {
    case 'mmap':
      set(mapped, space, start, end, operation.prot & 7)
      return
    case 'munmap':
      set(mapped, space, start, end, undefined)
      return
    case 'brk':
      set(mapped, space, start, end, operation.length > 0 ? 3 : undefined)
      return
    case 'mprotect': {
      const pieces: [number, number][] = []
      visitRanges(mapped.spaces[space]!, start, end, (from, to, prot) => prot !== undefined && pieces.push([from, to]))
      for (const [from, to] of pieces) set(mapped, space, from, to, operation.prot & 7)
      return
    }
    case 'mremap': {
      const prot = rangeAt(mapped.spaces[space]!, start) ?? 3
      if (operation.length > 0 && (operation.flags & 4) === 0) set(mapped, space, start, end, undefined)
      const [from, to] = second ?? [start, start + Math.ceil(operation.newLength / RECORDED_PAGE)]
      set(mapped, space, from, to, prot)
    }
  }
}

function set(mapped: Mapped, space: number, start: number, end: number, prot: number | undefined): void {
  const ranges = mapped.spaces[space]!
  let before = 0
  visitRanges(ranges, start, end, (from, to, value) => {
    if (value !== undefined) before += to - from
  })
  setRange(ranges, start, end, prot)
  mapped.pages[space] = mapped.pages[space]! + (prot === undefined ? 0 : end - start) - before
}
