// What came of the questions of a matrix, for those who print it.
import type { CheckResult } from '../scenario/runner/check.ts'
import type { MatrixTable } from '../scenario/runner/matrix.ts'

/** What one meeting of row and column came to: the check, and the file with its counterexample. */
export interface MatrixEntry {
  readonly result: CheckResult
  readonly counterexample: string | null
}

/** A table of the matrix with what came of it: for each row an entry per column. */
export interface MatrixResult {
  readonly table: MatrixTable
  readonly rows: readonly (readonly (MatrixEntry | null)[])[]
}
