// Litmus programs: a few agents over a few words, written as generators that yield one operation at a time. For tests of
// the exploration itself, for benchmarks, and for small protocols that one wants to know about before writing them down.
//
//   litmus({ words: 3, agents: [
//     function* (on) { yield on.write(1, 1); seen[0] = yield on.read(2) },
//     function* (on) { yield on.write(2, 1); seen[1] = yield on.read(1) },
//   ] })

import { finishDigest, mixInto } from './digest.ts'
import { all, both, createFootprints, DISABLED, reads, writes } from './footprint.ts'
import { Do, type LitmusState, performOperation } from './litmus-operations.ts'
import { type Model, Status, type ValueAt } from './model.ts'

/** Operations that an agent can yield; each yields the value said. `load` and `store` are no steps: for what is owned. */
export interface Operations {
  /** The word. */
  read(p: number): void
  write(p: number, value: number): void
  /** The sum. */
  add(p: number, delta: number): void
  /** The word before. */
  exchange(p: number, value: number): void
  /** The word before: `expected` if it succeeded. */
  compareExchange(p: number, expected: number, value: number): void
  /** Waits until the word is 0, and makes it 1 in the same step. */
  lock(p: number): void
  unlock(p: number): void
  /** Waits until the word is `value` (`awaitOther`: is not). The word. */
  awaitValue(p: number, value: number): void
  awaitOther(p: number, value: number): void
  /** Waits until the word is `expected` and replaces it in the same step: a retry loop whose failures do nothing. */
  awaitExchange(p: number, expected: number, value: number): void
  /** Sleeps while the word is `expected`, until woken. 1 if it slept. */
  futexWait(p: number, expected: number): void
  /** Wakes up to `count` sleepers, first come first served. How many. */
  futexWake(p: number, count: number): void
  load(p: number): number
  store(p: number, value: number): void
  /**
   * Says that what the agent does from here on depends on `values` and on nothing else that it has seen so far, so that
   * states that differ in what it has forgotten count as one. Places where it says so must have different `values`.
   */
  keep(...values: number[]): void
  /** Records a violation unless `holds`. */
  assert(holds: boolean, message: string): void
}

/** An agent's code. */
export type Agent = (on: Operations) => Generator<void, void, number>

/** A litmus program. Words are numbered from 1. */
export interface Litmus {
  readonly words: number
  readonly agents: readonly Agent[]
  /** Values of words 1, 2, …; 0 where not given. */
  readonly initial?: readonly number[]
  /** Judges the end: what is wrong, or ''. */
  readonly check?: (words: Int32Array) => string
  /** Whether agents that wait for ever are no violation. */
  readonly mayBlock?: boolean
}

