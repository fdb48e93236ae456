// What each announced operation does when its CPU is scheduled: plain reads and writes of the shared words, since one
// thread plays all CPUs; sleeping and waking; interrupts off and on.
import { Row } from '../compile/stepped/announce.ts'
import { Op } from '../compile/stepped/ops.ts'
import { type Execution, Frame, rowOf } from './execution.ts'
import { entryAt, entryResult, onEntry, onWord, resultOf, storesEntry, storesWord, wordAfter } from './word-operation.ts'

/** Counts a change of a shared word by `frame`. */
function changed(execution: Execution, frame: number): void {
  execution.changes = (execution.changes + 1) | 0
  execution.ownChanges[frame] = (execution.ownChanges[frame] as number) + 1
}

function write(execution: Execution, frame: number, p: number, value: number): void {
  const { words } = execution.machine
  if (words[p] === value) return
  words[p] = value
  changed(execution, frame)
}

/** Result of an operation after which the CPU cannot go on. Outside the 32 bits that a word has. */
export const BLOCKED = 2 ** 40

/** Performs what `frame` announced. Returns its result, or `BLOCKED` when the frame is now asleep. */
export function perform(execution: Execution, frame: number): number {
  const { rows, machine } = execution
  const { words } = machine
  const row = rowOf(frame)
  const a = rows[row + Row.a] as number
  const b = rows[row + Row.b] as number
  const op = rows[row + Row.op] as number
  if (onWord(op)) {
    const old = words[a] as number
    if (storesWord(op, old, b)) write(execution, frame, a, wordAfter(op, old, b, rows[row + Row.c] as number))
    return resultOf(op, old, words[a] as number)
  }
  if (onEntry(op)) {
    const old = entryAt((p) => words[p] as number, a)
    if (storesEntry(op, old, b)) write(execution, frame, a, (words[a] as number) | (rows[row + Row.c] as number))
    return entryResult(op, old, b)
  }
  switch (op) {
    case Op.relax:
      execution.seenChanges[frame] = (execution.changes - (execution.ownChanges[frame] as number)) | 0
      return 0
    case Op.futexWait:
      return futexWait(execution, frame, a, b)
    case Op.futexWake:
      futexWake(execution, a, b)
      return 0
    case Op.irqSave:
      return irq(execution, frame, 1)
    case Op.irqRestore:
      return irq(execution, frame, -1)
    case Op.sendIpi: {
      const { Cpu, CPU_STRIDE } = machine.tree.percpu
      const p = machine.areas + a * CPU_STRIDE + Cpu.ipiRequests
      write(execution, frame, p, ((words[p] as number) + 1) | 0)
      return words[p] as number
    }
    case Op.blockOnIo:
      return 0
    default:
      throw new Error(`operation ${op} cannot be performed`)
  }
}

/** Interrupts off or on: a word of the CPU's own, which nobody spins on. */
function irq(execution: Execution, frame: number, delta: number): number {
  const { machine } = execution
  const { Cpu, CPU_STRIDE } = machine.tree.percpu
  const p = machine.areas + (frame >> 1) * CPU_STRIDE + Cpu.irqOff
  machine.words[p] = (machine.words[p] as number) + delta
  return 0
}

function futexWait(execution: Execution, frame: number, p: number, expected: number): number {
  if (execution.states[frame] === Frame.woken) {
    execution.states[frame] = Frame.ready
    return 0
  }
  if (execution.machine.words[p] !== expected) return 0
  execution.states[frame] = Frame.asleep
  execution.sleepers.push(frame)
  return BLOCKED
}

function futexWake(execution: Execution, p: number, count: number): void {
  const { sleepers, rows, states } = execution
  let left = count
  for (let i = 0; i < sleepers.length && left > 0; ) {
    const frame = sleepers[i] as number
    if (rows[rowOf(frame) + Row.a] === p) {
      states[frame] = Frame.woken
      sleepers.splice(i, 1)
      left--
    } else i++
  }
}
