// One execution after another, step by step, with plain accesses checked for their order: what every mode but optimal
// reduction (which has its own trace) runs on.
import type { Model } from './model.ts'
import { beginPlainOrder, type PlainOrder, stepPlainOrder, watchPlainOrder } from './plain-order.ts'
import { append, createTrace, hasRoom, truncate } from './trace.ts'

/** Executions of a model. */
export interface WatchedRun {
  /** Begins the next execution. */
  begin(): void
  step(agent: number): void
  /** Whether one more step fits. */
  hasRoom(agent: number): boolean
  /** Judges an execution in which nobody can go on; `blocked` wait for ever. Returns what is wrong, or ''. */
  finish(blocked: number): string
  locations(): number
}

/** Prepares executions of `model` with at most `maxDepth` steps. */
export function watchRuns(model: Model, maxDepth: number): WatchedRun {
  const trace = createTrace(model, maxDepth)
  const plain = watchPlainOrder(trace)
  const repeat = (order: PlainOrder): void => {
    beginPlainOrder(order)
    model.reset()
    for (let event = 0; event < trace.depth; event++) {
      stepPlainOrder(order, trace.agentOf[event] as number, event)
      model.step(trace.agentOf[event] as number)
    }
  }
  return {
    begin: () => {
      truncate(trace, 0)
      if (plain !== null) beginPlainOrder(plain)
      model.reset()
    },
    step: (agent) => {
      append(trace, agent, model.footprint(agent))
      if (plain !== null) stepPlainOrder(plain, agent, trace.depth - 1)
      model.step(agent)
    },
    hasRoom: (agent) => hasRoom(trace, model.footprint(agent)),
    finish: (blocked) => {
      while (plain?.again) repeat(plain)
      return model.failure() || (plain?.failure ?? '') || model.finish(blocked)
    },
    locations: () => trace.locations,
  }
}
