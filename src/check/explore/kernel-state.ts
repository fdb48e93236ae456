// The state of stepped CPUs under exploration. A CPU is two agents: its task, and its interrupt handler, whose first step is
// the arrival of an IPI. Besides the words of the machine there are objects of the checker's own: for each CPU whether it is
// in its handler, for each agent whether it was woken, and the queues of sleepers of futex words.
import { type Observer, ROW_SHIFT, Row } from '../../compile/stepped/announce.ts'
import { Op } from '../../compile/stepped/ops.ts'
import { Mode } from '../../kernel/machine/entry.ts'
import type { Machine, Task } from '../execution.ts'
import type { Watch } from '../watch.ts'
import { entryAt, storesEntry } from '../word-operation.ts'
import { all, both, createFootprints, DISABLED, type Footprints, reads, writes } from './footprint.ts'
import { createFeed, type Feed } from './kernel-feed.ts'
import { type KernelMemory, rememberMemory } from './kernel-memory.ts'
import { createSpins, firstRead, Relax, type Spins } from './kernel-spin.ts'
import { statistics } from './kernel-statistics.ts'
import type { ValueAt } from './model.ts'
import { createSegmentMemo, type SegmentMemo } from './segment-memo.ts'

/** What an agent that sleeps in `futexWait` does once woken: an operation of the checker's own. */
export const RESUME = 31

/** Futex words that a scenario may use. */
const QUEUES = 256

/** Stepped CPUs in execution. Agent c is CPU c's task, agent `cpus + c` its interrupt handler. */
export interface KernelState {
  readonly machine: Machine
  readonly memory: KernelMemory
  readonly words: Int32Array
  readonly rows: Int32Array
  /** What each CPU does, one call after the other. */
  readonly calls: readonly (readonly Task[])[]
  /** Which of them each CPU is in, and whether it has taken a step of it. */
  readonly call: Int32Array
  readonly begun: Uint8Array
  readonly watch: Watch | null
  /** Told that a call has returned. */
  onReturn: ((cpu: number) => void) | null
  /** 1 for each agent that has a task. */
  readonly running: Uint8Array
  /** For each agent what its code has found, so that its generator can be made again. */
  readonly feeds: readonly Feed[]
  /** Tasks begun so far. */
  tasks: number
  /** Segments that were seen. */
  readonly memo: SegmentMemo
  readonly remembers: boolean
  /** Told of everything that code does between steps. */
  observer: Observer | null
  readonly finished: Uint8Array
  readonly inHandler: Uint8Array
  readonly woken: Uint8Array
  /** For each CPU what its calls returned. */
  readonly results: unknown[][]
  readonly sleepers: number[]
  readonly footprints: Footprints
  /** For each agent the loops that wait in which it is. */
  readonly spins: readonly Spins[]
  /** How many agents are in one. */
  spinning: number
  /** Whoever explores merges equal states: see kernel-spin.ts. */
  merging: boolean
  /** An agent was held back at a `relax`, so that what was explored proves nothing. */
  heldBack: boolean
  /** A generator runs that was not compiled: the rows do not say where it stands. */
  opaque: boolean
  /** Tasks are generators written by hand, whose loops are not marked. */
  readonly handWritten: boolean
  /** Takes the result of a task that runs after the end of the execution. */
  alone: { result: unknown } | null
  /** Hashes of the results of each CPU's calls, two words for each. */
  readonly resultHash: Int32Array
  readonly queues: Map<number, number>
  /** First objects behind the words. */
  readonly levels: number
  readonly flags: number
  readonly firstQueue: number
  /** Stands for the returns of calls: what comes before or after one is told apart by who watches. */
  readonly returns: number
  readonly objects: number
  /** For each place: 1 if its `cmpxchg`, where it fails, does nothing but wait and try again. */
  readonly waiting: Uint8Array
  /** Places seen. */
  readonly seen: Uint8Array
}

/** The state of `calls`, a list for each CPU, on `machine`, whose memory is as it shall be at the start of each execution. */
export function createKernelState(
  machine: Machine,
  calls: readonly (readonly Task[])[],
  watch: Watch | null,
  handWritten: boolean,
  remembers: boolean,
): KernelState {
  const { cpus, tree, words } = machine
  const agents = cpus * 2
  const levels = words.length
  const flags = levels + cpus
  const firstQueue = flags + agents
  return {
    machine,
    memory: rememberMemory(words, statistics(machine)),
    words,
    rows: tree.announce.rows,
    calls,
    call: new Int32Array(cpus),
    begun: new Uint8Array(cpus),
    watch,
    onReturn: null,
    running: new Uint8Array(agents),
    feeds: Array.from({ length: agents }, createFeed),
    tasks: 0,
    memo: createSegmentMemo(),
    remembers,
    observer: null,
    finished: new Uint8Array(agents),
    inHandler: new Uint8Array(cpus),
    woken: new Uint8Array(agents),
    results: Array.from({ length: cpus }, () => []),
    sleepers: [],
    footprints: createFootprints(),
    spins: Array.from({ length: agents }, createSpins),
    spinning: 0,
    merging: true,
    heldBack: false,
    opaque: false,
    alone: null,
    handWritten,
    resultHash: new Int32Array(cpus * 2),
    queues: new Map(),
    levels,
    flags,
    firstQueue,
    returns: firstQueue + QUEUES,
    objects: firstQueue + QUEUES + 1,
    waiting: Uint8Array.from(tree.sites, (site) => (site.waits === true ? 1 : 0)),
    seen: new Uint8Array(tree.sites.length),
  }
}

