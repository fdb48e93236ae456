// What each operation of a litmus program does to the words when its agent is scheduled.
/** Operation codes. */
export const Do = Object.freeze({
  nothing: 0,
  read: 1,
  write: 2,
  add: 3,
  exchange: 4,
  compareExchange: 5,
  lock: 6,
  awaitValue: 7,
  awaitOther: 8,
  awaitExchange: 9,
  futexWait: 10,
  futexWake: 11,
  /** What an agent that sleeps in `futexWait` does once woken. */
  resume: 12,
})

/** A litmus program in execution. */
export interface LitmusState {
  readonly words: Int32Array
  /** Announced operation of each agent: code, word, two operands. */
  readonly code: Int32Array
  readonly word: Int32Array
  readonly a: Int32Array
  readonly b: Int32Array
  readonly woken: Int32Array
  /** Agents asleep, longest first. */
  readonly sleepers: number[]
  /** Objects behind the words: the queue of sleepers of each word, and whether each agent was woken. */
  readonly queues: number
  readonly flags: number
}

/**
 * Performs `agent`'s announced operation. Returns the value that its code gets. A `futexWait` that sleeps becomes
 * `Do.resume` and returns 0; a `Do.resume` returns 1.
 */
export function performOperation(state: LitmusState, agent: number): number {
  const { words } = state
  const p = state.word[agent] as number
  const a = state.a[agent] as number
  switch (state.code[agent]) {
    case Do.read:
    case Do.awaitValue:
    case Do.awaitOther:
      return words[p] as number
    case Do.write:
      words[p] = a
      return 0
    case Do.add:
      words[p] = (words[p] as number) + a
      return words[p] as number
    case Do.exchange: {
      const old = words[p] as number
      words[p] = a
      return old
    }
    case Do.compareExchange:
    case Do.awaitExchange: {
      const old = words[p] as number
      if (old === a) words[p] = state.b[agent] as number
      return old
    }
    case Do.lock:
      words[p] = 1
      return 0
    case Do.futexWait:
      if (words[p] !== a) return 0
      state.sleepers.push(agent)
      state.code[agent] = Do.resume
      return 0
    case Do.futexWake:
      return wake(state, p, a)
    case Do.resume:
      state.woken[agent] = 0
      return 1
    default:
      throw new Error(`operation ${state.code[agent]} cannot be performed`)
  }
}

function wake(state: LitmusState, p: number, count: number): number {
  const { sleepers } = state
  let woken = 0
  for (let i = 0; i < sleepers.length && woken < count; ) {
    const agent = sleepers[i] as number
    if (state.word[agent] === p) {
      state.woken[agent] = 1
      sleepers.splice(i, 1)
      woken++
    } else i++
  }
  return woken
}
