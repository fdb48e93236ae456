// Runs tasks on stepped CPUs, one announced operation at a time, in the order that a scheduler chooses.

import { formatSite, UNKNOWN_SITE } from '../compile/sites.ts'
import { Row } from '../compile/stepped/announce.ts'
import { Op } from '../compile/stepped/ops.ts'
import {
  canInterrupt,
  createExecution,
  currentFrame,
  type Execution,
  Frame,
  type Machine,
  pendingOp,
  rowOf,
  sawChange,
  type Task,
} from './execution.ts'
import { type Outcome, outcomeOf, type Verdict } from './outcome.ts'
import { BLOCKED, perform } from './perform.ts'
import { record, roundRobinScheduler, type Scheduler } from './schedule.ts'
import type { Steps, Tree } from './tree.ts'

/** Spins that a CPU gets in a row although no other CPU changes anything: its own turns may be what it waits for. */
const FUTILE_SPINS = 100

/** How to run. */
export interface RunOptions {
  /** Steps after which the execution is stopped. Default one million. */
  readonly maxSteps?: number
  /** Called after each step with the agent that took it and the operation it performed (0: it began). */
  readonly onStep?: (agent: number, op: number, a: number, b: number, c: number, result: number, site: number) => void
}

/** Binds `tree` to the machine in `buffer`, whose memory is laid out already (natively, or by `runAlone`). */
export function bindMachine(
  tree: Tree,
  options: { readonly buffer: SharedArrayBuffer; readonly cpus: number; readonly perCpuAreas: number; readonly interrupt?: Task | null },
): Machine {
  tree.heap.bindHeap(options.buffer)
  tree.announce.bindAreas(options.perCpuAreas)
  tree.announce.observe(null) // whoever watched the machine before
  return { tree, words: tree.heap.words, cpus: options.cpus, areas: options.perCpuAreas, interrupt: options.interrupt ?? null }
}

/** Runs one task to its end on CPU `cpu` while the others do nothing. Returns its result; throws when it cannot end. */
export function runAlone(machine: Machine, task: Task, cpu = 0): unknown {
  const tasks: (Task | null)[] = new Array(machine.cpus).fill(null)
  tasks[cpu] = task
  const outcome = run(machine, tasks, roundRobinScheduler())
  if (outcome.verdict !== 'finished') throw new Error(outcome.message, { cause: outcome.error })
  return outcome.results[cpu]
}

/** Runs `tasks`, one per CPU, until all are done or nothing can go on. */
export function run(machine: Machine, tasks: readonly (Task | null)[], scheduler: Scheduler, options: RunOptions = {}): Outcome {
  const execution = createExecution(machine, tasks)
  const schedule: number[] = []
  const agents = new Int32Array(machine.cpus * 2)
  const maxSteps = options.maxSteps ?? 1_000_000
  const end = (verdict: Verdict, error: Error | null = null): Outcome => outcomeOf(execution, verdict, schedule, error)

  while (execution.unfinished > 0) {
    if (execution.steps >= maxSteps) return end('stopped')
    let count = runnable(execution, agents)
    if (count === 0) {
      count = spinning(execution, agents)
      if (count === 0) return end(isSpinning(execution) ? 'livelock' : 'deadlock')
    }
    const index = scheduler.choose(agents, count)
    if (index < 0) return end('stopped')
    const agent = agents[index] as number
    record(schedule, agent)
    execution.steps++
    try {
      step(execution, agent, options.onStep)
    } catch (error) {
      return end('error', placed(execution, agent, error))
    }
  }
  return end('finished')
}

/** Writes the agents that can run to `agents`. Returns how many. */
function runnable(execution: Execution, agents: Int32Array): number {
  let count = 0
  for (let cpu = 0; cpu < execution.machine.cpus; cpu++) {
    const frame = currentFrame(execution, cpu)
    const state = execution.states[frame]
    if (state === Frame.woken || (state === Frame.ready && (pendingOp(execution, frame) !== Op.relax || sawChange(execution, frame)))) {
      agents[count++] = cpu
    }
    if (canInterrupt(execution, cpu)) agents[count++] = ~cpu
  }
  return count
}

