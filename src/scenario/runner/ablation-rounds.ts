// In which rounds the cells are searched with a changed kernel, and what is known of a cell by then. Most changes are noticed with few
// preemptions: so all cells are searched quickly before any is searched to the end, but for those that the changed place concerns.
import type { Cell } from './cells.ts'
import type { CellName, Trial } from './question.ts'

/** Preemptions up to which every scenario that executes a site is searched, before any is searched to the end. */
export const FIRST_BOUND = 1

/** A cell, how to ask for it, how long it takes to run through, and whether that is the whole of it. */
export interface Tried {
  readonly cell: Cell
  readonly name: CellName
  readonly milliseconds: number
  readonly small: boolean
}

/** What is known of a cell with a changed kernel. Marks say whether it executes the changed place. */
export interface Seen {
  /** Whether it was seen to execute it, in whatever search. */
  executed: boolean
  /** For each variant of the change, how far it was searched without noticing, and whether a search to the end was broken off. */
  readonly searched: ('not' | 'bounded' | 'proved')[]
  readonly gaveUp: boolean[]
}

/** Of a cell that was not searched yet. */
export function nothingSeen(variants: number): Seen {
  return { executed: false, searched: Array(variants).fill('not'), gaveUp: Array(variants).fill(false) }
}

/** Searches of some cells with a changed kernel. */
export interface Round {
  readonly how: 'quick' | 'to the end'
  readonly cells: (seen: (one: Tried) => Seen) => readonly Tried[]
  /** How much of a site's time may have gone by at its end, and how much it has in any case. */
  readonly until: number
  readonly atLeast: number
}

/** Quickly means all of it, unless something goes round for ever: what that round says is said of all cells. */
const QUICK = { how: 'quick', until: 4, atLeast: 0 } as const
const TO_THE_END = { how: 'to the end', until: 1, atLeast: 0.5 } as const

/** Few preemptions find most of what can be found; only who survives that on all cells is worth a search of the rest to the end. */
export function roundsOfMany(through: readonly Tried[]): Round[] {
  return [
    { ...QUICK, cells: () => through },
    { ...TO_THE_END, cells: () => through },
  ]
}

/** Who asks for one place waits for the answer: the cells that are about it are asked first, to the end. */
export function roundsAlone(all: readonly Tried[], about: (one: Tried) => boolean): Round[] {
  const near = all.filter(about)
  return [
    { ...TO_THE_END, until: 0.5, cells: () => near },
    { ...QUICK, cells: () => all },
    { ...TO_THE_END, cells: (seen) => all.filter((one) => mayExecute(seen(one), near.includes(one))) },
  ]
}

/** Whether a cell may execute the place: who is `about` it may also where few preemptions did not come there. */
function mayExecute({ executed, searched }: Seen, about: boolean): boolean {
  return executed || !searched.some((far) => far === 'proved' || (far === 'bounded' && !about))
}

/** Notes what a search without a violation has shown of a cell. */
export function note(seen: Seen, variant: number, { how }: Round, { verdict, preemptions, executed }: Trial): void {
  if (executed) seen.executed = true
  const far = verdict === 'proved' ? 'proved' : (preemptions ?? -1) >= FIRST_BOUND ? 'bounded' : 'not'
  if (far === 'not') {
    if (how === 'to the end') seen.gaveUp[variant] = true
    return
  }
  // Where the changed place is not executed all changes of it come to the same.
  const same = seen.executed ? [variant] : seen.searched.keys()
  for (const one of same) if (seen.searched[one] !== 'proved') seen.searched[one] = far
}
