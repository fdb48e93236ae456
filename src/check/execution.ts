// The state of one execution: what runs on each CPU, who sleeps, who spins. A CPU has two frames, its task and the
// interrupt handler on top of it; a frame is a generator that stopped after it announced its next operation.
import { ROW_SHIFT, Row } from '../compile/stepped/announce.ts'
import { Mode } from '../kernel/machine/entry.ts'
import type { Steps, Tree } from './tree.ts'

/** What a CPU is given to do: a stepped function, or a plain one that runs at once when the CPU is first scheduled. */
export type Task = () => unknown

/** A machine on which stepped CPUs run. Its memory must be laid out already. */
export interface Machine {
  readonly tree: Tree
  readonly words: Int32Array
  readonly cpus: number
  /** First word of CPU 0's area. */
  readonly areas: number
  /** Answers an IPI. Without it none is delivered. */
  readonly interrupt: Task | null
}

/** States of a frame. */
export const Frame = Object.freeze({ none: 0, ready: 1, asleep: 2, woken: 3, done: 4 })

/** One execution. Frame `2 * cpu` is a task, the next one its CPU's interrupt handler. */
export interface Execution {
  readonly machine: Machine
  readonly rows: Int32Array
  readonly tasks: readonly (Task | null)[]
  readonly generators: (Steps<unknown> | null)[]
  readonly states: Uint8Array
  /** 1 while a CPU is in its interrupt handler. */
  readonly levels: Uint8Array
  readonly results: unknown[]
  /** Frames asleep in `futexWait`, longest first. */
  readonly sleepers: number[]
  /** Words changed so far, by anybody and by each frame; what a spinning frame had seen of the others' when it last spun. */
  changes: number
  readonly ownChanges: Int32Array
  readonly seenChanges: Int32Array
  /** Spins that a frame was granted although nobody had changed anything. */
  readonly futile: Int32Array
  unfinished: number
  steps: number
}

/** Begins an execution of `tasks`, one per CPU (null: the CPU has nothing to do). */
export function createExecution(machine: Machine, tasks: readonly (Task | null)[]): Execution {
  const frames = machine.cpus * 2
  const states = new Uint8Array(frames)
  const { rows } = machine.tree.announce
  rows.fill(0, 0, frames << ROW_SHIFT)
  let unfinished = 0
  for (let cpu = 0; cpu < machine.cpus; cpu++) {
    if (tasks[cpu] == null) continue
    states[cpu * 2] = Frame.ready
    unfinished++
  }
  return {
    machine,
    rows,
    tasks,
    generators: new Array(frames).fill(null),
    states,
    levels: new Uint8Array(machine.cpus),
    results: new Array(machine.cpus).fill(undefined),
    sleepers: [],
    changes: 0,
    ownChanges: new Int32Array(frames),
    seenChanges: new Int32Array(frames).fill(-1),
    futile: new Int32Array(frames),
    unfinished,
    steps: 0,
  }
}

/** The frame that runs on CPU `cpu`. */
export function currentFrame(execution: Execution, cpu: number): number {
  return cpu * 2 + (execution.levels[cpu] as number)
}

/** First word of a frame's row of announced operation. */
export function rowOf(frame: number): number {
  return frame << ROW_SHIFT
}

/** The operation that `frame` announced. */
export function pendingOp(execution: Execution, frame: number): number {
  return execution.rows[rowOf(frame) + Row.op] as number
}

/** Whether an IPI can be delivered to `cpu` now: one is pending, interrupts are on, and the CPU is not outside. */
export function canInterrupt(execution: Execution, cpu: number): boolean {
  const { machine } = execution
  if (machine.interrupt === null || execution.levels[cpu] !== 0) return false
  const { Cpu, CPU_STRIDE } = machine.tree.percpu
  const { words } = machine
  const area = machine.areas + cpu * CPU_STRIDE
  return (
    words[area + Cpu.ipiRequests] !== words[area + Cpu.ipiAcks] &&
    words[area + Cpu.irqOff] === 0 &&
    ((words[area + Cpu.context] as number) & 3) !== Mode.outside
  )
}

/** Whether something changed for a frame that wants to spin once more. */
export function sawChange(execution: Execution, frame: number): boolean {
  return ((execution.changes - (execution.ownChanges[frame] as number)) | 0) !== execution.seenChanges[frame]
}
