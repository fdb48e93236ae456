// What a search with states merged counts, and which of its rules are on.

/** Parts of the reduction that tests switch off. */
export interface Rules {
  readonly sleep: boolean
  readonly local: boolean
  /** Whether executions by chance say at the beginning what is shared. */
  readonly learn: boolean
}

/** What a search has done. */
export interface StateTally {
  /** Runs, each from the beginning. */
  executions: number
  states: number
  /** Steps from one state to the next that were no repetition, local ones included. */
  transitions: number
  replayed: number
  /** States in which nobody can go on and somebody waits for ever. */
  stuck: number
  maxDepth: number
  restarts: number
  /** Agents that took a step, as bits. */
  ran: number
  /** How much of the search lies behind, as a fraction, if all branches of a node were equally large. */
  done: number
}
