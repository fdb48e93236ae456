// What a detector is told of an execution. Detectors watch; they never change what happens. Whatever of the past a detector
// remembers and may still judge by belongs into its digest: an exploration that merges equal states goes by it.

/** A watcher of executions of the stepped kernel. Agent c is CPU c's task, agent `cpus + c` its interrupt handler. */
export interface Watch {
  /** An execution begins: memory is as the set-up left it. Agents then run to their first steps: plain accesses may follow. */
  reset(): void
  /** CPU `cpu` is about to take the first step of its call number `call`. */
  callBegins(cpu: number, call: number): void
  /** CPU `cpu`'s call number `call` has returned; all its steps are taken. */
  callReturns(cpu: number, call: number, result: unknown): void
  /** CPU `cpu` is interrupted: its handler begins, or has returned. */
  interruptBegins(cpu: number): void
  interruptReturns(cpu: number): void
  /**
   * `agent` has performed the step `op` at `site`; the code behind it has not run yet. For an operation on one word that is
   * `a`, and `before` and `after` are its values; for one on an entry (see `onEntry`) they are what both words have together;
   * else both are 0. A `futexWait` that sleeps is told when it falls asleep,
   * and as operation `RESUME` once it goes on.
   */
  step(agent: number, op: number, a: number, b: number, c: number, before: number, after: number, site: number): void
  /** `agent` is about to perform a plain access or a fence (`load`, `store`, `zeroPage`, `copyPage`, `smpMb` …). */
  plain(agent: number, op: number, a: number, b: number, c: number, site: number): void
  /** `agent` passes an annotation (`allocated` … `mightSleep`). */
  note(agent: number, op: number, a: number, b: number, c: number, site: number): void
  /** What is wrong so far, or ''. Asked after each step. */
  failure(): string
  /** All calls have returned, or nobody can go on (`blocked`: agents that wait, as bits). What is wrong, or ''. */
  finish(blocked: number): string
  /** Remembers what is known now of the execution. Returns what brings that back, as often as it is called. Absent: nothing can. */
  save?(): () => void
  /** Adds what is remembered of the past to the two words of `into`. Equal memory of the past gives equal words. */
  digest(into: Int32Array): void
}