/** First word of an agent's row of announced operation. */
export function rowOfAgent(state: KernelState, agent: number): number {
  const { cpus } = state.machine
  return (agent < cpus ? agent * 2 : (agent - cpus) * 2 + 1) << ROW_SHIFT
}

/** The present value of an object. */
export function objectValue(state: KernelState, object: number): number {
  if (object < state.levels) return state.words[object] as number
  if (object < state.flags) return state.inHandler[object - state.levels] as number
  return object < state.firstQueue ? (state.woken[object - state.flags] as number) : 0
}

/** The object that stands for the sleepers on futex word `p`. */
export function queueOf(state: KernelState, p: number): number {
  let queue = state.queues.get(p)
  if (queue === undefined) {
    if (state.queues.size === QUEUES) throw new Error(`more than ${QUEUES} futex words`)
    queue = state.firstQueue + state.queues.size
    state.queues.set(p, queue)
  }
  return queue
}

/**
 * What `agent`'s announced operation touches where objects have the values `valueAt`, or `DISABLED`. An operation that
 * leaves its word as it was counts as a read of it.
 */
export function footprintAt(state: KernelState, agent: number, valueAt: ValueAt): number {
  const { cpus } = state.machine
  if (agent < cpus) {
    if (valueAt(state.levels + agent) !== 0) return DISABLED
    const footprint = operationAt(state, agent, valueAt)
    return footprint !== DISABLED && minds(state, agent) ? withReturns(state, footprint) : footprint
  }
  const cpu = agent - cpus
  const level = state.levels + cpu
  if (state.inHandler[cpu] === 0)
    return canArrive(state, cpu, valueAt) ? both(state.footprints, reads(ipiRequests(state, cpu)), writes(level)) : DISABLED
  const footprint = operationAt(state, agent, valueAt)
  return footprint === DISABLED ? DISABLED : withLevel(state, footprint, level)
}

/** Whether it matters to who watches if the task's step comes before or after a return: a call's first one, and user code's. */
function minds({ watch, begun, machine, words }: KernelState, cpu: number): boolean {
  if (watch === null) return false
  if (begun[cpu] === 0) return true
  const { Cpu, CPU_STRIDE } = machine.tree.percpu
  return ((words[machine.areas + cpu * CPU_STRIDE + Cpu.context] as number) & 3) === Mode.user
}

function withReturns(state: KernelState, footprint: number): number {
  if (footprint === 0) return reads(state.returns)
  if (footprint > 0) return both(state.footprints, footprint, reads(state.returns))
  return all(state.footprints, [...(state.footprints.lists[-footprint - 1] as Int32Array), reads(state.returns)])
}

function withLevel(state: KernelState, footprint: number, level: number): number {
  if (footprint === 0) return writes(level)
  if (footprint > 0) return both(state.footprints, footprint, writes(level))
  return all(state.footprints, [...(state.footprints.lists[-footprint - 1] as Int32Array), writes(level)])
}

function ipiRequests(state: KernelState, cpu: number): number {
  const { Cpu, CPU_STRIDE } = state.machine.tree.percpu
  return state.machine.areas + cpu * CPU_STRIDE + Cpu.ipiRequests
}

/** Whether an IPI is pending for `cpu` (whatever else holds it up). */
export function isRequested(state: KernelState, cpu: number): boolean {
  const { Cpu } = state.machine.tree.percpu
  const p = ipiRequests(state, cpu)
  return state.words[p] !== state.words[p - Cpu.ipiRequests + Cpu.ipiAcks]
}

function canArrive(state: KernelState, cpu: number, valueAt: ValueAt): boolean {
  const { Cpu, CPU_STRIDE } = state.machine.tree.percpu
  const area = state.machine.areas + cpu * CPU_STRIDE
  return (
    valueAt(area + Cpu.ipiRequests) !== valueAt(area + Cpu.ipiAcks) &&
    valueAt(area + Cpu.irqOff) === 0 &&
    (valueAt(area + Cpu.context) & 3) !== Mode.outside &&
    valueAt(state.levels + cpu) === 0
  )
}

