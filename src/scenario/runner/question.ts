// What Workers are asked and what they answer. Cells travel by name, because scenarios are functions.
import type { Progress } from '../../check/explore/index.ts'
import { SCENARIOS, scenariosIn } from '../all.ts'
import type { Combination } from './axes.ts'
import type { Cell } from './cells.ts'
import { type CheckOptions, type CheckResult, cellOf } from './check.ts'
import type { Covered } from './coverage.ts'
import { ScenarioError } from './errors.ts'

/** What of `CheckOptions` can be sent. */
export type SentOptions = Omit<CheckOptions, 'tree' | 'onProgress'>

/** A cell by name; `file`: where the scenario comes from, null for those that ship. */
export interface CellName {
  readonly file: string | null
  readonly scenario: string
  readonly variant: string | null
  readonly combination: Combination
}

/** A changed kernel, and the cells on which it is tried one after the other until one notices. */
export interface TrialsQuestion {
  readonly kind: 'trials'
  /** The changed files: path → text. */
  readonly files: Readonly<Record<string, string>>
  /** Where they are those of a design of the user's: its file. */
  readonly design?: string | undefined
  readonly cells: readonly { readonly cell: CellName; readonly options: SentOptions }[]
  /** When the time is over, by `Date.now()`: no cell is begun or goes on. */
  readonly deadline: number
  /** One word in shared memory: once it is not 0 no further cell is begun. */
  readonly stop: Int32Array
}

/** What the check of a changed kernel came to. A kernel that cannot even set the scenario up is a violation, too. */
export interface Trial extends Pick<CheckResult['report'], 'verdict' | 'message' | 'path' | 'preemptions'> {
  readonly milliseconds: number
  /** Whether a mark of the changed kernel was executed. */
  readonly executed: boolean
}

/** What a cell executes of a kernel with marks: one that is built, or the one that ships with the texts of a design of the user's. */
export interface CoverageQuestion {
  readonly kind: 'coverage'
  readonly cell: CellName
  readonly kernel: { readonly directory: string } | { readonly design: string; readonly files: Readonly<Record<string, string>> }
}

/** What a Worker is asked. */
export type Question =
  | { readonly kind: 'check'; readonly cell: CellName; readonly options: SentOptions }
  | TrialsQuestion
  | CoverageQuestion

/** What it finds. */
export interface Findings {
  readonly check: CheckResult
  /** As many as were tried, in the order of the cells. */
  readonly trials: readonly Trial[]
  readonly coverage: Covered
}

/** What it says. */
export type Answer =
  | { readonly kind: 'progress'; readonly progress: Progress }
  /** Begins the next of several cells. */
  | { readonly kind: 'next' }
  | { readonly kind: 'result'; readonly result: Findings[keyof Findings] }
  | { readonly kind: 'failed'; readonly name: string; readonly message: string; readonly stack: string }

/** The cell called `name`. Throws `ScenarioError`. */
export async function cellNamed({ file, scenario, variant, combination }: CellName): Promise<Cell> {
  const found = (file === null ? SCENARIOS : await scenariosIn(file)).find(({ name }) => name === scenario)
  if (found === undefined) throw new ScenarioError(`there is no scenario ${scenario}`)
  return cellOf(found, combination, variant)
}
