// The phases that a mode of exploration consists of, one after the other, whoever performs them.
import type { Findings, PhaseResult } from './report.ts'

/** How to explore. */
export type Mode = 'exhaustive' | 'states' | 'bounded' | 'check' | 'random' | 'pct'

/** One search. `bound` is the most preemptions, or -1. */
export interface Phase {
  readonly search: 'enumerate' | 'states' | 'optimal' | 'random' | 'pct'
  readonly bound: number
}

/** What the phases came to: their results, and the most preemptions to which they are complete, or null. */
export interface Outcome {
  readonly phases: PhaseResult[]
  readonly preemptions: number | null
}

/** Yields each phase and wants its result. `merges`: the states of the program can be told apart. */
export function* planPhases(mode: Mode, preemptions: number, merges: boolean, found: Findings): Generator<Phase, Outcome, PhaseResult> {
  const phases: PhaseResult[] = []
  let complete: number | null = null
  let unbounded = false
  if (mode === 'bounded' || mode === 'check') {
    for (let bound = 0; bound <= preemptions && !unbounded; bound++) {
      const result = yield { search: merges ? 'states' : 'enumerate', bound }
      phases.push(result)
      if (result.stopped !== '' || found.violations > 0) return { phases, preemptions: complete }
      complete = bound
      unbounded = result.unbounded
    }
    if (mode === 'bounded' || unbounded) return { phases, preemptions: complete }
  }
  if (mode === 'random' || mode === 'pct') phases.push(yield { search: mode, bound: -1 })
  else phases.push(yield { search: mode === 'states' || (mode === 'check' && merges) ? 'states' : 'optimal', bound: -1 })
  return { phases, preemptions: complete }
}
