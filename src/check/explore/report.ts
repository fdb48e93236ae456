// What an exploration says of itself, put together from its phases.
import type { IrqOffSection } from './model.ts'
import type { Path } from './path.ts'

/**
 * `proved`: every interleaving (of this program, under sequential consistency) was covered and none is wrong · `bounded`:
 * none with up to `preemptions` preemptions is wrong · `stopped`: a budget or bound ended the search, nothing is proved ·
 * `violation`: `path` leads to `failure`.
 */
export type Verdict = 'proved' | 'bounded' | 'stopped' | 'violation'

/** What came of it. */
export interface ExploreReport {
  readonly verdict: Verdict
  /** What went wrong, or why the search stopped, or ''. */
  readonly message: string
  readonly path: Path
  /** Bound to which the search is complete: of preemptions, or null if none was completed. */
  readonly preemptions: number | null
  /** Executions run; where states are merged, runs from the beginning to where nothing new lies ahead. */
  readonly executions: number
  readonly violations: number
  /** Executions found to be covered by others after they had begun. */
  readonly redundant: number
  /** Executions (where states are merged: states) in which an agent waits for ever. */
  readonly stuck: number
  /** Steps performed, and how many of them only repeated a prefix. */
  readonly steps: number
  readonly replayed: number
  /** Steps of the longest execution. */
  readonly maxDepth: number
  /** Where states are merged: states of the largest phase, steps between states, and how often the search began anew. */
  readonly states: number
  readonly transitions: number
  readonly restarts: number
  /** Objects that two or more agents touch and one writes. 0 where states are not merged. */
  readonly sharedObjects: number
  /** Chance that two of the states had the same 64-bit digest, so that one was taken for the other: states² / 2^65. */
  readonly collisionChance: number
  /** Shared objects that were touched, places in the program that were seen, agents that ran. */
  readonly locations: number
  readonly yieldPoints: number
  readonly agents: number
  /** For each CPU and place that turns interrupts off: the most steps until they were on again, the longest first. */
  readonly irqOff: readonly IrqOffSection[]
  readonly milliseconds: number
}

/** No agent took a step: that proves nothing. */
export class NothingExplored extends Error {}

/** What one phase came to. */
export interface PhaseResult {
  readonly executions: number
  readonly redundant: number
  readonly stuck: number
  readonly steps: number
  readonly replayed: number
  readonly maxDepth: number
  readonly locations: number
  /** Why it ended before its end, or ''. */
  readonly stopped: string
  /** Whether every interleaving was covered, had none been stopped. */
  readonly unbounded: boolean
  readonly states?: number
  readonly transitions?: number
  readonly restarts?: number
  readonly sharedObjects?: number
}

/** What was found wrong, and by which agents steps were taken. */
export interface Findings {
  message: string
  path: Path
  violations: number
  /** Agents as bits. */
  ran: number
  yieldPoints: number
  irqOff: readonly IrqOffSection[]
}

/** The report on `phases`, complete to `preemptions`. Throws when nothing was explored: that proves nothing. */
export function reportOn(phases: readonly PhaseResult[], found: Findings, preemptions: number | null, milliseconds: number): ExploreReport {
  const sum = (of: (phase: PhaseResult) => number | undefined): number => phases.reduce((total, phase) => total + (of(phase) ?? 0), 0)
  const most = (of: (phase: PhaseResult) => number | undefined): number => Math.max(...phases.map((phase) => of(phase) ?? 0))
  const stopped = phases.find((phase) => phase.stopped !== '')?.stopped ?? ''
  const unbounded = phases.some((phase) => phase.unbounded)
  const steps = sum((phase) => phase.steps)
  if (steps === 0 && found.violations === 0) throw new NothingExplored('nothing was explored: no agent took a step')
  const states = most((phase) => phase.states)
  let agents = 0
  for (let bits = found.ran; bits !== 0; bits &= bits - 1) agents++
  return {
    verdict: found.violations > 0 ? 'violation' : stopped !== '' ? 'stopped' : unbounded ? 'proved' : 'bounded',
    message: found.violations > 0 ? found.message : stopped,
    path: found.path,
    preemptions,
    executions: sum((phase) => phase.executions),
    violations: found.violations,
    redundant: sum((phase) => phase.redundant),
    stuck: sum((phase) => phase.stuck),
    steps,
    replayed: sum((phase) => phase.replayed),
    maxDepth: most((phase) => phase.maxDepth),
    states,
    transitions: sum((phase) => phase.transitions),
    restarts: sum((phase) => phase.restarts),
    sharedObjects: most((phase) => phase.sharedObjects),
    collisionChance: states ** 2 / 2 ** 65,
    locations: most((phase) => phase.locations),
    yieldPoints: found.yieldPoints,
    agents,
    irqOff: found.irqOff,
    milliseconds,
  }
}