/** The model of a litmus program. */
export function litmus(program: Litmus): Model {
  const { agents, initial = [], check, mayBlock = false } = program
  const count = agents.length
  const room = program.words + 1
  const start = new Int32Array(room)
  start.set(initial, 1)
  const state: LitmusState = {
    words: new Int32Array(room),
    code: new Int32Array(count),
    word: new Int32Array(count),
    a: new Int32Array(count),
    b: new Int32Array(count),
    woken: new Int32Array(count),
    sleepers: [],
    queues: room,
    flags: room * 2,
  }
  const { words, code, word, a, b, sleepers } = state
  const generators: Generator<void, void, number>[] = []
  const footprints = createFootprints()
  let current = 0
  let wrong = ''
  let points = 0
  let watcher: Parameters<NonNullable<Model['watchPlain']>>[0] | null = null
  /** For each agent a digest of all that it has seen, which decides what it does next. */
  const seen = Array.from({ length: count }, () => new Int32Array(2))
  const saw = (one: number): void => mixInto(seen[current] as Int32Array, one)
  const announce = (what: number, p: number, first: number, second: number): void => {
    code[current] = what
    word[current] = p
    a[current] = first
    b[current] = second
  }
  const on: Operations = {
    read: (p) => announce(Do.read, p, 0, 0),
    write: (p, value) => announce(Do.write, p, value, 0),
    add: (p, delta) => announce(Do.add, p, delta, 0),
    exchange: (p, value) => announce(Do.exchange, p, value, 0),
    compareExchange: (p, expected, value) => announce(Do.compareExchange, p, expected, value),
    lock: (p) => announce(Do.lock, p, 0, 0),
    unlock: (p) => announce(Do.write, p, 0, 0),
    awaitValue: (p, value) => announce(Do.awaitValue, p, value, 0),
    awaitOther: (p, value) => announce(Do.awaitOther, p, value, 0),
    awaitExchange: (p, expected, value) => announce(Do.awaitExchange, p, expected, value),
    futexWait: (p, expected) => announce(Do.futexWait, p, expected, 0),
    futexWake: (p, most) => announce(Do.futexWake, p, most, 0),
    load: (p) => {
      watcher?.(current, p, 1, false)
      saw(words[p] as number)
      return words[p] as number
    },
    store: (p, value) => {
      watcher?.(current, p, 1, true)
      words[p] = value
    },
    keep: (...values) => {
      ;(seen[current] as Int32Array).fill(0)
      for (const one of values) saw(one)
    },
    assert: (holds, message) => {
      if (!holds) wrong ||= message
    },
  }
  const advance = (agent: number, value: number): void => {
    current = agent
    code[agent] = Do.nothing
    saw(value)
    ;(generators[agent] as Generator<void, void, number>).next(value)
  }
  const value = (object: number): number => (object < room ? (words[object] as number) : flag(object))
  const flag = (object: number): number => (object < state.flags ? 0 : (state.woken[object - state.flags] as number))

  /** Whether agent's operation could be performed if its word had value `now`. */
  const passes = (agent: number, now: number): boolean => {
    switch (code[agent]) {
      case Do.lock:
        return now === 0
      case Do.awaitValue:
      case Do.awaitExchange:
        return now === a[agent]
      case Do.awaitOther:
        return now !== a[agent]
      default:
        return true
    }
  }
  const footprintAt = (agent: number, now: number): number => {
    const p = word[agent] as number
    switch (code[agent]) {
      case Do.nothing:
        return 0
      case Do.read:
      case Do.awaitValue:
      case Do.awaitOther:
        return reads(p)
      case Do.compareExchange:
        return now === a[agent] ? writes(p) : reads(p)
      // Also where it does not sleep: whether two operations commute must not hang on a third that commutes with the first.
      case Do.futexWait:
        return both(footprints, reads(p), writes(state.queues + p))
      case Do.resume:
        return writes(state.flags + agent)
      default:
        return writes(p)
    }
  }
  const wakes = (agent: number): number => {
    const p = word[agent] as number
    const list = [writes(state.queues + p)]
    for (const sleeper of sleepers) {
      if (word[sleeper] === p && list.length <= (a[agent] as number)) list.push(writes(state.flags + sleeper))
    }
    return all(footprints, list)
  }

  return {
    agents: count,
    objects: state.flags + count,
    footprints,
    groups: null,
    reset: () => {
      words.set(start)
      state.woken.fill(0)
      sleepers.length = 0
      wrong = ''
      for (let agent = 0; agent < count; agent++) {
        generators[agent] = (agents[agent] as Agent)(on)
        ;(seen[agent] as Int32Array).fill(0)
        advance(agent, 0)
      }
    },
    status: (agent) => {
      const what = code[agent] as number
      if (what === Do.nothing) return Status.done
      if (what < Do.lock) return Status.ready
      if (what === Do.resume) return state.woken[agent] === 1 ? Status.ready : Status.blocked
      return passes(agent, words[word[agent] as number] as number) ? Status.ready : Status.blocked
    },
    footprint: (agent) => {
      const what = code[agent] as number
      if (what === Do.futexWake) return wakes(agent)
      return footprintAt(agent, words[word[agent] as number] as number)
    },
    conditional: (agent) => (code[agent] as number) >= Do.compareExchange,
    predict: (agent: number, valueAt: ValueAt) => {
      const what = code[agent] as number
      if (what === Do.resume) return valueAt(state.flags + agent) === 1 ? footprintAt(agent, 0) : DISABLED
      if (what === Do.futexWake) return writes(state.queues + (word[agent] as number))
      if (what < Do.compareExchange) return footprintAt(agent, 0)
      const now = valueAt(word[agent] as number)
      return passes(agent, now) ? footprintAt(agent, now) : DISABLED
    },
    value,
    step: (agent) => {
      points++
      const result = performOperation(state, agent)
      if (code[agent] !== Do.resume || result !== 0) advance(agent, code[agent] === Do.resume ? 1 : result)
    },
    failure: () => wrong,
    finish: (blocked) => {
      if (blocked !== 0) return mayBlock ? '' : `deadlock: ${listAgents(blocked)} wait for ever`
      return check === undefined ? '' : check(words)
    },
    digest: (into) => {
      for (let p = 1; p < room; p++) mixInto(into, words[p] as number)
      for (let agent = 0; agent < count; agent++) {
        const of = seen[agent] as Int32Array
        const what = code[agent] as number
        mixInto(into, of[0] as number)
        mixInto(into, of[1] as number)
        mixInto(into, what | ((state.woken[agent] as number) << 8))
        if (what === Do.nothing) continue
        mixInto(into, word[agent] as number)
        mixInto(into, a[agent] as number)
        mixInto(into, b[agent] as number)
      }
      for (let i = 0; i < sleepers.length; i++) mixInto(into, sleepers[i] as number)
      finishDigest(into)
    },
    watchPlain: (to) => {
      watcher = to
    },
    yieldPoints: () => points,
  }
}

function listAgents(mask: number): string {
  const names: string[] = []
  for (let agent = 0; agent < 31; agent++) if (((mask >> agent) & 1) !== 0) names.push(`agent ${agent}`)
  return names.join(', ')
}
