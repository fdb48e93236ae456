// Budgets: what may end an exploration before it is complete. A search that a budget ended has proved nothing.

/** What may be spent; without limits an exploration runs to its end. */
export interface Limits {
  readonly milliseconds?: number
  readonly executions?: number
  /** States that may be remembered (12 bytes each, at most twice as much reserved), where states are merged. */
  readonly states?: number
}

/** Asked after each execution with how many there were. Answers '' or why to stop. */
export type Budget = (executions: number) => string

/** The budget of `limits`. The clock starts now, with so many milliseconds spent already. */
export function createBudget(limits: Limits, spent = 0): Budget {
  const { executions: most = Number.POSITIVE_INFINITY, milliseconds = Number.POSITIVE_INFINITY } = limits
  const end = performance.now() + milliseconds - spent
  return (executions) => {
    if (executions >= most) return `the budget of ${most} executions is spent`
    // The clock is read every 16 executions: cheap for short ones, soon enough for long ones.
    if ((executions & 15) === 0 && performance.now() >= end) return `the budget of ${milliseconds / 1000} s is spent`
    return ''
  }
}
