// A recording of one execution: everything that a watch is told, with values, and what each CPU held at that moment.
import { ROW_SHIFT, Row } from '../../compile/stepped/announce.ts'
import { Op, opName } from '../../compile/stepped/ops.ts'
import type { Machine } from '../execution.ts'
import { RESUME } from '../explore/kernel-state.ts'
import { type Explains, type Violation, violationOf } from '../violation.ts'
import type { Watch } from '../watch.ts'
import { onWord } from '../word-operation.ts'

/** What kind of thing happened. */
export type EventKind = 'step' | 'plain' | 'note' | 'call-begins' | 'call-returns' | 'interrupt-begins' | 'interrupt-returns'

/** A lock that a CPU holds. */
export interface HeldLock {
  /** Its first word. */
  readonly lock: number
  /** Taken by a writer, or a spinlock. */
  readonly exclusive: boolean
  /** Place where it was taken. */
  readonly site: number
}

/** One thing that happened. */
export interface RecordedEvent {
  readonly index: number
  readonly kind: EventKind
  /** Agent c is CPU c's task, agent `cpus + c` its interrupt handler. */
  readonly agent: number
  readonly cpu: number
  readonly interrupt: boolean
  /** Number of the call of the CPU that it belongs to. */
  readonly call: number
  /** Number of the path's step that it belongs to: the step itself, or the last one of anybody before it; -1 before all. */
  readonly step: number
  /** How many steps, plain accesses and annotations were told before it. */
  readonly told: number
  /** Operation and its name; 0 and '' for what is none. */
  readonly op: number
  readonly name: string
  /** Operands. For `call-returns` `a` is the result, if `b` is 1; else it has none. */
  readonly a: number
  readonly b: number
  readonly c: number
  /** The word's value before and after, for what touches the one word `a`. */
  readonly before: number
  readonly after: number
  readonly site: number
  /** What the agent holds once it has happened. */
  readonly locks: readonly HeldLock[]
  readonly rcu: number
  /** Nesting of the CPU's `irqSave`. */
  readonly irqOff: number
}

/** An agent that cannot go on. */
export interface Waiting {
  readonly agent: number
  /** The operation that it cannot perform, and where. */
  readonly op: number
  readonly site: number
  /** The word that it waits for: that of a lock or futex, or what it read last before it began to spin; 0 if there is none. */
  readonly word: number
}

/** An execution. */
export interface Recording {
  readonly machine: Machine
  readonly events: readonly RecordedEvent[]
  /** All words of memory at the beginning and at the end. */
  readonly memory: Int32Array
  readonly memoryAfter: Int32Array
  /** What is wrong, or ''. */
  readonly failure: string
  readonly violation: Violation | null
  /** Index of the event after which something was wrong first; -1 if only the end of the execution shows it. */
  readonly violatedAt: number
  /** Who waits for ever, and for what. */
  readonly waiting: readonly Waiting[]
  /** Earlier executions were needed to see the failure: nothing is wrong along this one alone. */
  readonly acrossExecutions: boolean
  /** Why the path could not be followed to its end, or ''. */
  readonly mismatch: string
}

/** A watch that records while it is asked to, and passes everything on. */
export interface Recorder {
  /** To be given to the model. */
  readonly watch: Watch & Explains
  readonly machine: Machine
  /** From the next execution on, record. */
  start(): void
  /** Something is wrong now; only the first call counts, and none once the end of the execution has been judged. */
  mark(): void
  /** Records no more. */
  stop(failure: string, blocked: number, mismatch: string): Recording
}

interface Holding {
  locks: readonly HeldLock[]
  rcu: number
}

