// The independent small numbers that generated lists are made from, so that fast-check can drop and shrink
// them freely. generator.ts turns them into operations.

import fc from 'fast-check'
import { type Operation, REGION } from './operation.ts'

/** Most processes alive at a time. */
export const MAX_PROCESSES = 4

/** The numbers one operation is made of; every field is a small natural. */
export interface Draw {
  kind: Operation['kind']
  process: number
  /** How the range is chosen: 0-2 anywhere, above relative to an existing VMA. */
  aim: number
  /** Anywhere: the page of the arena. Else: which VMA. */
  page: number
  /** The same for the target of a move. */
  targetAim: number
  target: number
  /** Pages; 0 is rare. */
  length: number
  newLength: number
  prot: number
  choice: number
  file: number
  offset: number
  /** Below 3: something is unaligned or out of order. */
  oddity: number
}

/** A list before it is made concrete: which part of the region it works on, and its draws. */
export interface DrawnList {
  /** Pages at the upper end of the region that addresses are taken from; small means crowded. */
  arena: number
  /** 0: private anonymous memory only, mostly read-write; 1: some files; 2: a colourful mixture. */
  variety: number
  draws: Draw[]
}

const KINDS: readonly { weight: number; value: Operation['kind'] }[] = [
  { weight: 23, value: 'mmap' },
  { weight: 7, value: 'munmap' },
  { weight: 25, value: 'mprotect' },
  { weight: 7, value: 'madvise' },
  { weight: 16, value: 'mremap' },
  { weight: 2, value: 'brk' },
  { weight: 2, value: 'fork' },
  { weight: 1, value: 'exit' },
  { weight: 13, value: 'write' },
  { weight: 6, value: 'read' },
]

const length = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 4 }) },
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 12 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 40 }) },
)

const draw: fc.Arbitrary<Draw> = fc.record({
  kind: fc.oneof(...KINDS.map(({ weight, value }) => ({ weight, arbitrary: fc.constant(value) }))),
  process: fc.nat(MAX_PROCESSES - 1),
  aim: fc.nat(11),
  page: fc.nat(REGION.pages - 1),
  targetAim: fc.nat(11),
  target: fc.nat(REGION.pages - 1),
  length,
  newLength: length,
  prot: fc.nat(15),
  choice: fc.nat(99),
  file: fc.nat(23),
  offset: fc.nat(11),
  oddity: fc.nat(99),
})

/** Lists of up to `maxLength` operations. */
export function drawnLists(maxLength: number): fc.Arbitrary<DrawnList> {
  return fc.record({
    arena: fc.constantFrom(8, 16, 24, REGION.pages),
    variety: fc.nat(2),
    draws: fc.array(draw, { minLength: 1, maxLength, size: 'max' }),
  })
}
