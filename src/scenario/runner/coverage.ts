// Which sites a cell of the matrix executes: it runs on a kernel whose sites are marked, and the marks are read. Ablation checks a
// changed site where it is executed.
import { explore } from '../../check/explore/index.ts'
import type { Tree } from '../../check/index.ts'
import type { Cell } from './cells.ts'
import { rehearse } from './rehearse.ts'

/** How a cell is run to learn what it executes: all executions with few preemptions, and how long a search takes that is then broken off. */
export const LESSONS = Object.freeze({ preemptions: 1, milliseconds: 250 })

/** What a cell executes. */
export interface Covered {
  /** Numbers of the marks. */
  readonly marks: readonly number[]
  readonly milliseconds: number
  /** Whether that was a search to the end. */
  readonly small: boolean
}

/** Runs `cell` on the marked kernel `tree`. */
export async function coverage(cell: Cell, tree: Tree): Promise<Covered> {
  const { model } = await rehearse(cell, { tree })
  clearMarks(tree)
  const started = performance.now()
  explore(model, { mode: 'bounded', preemptions: LESSONS.preemptions, milliseconds: 10 * LESSONS.milliseconds })
  const { verdict } = explore(model, { mode: 'states', milliseconds: LESSONS.milliseconds })
  return { marks: readMarks(tree), milliseconds: performance.now() - started, small: verdict === 'proved' }
}

/** Set-up, for one, is not what a scenario asks about. */
export function clearMarks({ announce }: Tree): void {
  announce.marks.fill(0)
}

/** Numbers of the marks that were executed since they were cleared. */
export function readMarks({ announce: { marks } }: Tree): number[] {
  return [...marks.keys()].filter((n) => marks[n] !== 0)
}
