// Workers that answer questions side by side: one each at a time, answers as they come. One that says nothing for long is
// ended: a kernel may go round for ever without an instruction at which a search could stop.
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Progress } from '../../check/explore/index.ts'
import { DesignFileError } from '../../compile/design-file.ts'
import { combinationText } from './axes.ts'
import { ScenarioError } from './errors.ts'
import type { Answer, CellName, Findings, Question } from './question.ts'
import { scratchDirectory } from './scratch.ts'

/** Workers at work. */
export interface Pool {
  /**
   * Asks the next Worker that is free. Rejects with a `ScenarioError` for what is wrong with the scenario, else with an error that
   * names the cell and has the `name` and stack of what the Worker threw. Tells `onProgress` of what it is at, and `onNext` of each of
   * several cells that it begins.
   */
  ask<K extends Question['kind']>(
    question: Extract<Question, { kind: K }>,
    onProgress?: (progress: Progress) => void,
    onNext?: () => void,
  ): Promise<Findings[K]>
  /** Ends the Workers. */
  close(): Promise<void>
}

/** A question that has not been answered. */
interface Waiting {
  readonly question: Question
  readonly resolve: (result: Findings[keyof Findings]) => void
  readonly reject: (error: Error) => void
  readonly onProgress: ((progress: Progress) => void) | undefined
  readonly onNext: (() => void) | undefined
}

/** A Worker, and how many changed kernels it has loaded. */
interface Seat {
  readonly worker: Worker
  changes: number
}

/** Changed kernels that a Worker loads before it is replaced: modules are never unloaded. */
const CHANGES_PER_WORKER = 60

/** Milliseconds without a word after which a Worker is given up. */
const SILENCE = 60_000

/** The `name` of the error of a Worker that ended before it answered: out of memory, for one. */
export const WORKER_BROKE = 'WorkerBroke'

/** The `name` of the error of a Worker that said nothing for a minute. */
export const WORKER_SILENT = 'WorkerSilent'

/** That a Worker failed, at which of several cells. */
export interface WorkerError extends Error {
  at?: number
}

/** What a Worker says that it threw, as an error of this thread. */
function errorOf(question: Question, { name, message, stack }: Extract<Answer, { kind: 'failed' }>): Error {
  if (name === 'DesignFileError') return new DesignFileError(message)
  return name === 'ScenarioError' ? new ScenarioError(message) : failed(question, name, message, stack)
}

function failed(question: Question, name: string, message: string, stack: string, at = 0): Error {
  const cell = question.kind === 'trials' ? question.cells[at]?.cell : question.cell
  const error: WorkerError = new Error(`${cell === undefined ? 'nothing' : named(cell)} could not be checked: ${message}`)
  error.name = name
  error.at = at
  error.stack = `${error.message}\n${stack}`
  return error
}

function named({ scenario, variant, combination }: CellName): string {
  return `${scenario}${variant === null ? '' : `:${variant}`} [${combinationText(combination)}]`
}

/** Starts `jobs` Workers (default: as many as there are cores), each given up after `silence` milliseconds without a word. */
export function openPool(jobs: number = availableParallelism(), silence = SILENCE): Pool {
  const queue: Waiting[] = []
  const idle: Seat[] = []
  const all = new Set<Worker>()
  let started = 0
  const start = (): Seat => {
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
  const serve = (seat: Seat, waiting: Waiting): void => {
    const { worker } = seat
    const { question } = waiting
    let begun = 0
    const done = (): void => {
      clearTimeout(timer)
      worker.off('message', heard)
      worker.off('error', broke)
      worker.off('exit', left)
    }
    const replace = (): void => {
      all.delete(worker)
      void worker.terminate()
      started--
    }
    const giveUp = (name: string, message: string, stack: string): void => {
      done()
      replace()
      waiting.reject(failed(question, name, message, stack, Math.max(begun - 1, 0)))
      give()
    }
    const heard = (answer: Answer): void => {
      timer.refresh()
      if (answer.kind === 'next') {
        begun++
        waiting.onNext?.()
        return
      }
      if (answer.kind === 'progress') {
        waiting.onProgress?.(answer.progress)
        return
      }
      done()
      if (question.kind === 'trials' && ++seat.changes >= CHANGES_PER_WORKER) replace()
      else idle.push(seat)
      if (answer.kind === 'result') waiting.resolve(answer.result)
      else waiting.reject(errorOf(question, answer))
      give()
    }
    const broke = (error: Error): void => giveUp(WORKER_BROKE, `the Worker broke: ${error.message}`, error.stack ?? '')
    const left = (code: number): void => broke(new Error(`it ended with code ${code}`))
    const silent = (): void =>
      giveUp(WORKER_SILENT, `nothing was heard of it for ${silence / 1000} s: does a loop end that touches no shared memory?`, '')
    const timer = setTimeout(silent, silence)
    worker.on('message', heard)
    worker.on('error', broke)
    worker.on('exit', left)
    worker.postMessage(question)
  }
  return {
    ask: (question, onProgress, onNext) =>
      new Promise((resolve, reject) => {
        queue.push({ question, resolve: resolve as Waiting['resolve'], reject, onProgress, onNext })
        give()
      }),
    close: async () => {
      queue.length = 0
      await Promise.all([...all].map((worker) => worker.terminate()))
    },
  }
}
