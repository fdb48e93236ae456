// One step of a stepped CPU under exploration: performs the announced operation on the words, then runs the code to its next
// announcement.
import { Row } from '../../compile/stepped/announce.ts'
import { Op, SPIN_BEGINS } from '../../compile/stepped/ops.ts'
import type { Task } from '../execution.ts'
import { BLOCKED } from '../perform.ts'
import type { Steps } from '../tree.ts'
import type { Watch } from '../watch.ts'
import { entryAt, entryResult, onEntry, onWord, resultOf, storesEntry, storesWord, wordAfter } from '../word-operation.ts'
import { mixInto } from './digest.ts'
import type { Feed } from './kernel-feed.ts'
import { setWord } from './kernel-memory.ts'
import { catchUp } from './kernel-save.ts'
import {
  contextSeen,
  inLoop,
  judgeTurn,
  Relax,
  resetSpins,
  type Spins,
  spinActs,
  spinBegins,
  spinEnds,
  spinReads,
  spinWrites,
  type TurnEnd,
  turnBegins,
} from './kernel-spin.ts'
import { contextWord, irqOffWord, type KernelState, RESUME, rowOfAgent } from './kernel-state.ts'
import { beginWriting, endWriting, type Played, play, segmentAfter, stopWriting } from './segment-memo.ts'

