// s390: address spaces for scenarios about page tables that are halves of a page.
import type { Calls } from './runner/calls.ts'
import type { Stage } from './runner/stage.ts'

/** An address space with a table for each of `tables`, made by CPU 1 in this order, so that the first two share a page. */
export function tablesOf(stage: Stage, tables: readonly number[]): Calls {
  const mm = stage.newMm()
  for (const n of tables) {
    stage.now(1, mm.mmap(stage.table(n), 1))
    stage.now(1, mm.write(stage.table(n), n))
  }
  return mm
}
