// Progress of an exploration, told now and then.

/** How far an exploration has come. */
export interface Progress {
  /** Executions (runs) of all phases so far, and how many there are in a second. */
  readonly executions: number
  readonly rate: number
  /** States of the phase under way; 0 where states are not merged. */
  readonly states: number
  /** Steps of the latest execution. */
  readonly depth: number
  /** Estimate of the fraction of the phase under way that is done, if all branches of a node are equally large; null if unknown. */
  readonly done: number | null
}

/** Told of each execution; tells the listener of few. */
export type Meter = (executions: number, states: number, depth: number, done: number | null) => void

const LOOK_EVERY = 64
const TELL_EVERY_MS = 100

/** A meter that tells `listener`, at most ten times a second. */
export function createMeter(listener: ((progress: Progress) => void) | undefined, started: number): Meter {
  let calls = 0
  let next = started + TELL_EVERY_MS
  return (executions, states, depth, done) => {
    if (listener === undefined || (++calls & (LOOK_EVERY - 1)) !== 0) return
    const now = performance.now()
    if (now < next) return
    next = now + TELL_EVERY_MS
    listener({ executions, rate: (executions * 1000) / (now - started), states, depth, done })
  }
}