/** Begins a task or handler and runs it to its first announcement. */
export function beginAgent(state: KernelState, agent: number, task: Task): void {
  select(state, agent)
  state.rows[rowOfAgent(state, agent) + Row.op] = 0
  resetLoops(state, agent, false)
  state.finished[agent] = 0
  state.machine.tree.frameHash.emptyStack()
  state.running[agent] = 1
  const feed = state.feeds[agent] as Feed
  feed.from = feed.values.length
  feed.task = ++state.tasks
  feed.make = task
  const made = task()
  if (typeof made === 'object' && made !== null && 'next' in made) {
    feed.generator = made as Steps<unknown>
    feed.liveTask = feed.task
    feed.used = feed.from
    if (state.handWritten && agent < state.machine.cpus) resetLoops(state, agent, true)
    const isCompiled = state.machine.tree.frameHash.isCompiled(made)
    if (!isCompiled && !(state.handWritten && agent < state.machine.cpus)) state.opaque = true
    // What it is called with may be another value each time: its first segment is always run.
    run(state, agent, 0, null)
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
  if (agent < cpus && state.begun[agent] === 0 && state.alone === null) {
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
  const look = (): number => (onWord(op) ? (words[a] as number) : onEntry(op) ? entryAt((p) => words[p] as number, a) : 0)
  const before = look()
  const result = performOperation(state, agent)
  watch.step(agent, op, a, b, c, before, look(), site)
  return result
}

/** Begins the next call of a CPU, if it has one left. */
export function beginCall(state: KernelState, cpu: number): void {
  const task = (state.calls[cpu] as readonly Task[])[state.call[cpu] as number]
  state.begun[cpu] = 0
  if (task !== undefined) beginAgent(state, cpu, task)
}

/** Turns that a CPU takes alone in a loop that waits although nothing else changes. */
const TURNS_ALONE = 1000

/** A CPU waits while nobody else runs. */
export class WaitsAlone extends Error {
  override readonly name = 'WaitsAlone'
  readonly cpu: number

  constructor(cpu: number) {
    super(`CPU ${cpu} waits though it is alone`)
    this.cpu = cpu
  }
}

/** Runs a further task of CPU `cpu` to its end when all calls have returned. Returns its result. Throws `WaitsAlone`. */
export function runAloneHere(state: KernelState, cpu: number, task: Task): unknown {
  const made = { result: undefined as unknown }
  state.alone = made
  try {
    beginAgent(state, cpu, task)
    for (let turns = 0; state.running[cpu] !== 0; ) {
      const op = state.rows[rowOfAgent(state, cpu) + Row.op] as number
      if (op === RESUME || (op === Op.relax && ++turns > TURNS_ALONE)) throw new WaitsAlone(cpu)
      stepAgent(state, cpu)
    }
    return made.result
  } catch (error) {
    stopWriting(state.memo)
    throw error
  } finally {
    state.alone = null
  }
}

function select({ machine }: KernelState, agent: number): void {
  const { cpus, tree } = machine
  if (agent < cpus) tree.announce.selectCpu(agent, 0)
  else tree.announce.selectCpu(agent - cpus, 1)
}

function resume(state: KernelState, agent: number, value: number): void {
  const { remembers, opaque, memo, rows } = state
  select(state, agent)
  run(state, agent, value, remembers && !opaque ? segmentAfter(memo, agent, rows, rowOfAgent(state, agent), value) : null)
}

const played: Played = { unknown: null, done: false, result: undefined }

/** Runs the code of `agent` from a step's result to its next step: plays `segment` as far as it is known. */
function run(state: KernelState, agent: number, value: number, segment: ReturnType<typeof segmentAfter>): void {
  const { memo, rows, words, observer } = state
  const feed = state.feeds[agent] as Feed
  const row = rowOfAgent(state, agent)
  const start = feed.values.length
  feed.values.push(value)
  rows[row + Row.op] = 0
  played.unknown = segment
  if (segment !== null && observer !== null) play(memo, segment, observer, words, rows, row, played)
  if (segment === null || played.unknown !== null) runCode(state, agent, start, value)
  const { done, result } = played
  if (done) finish(state, agent, result)
  else if (rows[row + Row.op] === Op.relax) {
    const spins = state.spins[agent] as Spins
    judgeTurn(spins, turnEnd(state, agent), state.merging)
    if (spins.relax === Relax.heldBack) state.heldBack = true
  }
}

/** Runs the generator of `agent` on from where playing has come to, in a segment that began with number `start` of what it found. */
function runCode(state: KernelState, agent: number, start: number, value: number): void {
  const { memo, rows } = state
  const { announce } = state.machine.tree
  const feed = state.feeds[agent] as Feed
  const row = rowOfAgent(state, agent)
  catchUp(state, agent, start)
  rows[row + Row.op] = 0
  if (played.unknown !== null) beginWriting(memo, played.unknown)
  const again = feed.values.length > start + 1
  if (again) announce.runAgain(feed.values, start, feed.values.length, true)
  const { done, value: result } = (feed.generator as Steps<unknown>).next(again ? announce.nextFed() : value)
  feed.used = feed.values.length
  endWriting(memo, rows, row, done === true, result)
  played.done = done === true
  played.result = result
}

function finish(state: KernelState, agent: number, result: unknown): void {
  const { cpus } = state.machine
  state.running[agent] = 0
  state.rows[rowOfAgent(state, agent) + Row.op] = 0
  resetLoops(state, agent, false)
  if (agent >= cpus) {
    state.inHandler[agent - cpus] = 0
    state.watch?.interruptReturns(agent - cpus)
    return
  }
  if (state.alone !== null) {
    state.alone.result = result
    return
  }
  const call = state.call[agent] as number
  state.finished[agent] = 1
  ;(state.results[agent] as unknown[])[call] = result
  hashResult(state, agent, result)
  state.call[agent] = call + 1
  state.watch?.callReturns(agent, call, result)
  state.onReturn?.(agent)
  beginCall(state, agent)
}

function hashResult({ resultHash }: KernelState, cpu: number, result: unknown): void {
  const into = resultHash.subarray(cpu * 2, cpu * 2 + 2)
  const text = `${typeof result} ${String(result)}`
  mixInto(into, text.length)
  for (let i = 0; i < text.length; i++) mixInto(into, text.charCodeAt(i))
}

/** `agent` is in no loop, or (`base`) begins code written by hand. */
export function resetLoops(state: KernelState, agent: number, base: boolean): void {
  const spins = state.spins[agent] as Spins
  if (inLoop(spins)) state.spinning--
  resetSpins(spins, base)
}

function turnEnd(state: KernelState, agent: number): TurnEnd {
  const irqOff = state.words[irqOffWord(state, agent)] as number
  return { rows: state.rows, row: rowOfAgent(state, agent), irqOff, context: contextWord(state, agent) }
}

/** A loop that waits begins or ends in the code of `agent`. */
export function markLoop(state: KernelState, agent: number, op: number, whole: number): void {
  const spins = state.spins[agent] as Spins
  if (op === SPIN_BEGINS) {
    if (!inLoop(spins)) state.spinning++
    spinBegins(spins, whole !== 0, state.words[irqOffWord(state, agent)] as number)
  } else {
    spinEnds(spins)
    if (!inLoop(spins)) state.spinning--
  }
}

/** While agents are in loops that wait: `agent` is about to perform a plain operation. */
export function noteSpinningPlain(state: KernelState, agent: number, op: number, a: number, b: number): void {
  const spins = state.spins[agent] as Spins
  if (op === Op.load) readBy(state, agent, a, state.words[a] as number, 1)
  else if (spins.loops.length === 0) return
  else if (op === Op.store) {
    if (state.memory.ignored[a] !== 0) return
    if (state.words[a] === (b | 0)) spinReads(spins, a, b | 0, 1)
    else spinWrites(spins, a, state.words[a] as number, b | 0, 1)
  } else if (op === Op.zeroPage || op === Op.copyPage) spinActs(spins)
}

/** While agents are in loops that wait: `agent` reads word `p`. */
function readBy(state: KernelState, agent: number, p: number, value: number, plain: number): void {
  const spins = state.spins[agent] as Spins
  if (spins.loops.length > 0 && state.memory.ignored[p] === 0) spinReads(spins, p, value, plain)
  if (!state.merging) return
  const { areas, cpus, tree } = state.machine
  const { Cpu, CPU_STRIDE } = tree.percpu
  const offset = p - areas - Cpu.context
  if (offset < 0 || offset % CPU_STRIDE !== 0 || offset >= cpus * CPU_STRIDE) return
  const owner = offset / CPU_STRIDE
  if (owner !== agent) contextSeen(state.spins[owner] as Spins)
  if (owner + cpus !== agent) contextSeen(state.spins[owner + cpus] as Spins)
}

function write(state: KernelState, agent: number, p: number, value: number): void {
  const spins = state.spins[agent] as Spins
  const before = state.words[p] as number
  if (before !== value && spins.loops.length > 0) spinWrites(spins, p, before, value, 0)
  setWord(state.memory, p, value)
}

function acts(state: KernelState, agent: number): void {
  const spins = state.spins[agent] as Spins
  if (spins.loops.length > 0) spinActs(spins)
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
    if (state.spinning > 0 || state.handWritten) readBy(state, agent, a, old, 0)
    if (storesWord(op, old, b)) write(state, agent, a, wordAfter(op, old, b, rows[row + Row.c] as number))
    return resultOf(op, old, words[a] as number)
  }
  if (onEntry(op)) {
    const old = entryAt((p) => words[p] as number, a)
    if (state.spinning > 0 || state.handWritten) for (const p of [a, a + 1]) readBy(state, agent, p, words[p] as number, 0)
    if (storesEntry(op, old, b)) write(state, agent, a, (words[a] as number) | (rows[row + Row.c] as number))
    return entryResult(op, old, b)
  }
  switch (op) {
    case Op.relax:
      relax(state, agent)
      return 0
    case Op.futexWait:
      acts(state, agent)
      if (words[a] !== b) return 0
      state.sleepers.push(agent)
      rows[row + Row.op] = RESUME
      return BLOCKED
    case Op.futexWake:
      acts(state, agent)
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
      acts(state, agent)
      return 0
    default:
      throw new Error(`operation ${op} cannot be performed`)
  }
}

function irq(state: KernelState, agent: number, delta: number): number {
  const p = irqOffWord(state, agent)
  setWord(state.memory, p, (state.words[p] as number) + delta)
  return 0
}

function relax(state: KernelState, agent: number): void {
  const back = turnBegins(state.spins[agent] as Spins, turnEnd(state, agent))
  if (back >= 0) setWord(state.memory, contextWord(state, agent), back)
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
