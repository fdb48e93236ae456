// The state of stepped CPUs under exploration. A CPU is two agents: its task, and its interrupt handler, whose first step is
// the arrival of an IPI. Besides the words of the machine there are objects of the checker's own: for each CPU whether it is
// in its handler, for each agent whether it was woken, and the queues of sleepers of futex words.
import { ROW_SHIFT, Row } from '../../compile/stepped/announce.ts'
import { Op } from '../../compile/stepped/ops.ts'
import { Mode } from '../../kernel/machine/entry.ts'
import type { Machine, Task } from '../execution.ts'
import type { Steps } from '../tree.ts'
import type { Watch } from '../watch.ts'
import { all, both, createFootprints, DISABLED, type Footprints, reads, writes } from './footprint.ts'
import { type KernelMemory, rememberMemory } from './kernel-memory.ts'
import type { ValueAt } from './model.ts'

/** What an agent that sleeps in `futexWait` does once woken: an operation of the checker's own. */
export const RESUME = 31

/** Words that a spinning agent may wait for at once. */
export const WATCHED = 16
/** Futex words that a scenario may use. */
const QUEUES = 256

/** What `relax` stands in a loop that does nothing but look: only what it read since its last write is waited for. */
const PURE_SPINS: ReadonlySet<string> = new Set(['shootDown', 'ipiAndWait', 'spinLockSlow', 'spinLockIrqsave'])
/** The function whose `cmpxchg` of a held lock spins until it is free: waiting for that is one step. */
const SPIN_LOCK = 'spinLock'

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
  readonly generators: (Steps<unknown> | null)[]
  readonly finished: Uint8Array
  readonly inHandler: Uint8Array
  readonly woken: Uint8Array
  /** For each CPU what its calls returned. */
  readonly results: unknown[][]
  readonly sleepers: number[]
  readonly footprints: Footprints
  /** What each agent read since it last spun: words, values, how many, and from where on nothing was written since. */
  readonly watchWord: Int32Array
  readonly watchValue: Int32Array
  readonly watchCount: Int32Array
  readonly watchSince: Int32Array
  readonly queues: Map<number, number>
  /** First objects behind the words. */
  readonly levels: number
  readonly flags: number
  readonly firstQueue: number
  readonly objects: number
  /** For each place: 1 if it is the `cmpxchg` of `spinLock`, 2 if it is a `relax` that only looks. */
  readonly siteKinds: Uint8Array
  /** Places seen. */
  readonly seen: Uint8Array
}

/** The state of `calls`, a list for each CPU, on `machine`, whose memory is as it shall be at the start of each execution. */
export function createKernelState(machine: Machine, calls: readonly (readonly Task[])[], watch: Watch | null): KernelState {
  const { cpus, tree, words } = machine
  const agents = cpus * 2
  const levels = words.length
  const flags = levels + cpus
  const firstQueue = flags + agents
  const kinds = tree.sites.map((site) => {
    if (site.function === SPIN_LOCK && site.instruction === 'cmpxchg') return 1
    return site.instruction === 'relax' && PURE_SPINS.has(site.function) ? 2 : 0
  })
  return {
    machine,
    memory: rememberMemory(words),
    words,
    rows: tree.announce.rows,
    calls,
    call: new Int32Array(cpus),
    begun: new Uint8Array(cpus),
    watch,
    generators: new Array(agents).fill(null),
    finished: new Uint8Array(agents),
    inHandler: new Uint8Array(cpus),
    woken: new Uint8Array(agents),
    results: Array.from({ length: cpus }, () => []),
    sleepers: [],
    footprints: createFootprints(),
    watchWord: new Int32Array(agents * WATCHED),
    watchValue: new Int32Array(agents * WATCHED),
    watchCount: new Int32Array(agents),
    watchSince: new Int32Array(agents),
    queues: new Map(),
    levels,
    flags,
    firstQueue,
    objects: firstQueue + QUEUES,
    siteKinds: Uint8Array.from(kinds),
    seen: new Uint8Array(kinds.length),
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
  if (agent < cpus) return valueAt(state.levels + agent) !== 0 ? DISABLED : operationAt(state, agent, valueAt)
  const cpu = agent - cpus
  const level = state.levels + cpu
  if (state.inHandler[cpu] === 0)
    return canArrive(state, cpu, valueAt) ? both(state.footprints, reads(ipiRequests(state, cpu)), writes(level)) : DISABLED
  const footprint = operationAt(state, agent, valueAt)
  return footprint === DISABLED ? DISABLED : withLevel(state, footprint, level)
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
      return state.siteKinds[rows[row + Row.site] as number] === 1 ? DISABLED : reads(a)
    case Op.atomicAdd:
      return b === 0 ? reads(a) : writes(a)
    case Op.atomicOr:
      return (valueAt(a) | b) === valueAt(a) ? reads(a) : writes(a)
    case Op.atomicAnd:
      return (valueAt(a) & b) === valueAt(a) ? reads(a) : writes(a)
    case Op.relax:
      return spinAt(state, agent, valueAt)
    case Op.futexWait:
      return both(state.footprints, reads(a), writes(queueOf(state, a)))
    case Op.futexWake:
      return wakeAt(state, a, b)
    case Op.irqSave:
    case Op.irqRestore: {
      const { Cpu, CPU_STRIDE } = state.machine.tree.percpu
      const cpu = agent < state.machine.cpus ? agent : agent - state.machine.cpus
      return writes(state.machine.areas + cpu * CPU_STRIDE + Cpu.irqOff)
    }
    case Op.sendIpi:
      return writes(ipiRequests(state, a))
    case RESUME:
      return valueAt(state.flags + agent) === 1 ? writes(state.flags + agent) : DISABLED
    default:
      return 0
  }
}

/** First of the words that `agent`, at a `relax`, waits for. */
function firstWatched(state: KernelState, agent: number): number {
  const site = state.rows[rowOfAgent(state, agent) + Row.site] as number
  return state.siteKinds[site] === 2 ? (state.watchSince[agent] as number) : 0
}

/** A spinning agent goes on once a word that it read has another value. */
function spinAt(state: KernelState, agent: number, valueAt: ValueAt): number {
  const base = agent * WATCHED
  const count = state.watchCount[agent] as number
  const singles: number[] = []
  let changed = false
  for (let i = firstWatched(state, agent); i < count; i++) {
    const p = state.watchWord[base + i] as number
    if (valueAt(p) !== state.watchValue[base + i]) changed = true
    if (!singles.includes(reads(p))) singles.push(reads(p))
  }
  return changed ? all(state.footprints, singles) : DISABLED
}

/** The footprint of a spinning agent's step when it will be able to take it. */
export function spinFootprint(state: KernelState, agent: number): number {
  const base = agent * WATCHED
  const singles: number[] = []
  for (let i = firstWatched(state, agent); i < (state.watchCount[agent] as number); i++) {
    const single = reads(state.watchWord[base + i] as number)
    if (!singles.includes(single)) singles.push(single)
  }
  return all(state.footprints, singles)
}

function wakeAt(state: KernelState, p: number, count: number): number {
  const singles = [writes(queueOf(state, p))]
  for (const agent of state.sleepers) {
    if (state.rows[rowOfAgent(state, agent) + Row.a] === p && singles.length <= count) singles.push(writes(state.flags + agent))
  }
  return all(state.footprints, singles)
}
