// What a detector says once something is wrong: enough for a reader to see the race, and for the minimiser to know the same
// failure again.

/** An earlier event that belongs to a violation: who freed, queued, locked or wrote what is concerned. */
export interface RelatedEvent {
  /** What happened, without the place: "freed", "queued for RCU", "locked". */
  readonly text: string
  /** Agent c is CPU c's task, agent `cpus + c` its interrupt handler. */
  readonly agent: number
  /** Number of the place in `Tree.sites`; 0 where it is not known. */
  readonly site: number
  /** How many events (steps, plain accesses, annotations) were told before it since `Watch.reset`; -1 where not known. */
  readonly event: number
}

/** What is wrong. */
export interface Violation {
  /** Name of the detector: `use-after-free`, `deadlock`, `rss` … The same bug is found by the same detector. */
  readonly detector: string
  /** Whether it is a rule about how code is written (balance, lock order) rather than damage done. */
  readonly bookkeeping: boolean
  /** One line for people. Addresses in it are written as `0x…` word addresses. */
  readonly message: string
  /** Whose event it was, or -1 where it belongs to nobody (the end of the execution). */
  readonly agent: number
  /** First words of the objects, or the words, that it is about. */
  readonly objects: readonly number[]
  /** What had happened to them, oldest first. */
  readonly related: readonly RelatedEvent[]
}

/** A watch that can say more than a line of text. */
export interface Explains {
  /** What is wrong so far, or at the end; null while nothing is. Valid once `failure()` or `finish()` answered. */
  violation(): Violation | null
}

/** The violation that `watch` knows of, or null where it explains nothing. */
export function violationOf(watch: object | null): Violation | null {
  return watch !== null && 'violation' in watch ? (watch as Explains).violation() : null
}