/** The same for CPUs that spin though nothing changed, while they have turns left. */
function spinning(execution: Execution, agents: Int32Array): number {
  let count = 0
  for (let cpu = 0; cpu < execution.machine.cpus; cpu++) {
    const frame = currentFrame(execution, cpu)
    if (execution.states[frame] === Frame.ready && (execution.futile[frame] as number) < FUTILE_SPINS) agents[count++] = cpu
  }
  return count
}

function isSpinning(execution: Execution): boolean {
  for (let cpu = 0; cpu < execution.machine.cpus; cpu++) {
    if (execution.states[currentFrame(execution, cpu)] === Frame.ready) return true
  }
  return false
}

/** One step of `agent`: performs what it announced and runs its code to the next announcement. */
function step(execution: Execution, agent: number, onStep: RunOptions['onStep']): void {
  if (agent < 0) {
    const cpu = ~agent
    execution.levels[cpu] = 1
    begin(execution, cpu * 2 + 1, execution.machine.interrupt as Task)
    onStep?.(agent, 0, 0, 0, 0, 0, 0)
    return
  }
  const frame = currentFrame(execution, agent)
  const { rows } = execution
  const row = rowOf(frame)
  const op = rows[row + Row.op] as number
  if (op === 0 && execution.generators[frame] === null) {
    begin(execution, frame, execution.tasks[agent] as Task)
    onStep?.(agent, 0, 0, 0, 0, 0, 0)
    return
  }
  if (op === Op.relax) execution.futile[frame] = sawChange(execution, frame) ? 0 : (execution.futile[frame] as number) + 1
  const a = rows[row + Row.a] as number
  const b = rows[row + Row.b] as number
  const c = rows[row + Row.c] as number
  const site = rows[row + Row.site] as number
  const result = perform(execution, frame)
  if (result !== BLOCKED) resume(execution, frame, execution.generators[frame] as Steps<unknown>, result)
  onStep?.(agent, op, a, b, c, result, site)
}

/** Calls the function of a frame and runs it to its first announcement. */
function begin(execution: Execution, frame: number, task: Task): void {
  const { announce } = execution.machine.tree
  announce.selectCpu(frame >> 1, frame & 1)
  execution.states[frame] = Frame.ready
  const before = announce.plainChanges
  const made = task()
  if (isGenerator(made)) {
    execution.generators[frame] = made
    resume(execution, frame, made, 0)
  } else {
    countPlain(execution, frame, before)
    finish(execution, frame, made)
  }
}

function isGenerator(made: unknown): made is Steps<unknown> {
  return typeof made === 'object' && made !== null && 'next' in made
}

function resume(execution: Execution, frame: number, generator: Steps<unknown>, value: number): void {
  const { announce } = execution.machine.tree
  announce.selectCpu(frame >> 1, frame & 1)
  const before = announce.plainChanges
  execution.rows[rowOf(frame) + Row.op] = 0 // a bare `yield` announces nothing and must not repeat the last operation
  const { done, value: result } = generator.next(value)
  if (before !== announce.plainChanges) countPlain(execution, frame, before)
  if (done) finish(execution, frame, result)
}

function countPlain(execution: Execution, frame: number, before: number): void {
  const changes = execution.machine.tree.announce.plainChanges - before
  execution.changes = (execution.changes + changes) | 0
  execution.ownChanges[frame] = (execution.ownChanges[frame] as number) + changes
}

function finish(execution: Execution, frame: number, result: unknown): void {
  const cpu = frame >> 1
  execution.generators[frame] = null
  if ((frame & 1) === 1) {
    execution.levels[cpu] = 0
    execution.states[frame] = Frame.none
  } else {
    execution.states[frame] = Frame.done
    execution.results[cpu] = result
    execution.unfinished--
  }
}

/** `error` with the place of the last step before it. */
function placed(execution: Execution, agent: number, error: unknown): Error {
  const cpu = agent < 0 ? ~agent : agent
  const site = execution.machine.tree.sites[execution.rows[rowOf(currentFrame(execution, cpu)) + Row.site] as number] ?? UNKNOWN_SITE
  const reason = error instanceof Error ? error.message : String(error)
  return new Error(`CPU ${cpu}, after ${formatSite(site)}: ${reason}`, { cause: error })
}