function operationAt(state: KernelState, agent: number, valueAt: ValueAt): number {
  const { rows } = state
  const row = rowOfAgent(state, agent)
  const a = rows[row + Row.a] as number
  const b = rows[row + Row.b] as number
  switch (rows[row + Row.op]) {
    case Op.readOnce:
    case Op.smpLoadAcquire:
    case Op.rcuDereference:
      return reads(a)
    case Op.writeOnce:
    case Op.smpStoreRelease:
    case Op.rcuAssignPointer:
    case Op.xchg:
      return valueAt(a) === b ? reads(a) : writes(a)
    case Op.cmpxchg:
      if (valueAt(a) === b) return b === rows[row + Row.c] ? reads(a) : writes(a)
      return state.waiting[rows[row + Row.site] as number] === 1 ? DISABLED : reads(a)
    case Op.atomicAdd:
      return b === 0 ? reads(a) : writes(a)
    case Op.atomicOr:
      return (valueAt(a) | b) === valueAt(a) ? reads(a) : writes(a)
    case Op.atomicAnd:
      return (valueAt(a) & b) === valueAt(a) ? reads(a) : writes(a)
    case Op.readEntryWhole:
      return both(state.footprints, reads(a), reads(a + 1))
    case Op.orEntryWhole: {
      const sets = storesEntry(Op.orEntryWhole, entryAt(valueAt, a), b) && (valueAt(a) | (rows[row + Row.c] as number)) !== valueAt(a)
      return both(state.footprints, sets ? writes(a) : reads(a), reads(a + 1))
    }
    case Op.relax:
      return spinAt(state, agent, valueAt)
    case Op.futexWait:
      return both(state.footprints, reads(a), writes(queueOf(state, a)))
    case Op.futexWake:
      return wakeAt(state, a, b)
    case Op.irqSave:
    case Op.irqRestore:
      return writes(irqOffWord(state, agent))
    case Op.sendIpi:
      return writes(ipiRequests(state, a))
    case RESUME:
      return valueAt(state.flags + agent) === 1 ? writes(state.flags + agent) : DISABLED
    default:
      return 0
  }
}

/** A spinning agent goes on once a word that it looked at in its turn has another value. */
function spinAt(state: KernelState, agent: number, valueAt: ValueAt): number {
  const spins = state.spins[agent] as Spins
  if (spins.relax === Relax.step) return spins.back < 0 ? 0 : writes(contextWord(state, agent))
  let changed = false
  for (let i = firstRead(spins); i < spins.readWord.length; i++) {
    // Reduction knows nothing of plain stores; what it misses by that is in `wasCutShort`.
    if (spins.readPlain[i] !== 0 && !state.merging) continue
    if (valueAt(spins.readWord[i] as number) !== spins.readValue[i]) changed = true
  }
  return changed ? spinFootprint(state, agent) : DISABLED
}

/** Whether `agent`, which is blocked, waits only because changes of words that it looked at with plain loads do not count. */
export function wasCutShort(state: KernelState, agent: number): boolean {
  const spins = state.spins[agent] as Spins
  if (state.rows[rowOfAgent(state, agent) + Row.op] !== Op.relax || spins.relax === Relax.step) return false
  for (let i = firstRead(spins); i < spins.readWord.length; i++) {
    if (state.words[spins.readWord[i] as number] !== spins.readValue[i]) return true
  }
  return false
}

/**
 * The footprint of a waiting agent's step when it will be able to take it. Words that it looked at with plain loads are
 * guarded by others that it looked at, or its loads would be races.
 */
export function spinFootprint(state: KernelState, agent: number): number {
  const spins = state.spins[agent] as Spins
  const singles: number[] = []
  for (let i = firstRead(spins); i < spins.readWord.length; i++) {
    const single = reads(spins.readWord[i] as number)
    if (spins.readPlain[i] === 0 && !singles.includes(single)) singles.push(single)
  }
  return all(state.footprints, singles)
}

/** The context word of an agent's CPU. */
export function contextWord({ machine }: KernelState, agent: number): number {
  const { Cpu, CPU_STRIDE } = machine.tree.percpu
  return machine.areas + (agent % machine.cpus) * CPU_STRIDE + Cpu.context
}

/** The word that counts how often an agent's CPU has turned interrupts off. */
export function irqOffWord({ machine }: KernelState, agent: number): number {
  const { Cpu, CPU_STRIDE } = machine.tree.percpu
  return machine.areas + (agent % machine.cpus) * CPU_STRIDE + Cpu.irqOff
}

function wakeAt(state: KernelState, p: number, count: number): number {
  const singles = [writes(queueOf(state, p))]
  for (const agent of state.sleepers) {
    if (state.rows[rowOfAgent(state, agent) + Row.a] === p && singles.length <= count) singles.push(writes(state.flags + agent))
  }
  return all(state.footprints, singles)
}
