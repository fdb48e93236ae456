// Several Workers on one search with merged states: they share the table of states and what they learn of sharing, and give
// branches to those that have none.
import { Worker } from 'node:worker_threads'
import type { Limits } from './budget.ts'
import { mergeSections } from './irq-off.ts'
import type { IrqOffSection } from './model.ts'
import type { Path } from './path.ts'
import type { StateResult } from './states.ts'
import { beginControl, type Control, controlBytes, executionsOf, openControl } from './states-control.ts'
import { shareSharing } from './states-sharing.ts'
import { shareTable } from './states-table.ts'
import type { ModelSource, WorkerAnswer, WorkerPhase, WorkerStart } from './states-worker.ts'

/** What a phase came to. */
export interface SharedResult {
  readonly result: StateResult
  readonly violations: number
  readonly message: string
  readonly path: Path
  readonly yieldPoints: number
  readonly places: readonly number[]
  readonly irqOff: readonly IrqOffSection[]
}

/** Counts of a phase under way: runs, states, steps of the latest run, fraction done. */
export type OnCounts = (executions: number, states: number, depth: number, done: number) => void

/** What to search. */
export interface SharedPhase {
  /** Most preemptions, or -1 for all interleavings. */
  readonly bound: number
  readonly states: number
  readonly limits: Limits
  /** Spent already. */
  readonly executions: number
  readonly milliseconds: number
}

/** Workers that explore one model. */
export interface StateWorkers {
  /** Performs one phase at a time. */
  search(phase: SharedPhase, onCounts?: OnCounts): Promise<SharedResult>
  close(): Promise<void>
}

const PROGRESS_MS = 200

/** Starts `jobs` Workers, each with a model of its own from `source`. Rejects if one cannot build it. */
export async function startWorkers(source: ModelSource, jobs: number, maxSteps: number, keepGoing: boolean): Promise<StateWorkers> {
  const workers = Array.from({ length: jobs }, (_, job) => {
    const start: WorkerStart = { source, job, jobs, maxSteps, keepGoing }
    return new Worker(new URL('./states-worker.js', import.meta.url), { workerData: start, name: `check ${job}` })
  })
  const close = async (): Promise<void> => {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
  const answers = (): Promise<WorkerAnswer[]> => Promise.all(workers.map(nextAnswer))
  try {
    const ready = await answers()
    const objects = Math.max(...ready.map((one) => (one.kind === 'ready' ? one.objects : 0)))
    if (ready.some((one) => one.kind === 'ready' && !one.merges)) throw new Error('the states of this program cannot be told apart')
    const sharing = shareSharing(objects)
    let first = true
    return {
      close,
      search: async ({ bound, states, limits, executions, milliseconds }, onCounts) => {
        const buffer = new SharedArrayBuffer(controlBytes(jobs, maxSteps))
        const control = openControl(buffer, jobs)
        beginControl(control, executions)
        const phase: WorkerPhase = { bound, table: shareTable(states), control: buffer, sharing, limits, milliseconds, first }
        first = false
        const timer = onCounts === undefined ? undefined : setInterval(() => report(control, jobs, onCounts), PROGRESS_MS)
        try {
          const all = answers()
          for (const worker of workers) worker.postMessage(phase)
          return sum(await all)
        } finally {
          clearInterval(timer)
        }
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

function nextAnswer(worker: Worker): Promise<WorkerAnswer> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit)
      act()
    }
    const onMessage = (answer: WorkerAnswer): void =>
      settle(() => (answer.kind === 'failed' ? reject(new Error(`a Worker of the search failed: ${answer.message}`)) : resolve(answer)))
    const onError = (error: unknown): void => settle(() => reject(error))
    const onExit = (code: number): void => settle(() => reject(new Error(`a Worker of the search ended with code ${code}`)))
    worker.on('message', onMessage).on('error', onError).on('exit', onExit)
  })
}

function report({ counts, parts, words }: Control, jobs: number, onCounts: OnCounts): void {
  let states = 0
  let depth = 0
  let done = 0
  for (let job = 0; job < jobs; job++) {
    states += counts[2 * job] as number
    depth = Math.max(depth, counts[2 * job + 1] as number)
    done += parts[1 + job] as number
  }
  onCounts(executionsOf({ counts, parts, words }), states, depth, done)
}

function sum(answers: readonly WorkerAnswer[]): SharedResult {
  const done = answers.filter((one) => one.kind === 'done')
  const results = done.map((one) => one.result)
  const total = (of: (result: StateResult) => number): number => results.reduce((count, result) => count + of(result), 0)
  const most = (of: (result: StateResult) => number): number => Math.max(...results.map(of))
  // Of several counterexamples found at the same time the shortest.
  const length = (path: Path): number => path.reduce((count, one, i) => count + (i % 2) * one, 0)
  const wrong = done.filter((one) => one.violations > 0).sort((a, b) => length(a.path) - length(b.path))
  return {
    result: {
      tally: {
        executions: total(({ tally }) => tally.executions),
        states: total(({ tally }) => tally.states),
        transitions: total(({ tally }) => tally.transitions),
        replayed: total(({ tally }) => tally.replayed),
        stuck: total(({ tally }) => tally.stuck),
        restarts: total(({ tally }) => tally.restarts),
        done: total(({ tally }) => tally.done),
        maxDepth: most(({ tally }) => tally.maxDepth),
        ran: results.reduce((bits, { tally }) => bits | tally.ran, 0),
      },
      stopped: results.find((result) => result.stopped !== '')?.stopped ?? '',
      cut: results.some((result) => result.cut),
      shared: most((result) => result.shared),
      touched: most((result) => result.touched),
    },
    violations: done.reduce((count, one) => count + one.violations, 0),
    message: wrong[0]?.message ?? '',
    path: wrong[0]?.path ?? [],
    yieldPoints: Math.max(...done.map((one) => one.yieldPoints)),
    places: done.flatMap((one) => one.places),
    irqOff: mergeSections(done.flatMap((one) => one.irqOff)),
  }
}
