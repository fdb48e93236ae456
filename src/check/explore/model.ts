// What exploration asks of a program: agents that each announce one operation at a time, and memory that can be brought
// back. Litmus programs (litmus.ts) and the stepped kernel (kernel-model.ts) are its implementations.
import type { Footprints } from './footprint.ts'

/** The longest section with interrupts off that CPU `cpu` was in from one place. */
export interface IrqOffSection {
  readonly cpu: number
  /** Where they were turned off: `function file:line`. */
  readonly place: string
  /** Steps that were taken with interrupts off, the one that turns them on included. */
  readonly steps: number
}

/** Whether an agent can go on. */
export const Status = Object.freeze({
  /** It has nothing to do, now or ever, unless another agent's operation gives it something. */
  done: 0,
  ready: 1,
  /** Its announced operation cannot be performed now. */
  blocked: 2,
  /** The same, but it waits for nothing: nobody minds if it never goes on (an interrupt that need not arrive). */
  idle: 3,
})

/**
 * An agent of a state that was brought back cannot go on: begun once more, it did not come to where it was, because what it was begun
 * with has become something else. The state can only be reached by steps.
 */
export class BeganOtherwise extends Error {
  override readonly name = 'BeganOtherwise'
}

/** The value that an object would have in some state other than the present. */
export type ValueAt = (object: number) => number

/** A concurrent program. Deterministic: the same agents in the same order do the same. */
export interface Model {
  /** At most 31. */
  readonly agents: number
  /** Objects are numbers from 1 to `objects - 1`. */
  readonly objects: number
  readonly footprints: Footprints
  /** For each agent the processor on which it runs, or null. Agents of one processor do nothing side by side. */
  readonly groups: Int32Array | null
  /** Brings memory and all agents back to where they began. */
  reset(): void
  status(agent: number): number
  /** What the announced operation touches if it is performed now; if blocked, once it can be. */
  footprint(agent: number): number
  /** Whether the footprint, or being blocked, depends on the values that the operation finds. */
  conditional(agent: number): boolean
  /** The footprint of the announced operation where objects have the values `valueAt`, or `DISABLED`. */
  predict(agent: number, valueAt: ValueAt): number
  /** The present value of an object. */
  value(object: number): number
  /** Performs the announced operation of a ready agent and runs it to its next one. Throws `BeganOtherwise`. */
  step(agent: number): void
  /** What went wrong so far in this execution, or ''. */
  failure(): string
  /** Judges an execution in which no agent is ready. `blocked` are still waiting. Returns what is wrong, or ''. */
  finish(blocked: number): string
  /**
   * Puts into the two words of `into` a digest of the whole state: memory, where each agent stands and with which locals, and
   * what watchers remember. Equal states have equal digests; unequal ones differ but for a chance of 2^-64. Absent: the
   * program's states cannot be told apart.
   */
  digest?(into: Int32Array): void
  /**
   * Remembers the present state. What is returned brings it back, as often as it is called, and returns true; false if the model was
   * reset since: then it has done nothing. Absent: states can only be reached by steps.
   */
  save?(): () => boolean
  /**
   * Says whether whoever explores merges equal states, as it is taken to do at first. Where it does not, a loop without end that
   * waits but also writes is cut short by the model, which then says so in `incomplete`.
   */
  merging?(on: boolean): void
  /** Why the executions since `merging` was called prove nothing though none is left: what the model has cut short, or ''. */
  incomplete?(): string
  /** Has `watcher` told of each plain access: agent, first object, how many, whether it writes. Absent: there are none. */
  watchPlain?(watcher: (agent: number, object: number, count: number, writes: boolean) => void): void
  /**
   * Has `watcher` told of each change of ownership: agent, first object, how many. It touches no value, but what an access means
   * depends on which came first.
   */
  watchOwners?(watcher: (agent: number, object: number, count: number) => void): void
  /** Where an agent stands, for messages. */
  describe?(agent: number): string
  /** Where in the program the latest plain access was made, for messages. */
  place?(): string
  /** The numbers of the places seen so far, where the program has places. */
  places?(): readonly number[]
  /** The longest sections with interrupts off so far, where there are interrupts. */
  irqOff?(): readonly IrqOffSection[]
  /** Places in the program seen so far (yield points), for reports. */
  yieldPoints(): number
}

/** The agents of `model` that can go on, as bits. */
export function readyAgents(model: Model): number {
  let ready = 0
  for (let agent = 0; agent < model.agents; agent++) if (model.status(agent) === Status.ready) ready |= 1 << agent
  return ready
}
