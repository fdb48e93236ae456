// What became of an execution, and where each CPU stands, in words.

import { formatSite, type Site, UNKNOWN_SITE } from '../compile/sites.ts'
import { Row } from '../compile/stepped/announce.ts'
import { Op, opName } from '../compile/stepped/ops.ts'
import { currentFrame, type Execution, Frame, rowOf } from './execution.ts'
import type { Schedule } from './schedule.ts'

/**
 * `finished`: every task returned · `deadlock`: nobody can run · `livelock`: all that can run is spinning and nothing
 * changes · `stopped`: the budget of steps, or the schedule, ended it · `error`: stepped code threw.
 */
export type Verdict = 'finished' | 'deadlock' | 'livelock' | 'stopped' | 'error'

/** Where a CPU stands. */
export interface Position {
  readonly cpu: number
  readonly state: 'idle' | 'finished' | 'not begun' | 'running' | 'spinning' | 'asleep'
  readonly inInterrupt: boolean
  /** The operation that the CPU will perform next, as `cmpxchg(4711, 0, 1)`. */
  readonly operation: string
  readonly site: Site
}

/** The result of an execution. */
export interface Outcome {
  readonly verdict: Verdict
  readonly steps: number
  readonly schedule: Schedule
  /** What each task returned. */
  readonly results: readonly unknown[]
  readonly positions: readonly Position[]
  /** The verdict and where the CPUs stand, one line each; empty when all finished. */
  readonly message: string
  readonly error: Error | null
}

const OPERANDS: Readonly<Record<number, number>> = Object.freeze({
  [Op.readOnce]: 1,
  [Op.smpLoadAcquire]: 1,
  [Op.rcuDereference]: 1,
  [Op.sendIpi]: 1,
  [Op.blockOnIo]: 1,
  [Op.cmpxchg]: 3,
  [Op.readEntryWhole]: 1,
  [Op.orEntryWhole]: 3,
  [Op.relax]: 0,
  [Op.irqSave]: 0,
  [Op.irqRestore]: 0,
})

/** Where CPU `cpu` stands. */
export function positionOf(execution: Execution, cpu: number): Position {
  const frame = currentFrame(execution, cpu)
  const row = rowOf(frame)
  const op = execution.rows[row + Row.op] as number
  const state = execution.states[frame]
  const operands = Array.from(execution.rows.subarray(row + Row.a, row + Row.a + (OPERANDS[op] ?? 2)))
  return {
    cpu,
    state:
      state === Frame.none
        ? 'idle'
        : state === Frame.done
          ? 'finished'
          : state === Frame.asleep
            ? 'asleep'
            : op === 0
              ? 'not begun'
              : op === Op.relax
                ? 'spinning'
                : 'running',
    inInterrupt: execution.levels[cpu] !== 0,
    operation: op === 0 ? '' : `${opName(op)}(${operands.join(', ')})`,
    site: execution.machine.tree.sites[execution.rows[row + Row.site] as number] ?? UNKNOWN_SITE,
  }
}

/** One line on a CPU. */
export function formatPosition({ cpu, state, inInterrupt, operation, site }: Position): string {
  const where = state === 'idle' || state === 'finished' || state === 'not begun' ? '' : ` at ${formatSite(site)}: ${operation}`
  return `CPU ${cpu} ${state}${inInterrupt ? ' (interrupt)' : ''}${where}`
}

/** Puts an outcome together. */
export function outcomeOf(execution: Execution, verdict: Verdict, schedule: Schedule, error: Error | null): Outcome {
  const positions: Position[] = []
  for (let cpu = 0; cpu < execution.machine.cpus; cpu++) positions.push(positionOf(execution, cpu))
  const heading = error === null ? `${verdict} after ${execution.steps} steps` : error.message
  const message = verdict === 'finished' ? '' : [heading, ...positions.map((position) => `  ${formatPosition(position)}`)].join('\n')
  return { verdict, steps: execution.steps, schedule, results: execution.results, positions, message, error }
}
