// A Worker that takes part in a shared search: builds the model once, then does its part of one phase after the other.
import { parentPort, workerData } from 'node:worker_threads'
import { type Budget, createBudget, type Limits } from './budget.ts'
import type { IrqOffSection, Model } from './model.ts'
import { compress } from './path.ts'
import { replay } from './replay.ts'
import { ALL_RULES, learn, resultOf, type StateResult } from './states.ts'
import {
  awaitBranch,
  bumpEpoch,
  type Control,
  countExecution,
  epochOf,
  offer,
  openControl,
  release,
  Stop,
  stopAll,
  stopOf,
} from './states-control.ts'
import { beginAnew, createSearch, goBack, runOnce, type StateSearch } from './states-search.ts'
import { watchSegments } from './states-segments.ts'
import { createSharing } from './states-sharing.ts'
import { openTable, type SharedTable } from './states-table.ts'

/** Where a model comes from: an export of a module, called with `args`, returns it or a promise of it. */
export interface ModelSource {
  readonly url: string
  readonly exportName: string
  readonly args: readonly unknown[]
}

/** What a Worker is started with. */
export interface WorkerStart {
  readonly source: ModelSource
  readonly job: number
  readonly jobs: number
  readonly maxSteps: number
  readonly keepGoing: boolean
}

/** What a Worker is told to do. */
export interface WorkerPhase {
  readonly bound: number
  readonly table: SharedTable
  readonly control: SharedArrayBuffer
  readonly sharing: SharedArrayBuffer
  readonly limits: Limits
  /** How much time has been spent already. */
  readonly milliseconds: number
  /** Whether it is the first, before which one Worker learns. */
  readonly first: boolean
}

/** What a Worker answers. */
export type WorkerAnswer =
  | { readonly kind: 'ready'; readonly objects: number; readonly merges: boolean }
  | { readonly kind: 'failed'; readonly message: string }
  | {
      readonly kind: 'done'
      readonly result: StateResult
      readonly violations: number
      readonly message: string
      readonly path: readonly number[]
      /** Places seen: how many, and where they have numbers which. */
      readonly yieldPoints: number
      readonly places: readonly number[]
      readonly irqOff: readonly IrqOffSection[]
    }

const start = workerData as WorkerStart
const answer = (what: WorkerAnswer): void => parentPort?.postMessage(what)

try {
  const module = (await import(start.source.url)) as Record<string, (...args: readonly unknown[]) => Model | Promise<Model>>
  const make = module[start.source.exportName]
  if (make === undefined) throw new Error(`${start.source.url} exports no ${start.source.exportName}`)
  const model = await make(...start.source.args)
  parentPort?.on('message', (phase: WorkerPhase) => {
    try {
      answer(takePart(model, phase))
    } catch (error) {
      stopAll(openControl(phase.control, start.jobs), Stop.budget)
      answer({ kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  })
  answer({ kind: 'ready', objects: model.objects, merges: model.digest !== undefined })
} catch (error) {
  answer({ kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) })
}

function takePart(model: Model, phase: WorkerPhase): WorkerAnswer {
  const { job, jobs, maxSteps, keepGoing } = start
  const control = openControl(phase.control, jobs)
  const sharing = createSharing(model, phase.sharing)
  model.merging?.(true)
  let violations = 0
  let message = ''
  let path: readonly number[] = []
  const search = createSearch(
    model,
    openTable(phase.table),
    sharing,
    watchSegments(sharing, false),
    maxSteps,
    phase.bound,
    ALL_RULES,
    (found, failure) => {
      if (violations++ === 0) {
        message = failure
        path = compress(found)
      }
      return !keepGoing
    },
  )
  if (job === 0 && phase.first) learn(search)
  work(search, control, job, createBudget(phase.limits, phase.milliseconds))
  if (violations > 0) message = replay(model, path) || message
  return {
    kind: 'done',
    result: resultOf(search),
    violations,
    message,
    path,
    yieldPoints: model.yieldPoints(),
    places: model.places?.() ?? [],
    irqOff: model.irqOff?.() ?? [],
  }
}

function work(search: StateSearch, control: Control, job: number, budget: Budget): void {
  const { sharing, tally } = search
  let anew = job === 0
  let working = anew
  for (;;) {
    if (!working && !awaitBranch(control, search)) return
    working = true
    runOnce(search, anew)
    control.parts[1 + job] = tally.done
    control.counts[2 * job] = tally.states
    control.counts[2 * job + 1] = search.depth
    search.stopped ||= budget(countExecution(control))
    if (search.ended || search.stopped !== '') stopAll(control, search.ended ? Stop.violation : Stop.budget)
    if (stopOf(control) !== Stop.no) return
    anew = sharing.grown
    if (anew) {
      sharing.grown = false
      tally.restarts++
      beginAnew(search, bumpEpoch(control))
      continue
    }
    offer(control, search)
    if (search.epoch === epochOf(control) && goBack(search)) continue
    working = false
    release(control)
  }
}
