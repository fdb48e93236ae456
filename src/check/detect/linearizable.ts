// Results as if the calls had come one at a time: some order of the calls, in which whoever returned before another began comes
// first, gives a sequential model the same results and the same address space at the end.
import type { CallDescription, CallRecord, Calls } from './calls.ts'
import type { Detector, Scene } from './scene.ts'

/** Calls that are compared at most: all orders are tried. */
const MAX_CALLS = 6

/** A sequential model of what the calls do. */
export interface Sequential {
  /** As the set-up left it. */
  create(): SequentialRun
  /** The machine's final state in the model's words. */
  state(words: Int32Array): string
  /** Whether the result that a call had is the one expected. Default: equal. */
  agrees?(call: CallDescription, expected: unknown, result: unknown): boolean
}

/** One sequence of calls. */
export interface SequentialRun {
  apply(call: CallDescription): unknown
  state(): string
}

/** Searches an order of `records` that explains their results and the final state. Returns it, or null. */
export function explain(records: readonly CallRecord[], sequential: Sequential, state: string): readonly CallRecord[] | null {
  const { agrees = (_call, expected, result) => expected === result } = sequential
  const search = (order: readonly CallRecord[]): readonly CallRecord[] | null => {
    const run = sequential.create()
    for (const { description, result } of order) {
      if (description.nothingDone?.includes(result as number)) continue
      if (!agrees(description, run.apply(description), result)) return null
    }
    if (order.length === records.length) return run.state() === state ? order : null
    const left = records.filter((record) => !order.includes(record))
    for (const next of left) {
      if (left.some((other) => other !== next && other.returned <= next.began)) continue
      const found = search([...order, next])
      if (found !== null) return found
    }
    return null
  }
  return search([])
}

/** Judges the results of executions in which all calls returned. */
export function detectNonlinearizable(scene: Scene, calls: Calls, sequential: Sequential): Detector {
  return {
    finish: (blocked) => {
      const records = calls.records.filter(({ returned }) => returned >= 0)
      if (blocked !== 0 || records.length === 0 || records.length > MAX_CALLS) return
      const state = sequential.state(scene.words)
      if (explain(records, sequential, state) !== null) return
      const results = records.map(({ cpu, description, result }) => `CPU ${cpu} ${description.name} returned ${String(result)}`)
      scene.report({
        detector: 'linearizability',
        bookkeeping: false,
        message: `no order of the calls explains their results: ${results.join(', ')}; at the end ${state}`,
        agent: -1,
        objects: [],
        related: [],
      })
    },
  }
}
