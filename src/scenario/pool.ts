// Workers that check cells side by side: one cell each at a time, results as they come. Cells travel by name, because
// scenarios are functions.
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Progress } from '../check/explore/index.ts'
import { SCENARIOS, scenariosIn } from './all.ts'
import type { Cell } from './cells.ts'
import { type CheckOptions, type CheckResult, cellOf } from './check.ts'
import { ScenarioError } from './errors.ts'
import type { Combination } from './scenario.ts'
import { scratchDirectory } from './scratch.ts'

/** What of `CheckOptions` can be sent. */
export type SentOptions = Omit<CheckOptions, 'tree' | 'onProgress'>

/** A cell by name; `file`: where the scenario comes from, null for those that ship. */
export interface CellName {
  readonly file: string | null
  readonly scenario: string
  readonly variant: string | null
  readonly combination: Combination
}

/** Changed files of the kernel: an ablation. */
export interface Change {
  readonly files: Readonly<Record<string, string>>
}

/** What a Worker is asked. */
export interface Question {
  readonly id: number
  readonly cell: CellName
  readonly options: SentOptions
  readonly change: Change | null
}

/** What it answers. */
export type Answer =
  | { readonly kind: 'progress'; readonly id: number; readonly progress: Progress }
  | { readonly kind: 'result'; readonly id: number; readonly result: CheckResult }
  | { readonly kind: 'failed'; readonly id: number; readonly name: string; readonly message: string; readonly stack: string }

/** The cell called `name`. Throws `ScenarioError`. */
export async function cellNamed({ file, scenario, variant, combination }: CellName): Promise<Cell> {
  const found = (file === null ? SCENARIOS : await scenariosIn(file)).find(({ name }) => name === scenario)
  if (found === undefined) throw new ScenarioError(`there is no scenario ${scenario}`)
  return cellOf(found, combination, variant)
}

/** Workers at work. */
export interface Pool {
  /**
   * Checks a cell on the next Worker that is free. Rejects with a `ScenarioError` for what is wrong with the scenario, else with
   * an error that names the cell and has the `name` and stack of what the Worker threw.
   */
  check(cell: CellName, options: SentOptions, change?: Change, onProgress?: (progress: Progress) => void): Promise<CheckResult>
  /** Ends the Workers. */
  close(): Promise<void>
}

interface Waiting {
  readonly question: Question
  readonly resolve: (result: CheckResult) => void
  readonly reject: (error: Error) => void
  readonly onProgress: ((progress: Progress) => void) | undefined
}

/** Changed kernels that a Worker loads before it is replaced: modules are never unloaded. */
const CHANGES_PER_WORKER = 60

/** The `name` of the error of a Worker that ended before it answered: out of memory, for one. */
export const WORKER_BROKE = 'WorkerBroke'

/** What a Worker says that it threw, as an error of this thread. */
function errorOf(cell: CellName, { name, message, stack }: Extract<Answer, { kind: 'failed' }>): Error {
  return name === 'ScenarioError' ? new ScenarioError(message) : failed(cell, name, message, stack)
}

function failed(
  { scenario, variant, combination: { design, arch, freeing } }: CellName,
  name: string,
  message: string,
  stack: string,
): Error {
  const cell = `${scenario}${variant === null ? '' : `:${variant}`} [${design}, ${arch}, ${freeing}]`
  const error = new Error(`${cell} could not be checked: ${message}`)
  error.name = name
  error.stack = `${error.message}\n${stack}`
  return error
}

/** Starts `jobs` Workers (default: as many as there are cores). */
export function openPool(jobs: number = availableParallelism()): Pool {
  const queue: Waiting[] = []
  const idle: { worker: Worker; changes: number }[] = []
  const all = new Set<Worker>()
  let next = 0
  let started = 0
  const start = (): { worker: Worker; changes: number } => {
    const worker = new Worker(new URL('./cell-worker.js', import.meta.url), { workerData: scratchDirectory() })
    all.add(worker)
    return { worker, changes: 0 }
  }
  const give = (): void => {
    while (queue.length > 0 && (idle.length > 0 || started < jobs)) {
      if (idle.length === 0) started++
      const seat = idle.pop() ?? start()
      serve(seat, queue.shift() as Waiting)
    }
  }
  const serve = (seat: { worker: Worker; changes: number }, waiting: Waiting): void => {
    const { worker } = seat
    const done = (): void => {
      worker.off('message', heard)
      worker.off('error', broke)
      worker.off('exit', left)
    }
    const replace = (): void => {
      all.delete(worker)
      void worker.terminate()
      started--
    }
    const heard = (answer: Answer): void => {
      if (answer.kind === 'progress') {
        waiting.onProgress?.(answer.progress)
        return
      }
      done()
      if (waiting.question.change !== null && ++seat.changes >= CHANGES_PER_WORKER) replace()
      else idle.push(seat)
      if (answer.kind === 'result') waiting.resolve(answer.result)
      else waiting.reject(errorOf(waiting.question.cell, answer))
      give()
    }
    const broke = (error: Error): void => {
      done()
      replace()
      waiting.reject(failed(waiting.question.cell, WORKER_BROKE, `the Worker broke: ${error.message}`, error.stack ?? ''))
      give()
    }
    const left = (code: number): void => broke(new Error(`it ended with code ${code}`))
    worker.on('message', heard)
    worker.on('error', broke)
    worker.on('exit', left)
    worker.postMessage(waiting.question)
  }
  return {
    check: (cell, options, change, onProgress) =>
      new Promise((resolve, reject) => {
        queue.push({ question: { id: next++, cell, options, change: change ?? null }, resolve, reject, onProgress })
        give()
      }),
    close: async () => {
      queue.length = 0
      await Promise.all([...all].map((worker) => worker.terminate()))
    },
  }
}
