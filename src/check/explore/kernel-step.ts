// One step of a stepped CPU under exploration: performs the announced operation on the words, then runs the code to its next
// announcement.
import { Row } from '../../compile/stepped/announce.ts'
import { Op } from '../../compile/stepped/ops.ts'
import type { Task } from '../execution.ts'
import { BLOCKED } from '../perform.ts'
import type { Steps } from '../tree.ts'
import type { Watch } from '../watch.ts'
import { onWord, resultOf, storesWord, wordAfter } from '../word-operation.ts'
import { markWord } from './kernel-memory.ts'
import { type KernelState, RESUME, rowOfAgent, WATCHED } from './kernel-state.ts'

/** Begins a task or handler and runs it to its first announcement. */
export function beginAgent(state: KernelState, agent: number, task: Task): void {
  select(state, agent)
  state.rows[rowOfAgent(state, agent) + Row.op] = 0
  state.watchCount[agent] = 0
  state.watchSince[agent] = 0
  state.finished[agent] = 0
  const made = task()
  if (typeof made === 'object' && made !== null && 'next' in made) {
    state.generators[agent] = made as Steps<unknown>
    resume(state, agent, 0)
  } else finish(state, agent, made)
}

/** One step of an agent that can run. */
export function stepAgent(state: KernelState, agent: number): void {
  const { cpus, interrupt } = state.machine
  if (agent >= cpus && state.inHandler[agent - cpus] === 0) {
    state.inHandler[agent - cpus] = 1
    state.watch?.interruptBegins(agent - cpus)
    beginAgent(state, agent, interrupt as Task)
    return
  }
  const result = state.watch === null ? performOperation(state, agent) : performWatched(state, agent, state.watch)
  if (result !== BLOCKED) resume(state, agent, result)
}

function performWatched(state: KernelState, agent: number, watch: Watch): number {
  const { cpus } = state.machine
  if (agent < cpus && state.begun[agent] === 0) {
    state.begun[agent] = 1
    watch.callBegins(agent, state.call[agent] as number)
  }
  const row = rowOfAgent(state, agent)
  const { rows, words } = state
  const op = rows[row] as number
  const a = rows[row + Row.a] as number
  const b = rows[row + Row.b] as number
  const c = rows[row + Row.c] as number
  const site = rows[row + Row.site] as number
  const single = onWord(op)
  const before = single ? (words[a] as number) : 0
  const result = performOperation(state, agent)
  watch.step(agent, op, a, b, c, before, single ? (words[a] as number) : 0, site)
  return result
}

/** Begins the next call of a CPU, if it has one left. */
export function beginCall(state: KernelState, cpu: number): void {
  const task = (state.calls[cpu] as readonly Task[])[state.call[cpu] as number]
  state.begun[cpu] = 0
  if (task !== undefined) beginAgent(state, cpu, task)
}

function select({ machine }: KernelState, agent: number): void {
  const { cpus, tree } = machine
  if (agent < cpus) tree.announce.selectCpu(agent, 0)
  else tree.announce.selectCpu(agent - cpus, 1)
}

function resume(state: KernelState, agent: number, value: number): void {
  select(state, agent)
  state.rows[rowOfAgent(state, agent) + Row.op] = 0
  const { done, value: result } = (state.generators[agent] as Steps<unknown>).next(value)
  if (done) finish(state, agent, result)
}

function finish(state: KernelState, agent: number, result: unknown): void {
  const { cpus } = state.machine
  state.generators[agent] = null
  state.rows[rowOfAgent(state, agent) + Row.op] = 0
  if (agent >= cpus) {
    state.inHandler[agent - cpus] = 0
    state.watch?.interruptReturns(agent - cpus)
    return
  }
  const call = state.call[agent] as number
  state.finished[agent] = 1
  ;(state.results[agent] as unknown[])[call] = result
  state.call[agent] = call + 1
  state.watch?.callReturns(agent, call, result)
  beginCall(state, agent)
}

/** Remembers what a spinning agent saw. */
function watch(state: KernelState, agent: number, p: number, value: number): number {
  const base = agent * WATCHED
  let count = state.watchCount[agent] as number
  if (count === WATCHED) {
    state.watchWord.copyWithin(base, base + 1, base + WATCHED)
    state.watchValue.copyWithin(base, base + 1, base + WATCHED)
    count--
    if ((state.watchSince[agent] as number) > 0) state.watchSince[agent] = (state.watchSince[agent] as number) - 1
  }
  state.watchWord[base + count] = p
  state.watchValue[base + count] = value
  state.watchCount[agent] = count + 1
  return value
}

function write(state: KernelState, agent: number, p: number, value: number): void {
  markWord(state.memory, p)
  state.words[p] = value
  // What an agent writes itself is no change for it.
  const base = agent * WATCHED
  const count = state.watchCount[agent] as number
  for (let i = 0; i < count; i++) if (state.watchWord[base + i] === p) state.watchValue[base + i] = value
  state.watchSince[agent] = count
}

function performOperation(state: KernelState, agent: number): number {
  const { rows, words } = state
  const row = rowOfAgent(state, agent)
  const a = rows[row + Row.a] as number
  const b = rows[row + Row.b] as number
  state.seen[rows[row + Row.site] as number] = 1
  const op = rows[row + Row.op] as number
  if (onWord(op)) {
    const old = words[a] as number
    if (storesWord(op, old, b)) write(state, agent, a, wordAfter(op, old, b, rows[row + Row.c] as number))
    else watch(state, agent, a, old)
    return resultOf(op, old, words[a] as number)
  }
  switch (op) {
    case Op.relax:
      state.watchCount[agent] = 0
      state.watchSince[agent] = 0
      return 0
    case Op.futexWait:
      if (words[a] !== b) return 0
      state.sleepers.push(agent)
      rows[row + Row.op] = RESUME
      return BLOCKED
    case Op.futexWake:
      wake(state, a, b)
      return 0
    case RESUME:
      state.woken[agent] = 0
      return 0
    case Op.irqSave:
      return irq(state, agent, 1)
    case Op.irqRestore:
      return irq(state, agent, -1)
    case Op.sendIpi: {
      const { Cpu, CPU_STRIDE } = state.machine.tree.percpu
      const p = state.machine.areas + a * CPU_STRIDE + Cpu.ipiRequests
      write(state, agent, p, ((words[p] as number) + 1) | 0)
      return words[p] as number
    }
    case Op.blockOnIo:
      return 0
    default:
      throw new Error(`operation ${op} cannot be performed`)
  }
}

function irq(state: KernelState, agent: number, delta: number): number {
  const { cpus, areas, tree } = state.machine
  const p = areas + (agent < cpus ? agent : agent - cpus) * tree.percpu.CPU_STRIDE + tree.percpu.Cpu.irqOff
  markWord(state.memory, p)
  state.words[p] = (state.words[p] as number) + delta
  return 0
}

function wake(state: KernelState, p: number, count: number): void {
  const { sleepers, rows, woken } = state
  let left = count
  for (let i = 0; i < sleepers.length && left > 0; ) {
    const agent = sleepers[i] as number
    if (rows[rowOfAgent(state, agent) + Row.a] === p) {
      woken[agent] = 1
      sleepers.splice(i, 1)
      left--
    } else i++
  }
}