/** A recorder in front of `inner`, the scenario's own watch, for models on `machine`. */
export function createRecorder(machine: Machine, inner: Watch | null): Recorder {
  const { cpus, words, areas, tree } = machine
  let on = false
  let events: RecordedEvent[] = []
  let memory = new Int32Array(0)
  let holding: Holding[] = []
  let calls: number[] = []
  let step = -1
  let told = 0
  let violatedAt = -1
  let ended = false
  const irqOff = (cpu: number): number => words[areas + cpu * tree.percpu.CPU_STRIDE + tree.percpu.Cpu.irqOff] as number
  const add = (kind: EventKind, agent: number, op = 0, a = 0, b = 0, c = 0, before = 0, after = 0, site = 0): void => {
    const cpu = agent % cpus
    const { locks, rcu } = holding[agent] as Holding
    const name = op === 0 ? '' : op === RESUME ? 'resume' : opName(op)
    const base = { index: events.length, kind, agent, cpu, interrupt: agent >= cpus, call: calls[cpu] as number, step, told }
    events.push({ ...base, op, name, a, b, c, before, after, site, locks, rcu, irqOff: irqOff(cpu) })
    if (op !== 0) told++
  }
  const judge = (): void => {
    if (violatedAt < 0 && inner !== null && inner.failure() !== '') violatedAt = events.length - 1
  }
  const watch: Watch & Explains = {
    reset: () => {
      inner?.reset()
      if (!on) return
      events = []
      memory = words.slice()
      holding = Array.from({ length: cpus * 2 }, () => ({ locks: [], rcu: 0 }))
      calls = new Array(cpus).fill(0)
      step = -1
      told = 0
      violatedAt = -1
      ended = false
    },
    ...(inner === null || inner.save !== undefined ? { save: () => inner?.save?.() ?? (() => {}) } : {}),
    callBegins: (cpu, call) => {
      inner?.callBegins(cpu, call)
      if (!on) return
      calls[cpu] = call
      add('call-begins', cpu)
    },
    callReturns: (cpu, call, result) => {
      inner?.callReturns(cpu, call, result)
      if (!on) return
      add('call-returns', cpu, 0, typeof result === 'number' ? result : 0, typeof result === 'number' ? 1 : 0)
      judge()
    },
    interruptBegins: (cpu) => {
      inner?.interruptBegins(cpu)
      if (!on) return
      step++
      add('interrupt-begins', cpu + cpus)
    },
    interruptReturns: (cpu) => {
      inner?.interruptReturns(cpu)
      if (!on) return
      add('interrupt-returns', cpu + cpus)
      judge()
    },
    step: (agent, op, a, b, c, before, after, site) => {
      if (on) {
        step++
        // What a sleeper found: it falls asleep if the word is as it expected.
        const found = op === Op.futexWait ? (words[a] as number) : 0
        add('step', agent, op, a, b, c, before || found, after || found, site)
      }
      inner?.step(agent, op, a, b, c, before, after, site)
      if (on) judge()
    },
    plain: (agent, op, a, b, c, site) => {
      if (on) {
        const before = op === Op.load || op === Op.store ? (words[a] as number) : 0
        add('plain', agent, op, a, b, c, before, op === Op.store ? b | 0 : before, site)
      }
      inner?.plain(agent, op, a, b, c, site)
      if (on) judge()
    },
    note: (agent, op, a, b, c, site) => {
      if (on) {
        holding[agent] = heldAfter(holding[agent] as Holding, op, a, b, site)
        add('note', agent, op, a, b, c, 0, 0, site)
      }
      inner?.note(agent, op, a, b, c, site)
      if (on) judge()
    },
    failure: () => inner?.failure() ?? '',
    finish: (blocked) => {
      ended = true
      return inner?.finish(blocked) ?? ''
    },
    digest: (into) => inner?.digest(into),
    violation: () => violationOf(inner),
  }
  return {
    watch,
    machine,
    start: () => {
      on = true
    },
    mark: () => {
      if (violatedAt < 0 && !ended) violatedAt = events.length - 1
    },
    stop: (failure, blocked, mismatch) => {
      on = false
      const violation = failure === '' ? null : violationOf(inner)
      const waiting: Waiting[] = []
      for (let agent = 0; agent < cpus * 2; agent++) if (((blocked >> agent) & 1) !== 0) waiting.push(waitOf(machine, events, agent))
      return {
        machine,
        events,
        memory,
        memoryAfter: words.slice(),
        failure,
        violation,
        violatedAt,
        waiting,
        acrossExecutions: false,
        mismatch,
      }
    },
  }
}

function waitOf({ tree, cpus }: Machine, events: readonly RecordedEvent[], agent: number): Waiting {
  const row = (agent < cpus ? agent * 2 : (agent - cpus) * 2 + 1) << ROW_SHIFT
  const { rows } = tree.announce
  const op = rows[row + Row.op] as number
  const last = events.findLast((event) => event.agent === agent && event.kind === 'step' && onWord(event.op))
  return { agent, op, site: rows[row + Row.site] as number, word: op === Op.relax ? (last?.a ?? 0) : (rows[row + Row.a] as number) }
}

function heldAfter(held: Holding, op: number, a: number, b: number, site: number): Holding {
  switch (op) {
    case Op.lockAcquired:
      return { ...held, locks: [...held.locks.filter(({ lock }) => lock !== a), { lock: a, exclusive: b !== 0, site }] }
    case Op.lockReleased:
      return { ...held, locks: held.locks.filter(({ lock }) => lock !== a) }
    case Op.rcuReadEnter:
      return { ...held, rcu: held.rcu + 1 }
    case Op.rcuReadExit:
      return { ...held, rcu: held.rcu - 1 }
    default:
      return held
  }
}
