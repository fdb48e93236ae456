// Which sites a cell of the matrix executes: it runs on a kernel whose sites are marked, and the marks are read. Ablation checks a
// changed site where it is executed.
import { explore } from '../../check/explore/index.ts'
import type { Tree } from '../../check/index.ts'
import type { Cell } from './cells.ts'
import { rehearse } from './rehearse.ts'

/** How a cell is run to learn what it executes: up to so many preemptions, and then for so long in all interleavings. */
export const LESSONS = Object.freeze({ preemptions: 1, milliseconds: 250 })

/** Milliseconds after which it is enough. */
const LIMIT = 10_000

/** What a cell executes. */
export interface Covered {
  /** Numbers of the marks. */
  readonly marks: readonly number[]
  /** Whether it was not searched up to `LESSONS.preemptions`, so that it may execute more. */
  readonly cut: boolean
  readonly milliseconds: number
  /** Whether that was a search to the end. */
  readonly small: boolean
}

/** Runs `cell` on the marked kernel `tree`. */
export async function coverage(cell: Cell, tree: Tree): Promise<Covered> {
  const { model } = await rehearse(cell, { tree })
  clearMarks(tree)
  const started = performance.now()
  // A design of the user's may fail as it is, and executes more than what it does until then.
  const few = explore(model, { mode: 'bounded', preemptions: LESSONS.preemptions, milliseconds: LIMIT, keepGoing: true })
  const { verdict } = explore(model, { mode: 'states', milliseconds: LESSONS.milliseconds, keepGoing: true })
  return {
    marks: readMarks(tree),
    cut: few.verdict === 'stopped',
    milliseconds: performance.now() - started,
    small: verdict === 'proved',
  }
}

/** Forgets what was executed: set-up, for one, is not what a scenario asks about. */
export function clearMarks({ announce }: Tree): void {
  announce.marks.fill(0)
}

/** Numbers of the marks that were executed since they were cleared. */
export function readMarks({ announce: { marks } }: Tree): number[] {
  return [...marks.keys()].filter((n) => marks[n] !== 0)
}
