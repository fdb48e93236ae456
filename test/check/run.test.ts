// The executor itself: schedules replay, equal seeds are equal, waiting and waking, deadlock and errors name their places.
import { beforeAll, describe, expect, it } from 'vitest'
import {
  type Instructions,
  randomScheduler,
  replayScheduler,
  roundRobinScheduler,
  run,
  runAlone,
  ScheduleMismatch,
  type Steps,
} from '../../src/check/index.ts'
import { layOut, openTiny, SCRATCH, type Tiny } from './tiny-machine.ts'

let tiny: Tiny
let on: Instructions
beforeAll(async () => {
  tiny = await openTiny()
  on = tiny.tree.instructions
})

const X = SCRATCH
const Y = SCRATCH + 1

/** Increments X without a lock: loses updates under some schedules. */
function* careless(): Steps<number> {
  for (let i = 0; i < 4; i++) {
    const value = yield on.readOnce(X)
    yield on.writeOnce(X, value + 1)
  }
  return on.smpProcessorId()
}

describe('schedules', () => {
  it('gives the same execution for the same seed, and others for other seeds', () => {
    const machine = tiny.machine(3)
    const outcomes = [1, 1, 2].map((seed) => {
      layOut(machine.words, 3)
      const outcome = run(machine, [careless, careless, careless], randomScheduler(seed))
      return { ...outcome, x: machine.words[X] }
    })
    expect(outcomes[0]?.verdict).toBe('finished')
    expect(outcomes[0]?.results).toEqual([0, 1, 2])
    expect(outcomes[1]).toEqual(outcomes[0])
    expect(outcomes[2]?.schedule).not.toEqual(outcomes[0]?.schedule)
  })

  it('replays exactly, through JSON', () => {
    const machine = tiny.machine(3)
    for (let seed = 0; seed < 50; seed++) {
      layOut(machine.words, 3)
      const first = run(machine, [careless, careless, careless], randomScheduler(seed))
      const memory = machine.words.join()
      layOut(machine.words, 3)
      const again = run(machine, [careless, careless, careless], replayScheduler(JSON.parse(JSON.stringify(first.schedule))))
      expect(again).toEqual(first)
      expect(machine.words.join()).toBe(memory)
    }
  })

  it('refuses a schedule that no longer fits', () => {
    const machine = tiny.machine(2)
    expect(() => run(machine, [careless, null], replayScheduler([0, 2, 1, 1]))).toThrow(ScheduleMismatch)
  })

  it('finds lost updates by random schedules, none by running each CPU to its end', () => {
    const machine = tiny.machine(2)
    const seen = new Set<number>()
    for (let seed = 0; seed < 200; seed++) {
      layOut(machine.words, 2)
      run(machine, [careless, careless], randomScheduler(seed))
      seen.add(machine.words[X] as number)
    }
    expect(seen.size).toBeGreaterThan(4)
    layOut(machine.words, 2)
    run(machine, [careless, careless], roundRobinScheduler())
    expect(machine.words[X]).toBe(8)
    layOut(machine.words, 2)
    run(machine, [careless, careless], roundRobinScheduler(1))
    expect(machine.words[X]).toBe(4)
  })

  it('stops at the budget of steps and says so', () => {
    const machine = tiny.machine(1)
    const outcome = run(machine, [careless], roundRobinScheduler(), { maxSteps: 3 })
    expect(outcome.verdict).toBe('stopped')
    expect(outcome.steps).toBe(3)
  })
})

describe('waiting', () => {
  it('sleeps in futexWait until woken, and not if the word has another value', () => {
    const machine = tiny.machine(2)
    function* sleeper(): Steps<number> {
      while ((yield on.readOnce(X)) === 0) yield on.futexWait(X, 0)
      return yield on.readOnce(Y)
    }
    function* waker(): Steps<void> {
      yield on.writeOnce(Y, 7)
      yield on.writeOnce(X, 1)
      yield on.futexWake(X, 1)
    }
    for (let seed = 0; seed < 300; seed++) {
      layOut(machine.words, 2)
      const outcome = run(machine, [sleeper, waker], randomScheduler(seed))
      expect(outcome.message).toBe('')
      expect(outcome.results[0]).toBe(7)
    }
  })

  it('reports a wake-up that nobody sends as a deadlock', () => {
    const machine = tiny.machine(2)
    function* sleeper(): Steps<void> {
      while ((yield on.readOnce(X)) === 0) yield on.futexWait(X, 0)
    }
    function* forgetful(): Steps<void> {
      yield on.writeOnce(X, 1)
    }
    const verdicts = new Set<string>()
    for (let seed = 0; seed < 100; seed++) {
      layOut(machine.words, 2)
      const outcome = run(machine, [sleeper, forgetful], randomScheduler(seed))
      verdicts.add(outcome.verdict)
      if (outcome.verdict === 'deadlock') expect(outcome.message).toContain('CPU 0 asleep')
    }
    expect([...verdicts].sort()).toEqual(['deadlock', 'finished'])
  })

  it('wakes as many as asked for, longest sleeper first', () => {
    const machine = tiny.machine(3)
    const order: number[] = []
    function* sleeper(): Steps<void> {
      yield on.futexWait(X, 0)
      order.push(on.smpProcessorId())
    }
    function* waker(): Steps<void> {
      yield on.futexWake(X, 1)
    }
    const outcome = run(machine, [sleeper, sleeper, waker], replayScheduler([1, 2, 0, 2, 2, 2, 1, 1]))
    expect(order).toEqual([1])
    expect(outcome.positions.map(({ state }) => state)).toEqual(['asleep', 'finished', 'finished'])
  })

  it('never starves a spinner of a change, and ends when there is none', () => {
    const machine = tiny.machine(2)
    function* spinner(): Steps<void> {
      while ((yield on.readOnce(X)) === 0) yield on.relax()
    }
    function* setter(): Steps<void> {
      yield on.writeOnce(Y, 1)
      yield on.writeOnce(X, 1)
    }
    for (let seed = 0; seed < 300; seed++) {
      layOut(machine.words, 2)
      expect(run(machine, [spinner, setter], randomScheduler(seed), { maxSteps: 1000 }).message).toBe('')
    }
    layOut(machine.words, 2)
    expect(run(machine, [spinner, null], roundRobinScheduler()).verdict).toBe('livelock')
  })

  it('lets a spinner take its turn after another CPU changed a word, and only then', () => {
    const machine = tiny.machine(2)
    function* spinner(): Steps<void> {
      while ((yield on.readOnce(X)) === 0) {
        on.store(Y + 8, on.load(Y + 8) + 1) // its own doing does not count
        yield on.relax()
      }
    }
    const other = (change: () => void) =>
      function* (): Steps<void> {
        change()
        yield on.writeOnce(Y, 0) // no change
        yield on.writeOnce(Y, 1)
        yield on.readOnce(Y)
      }
    const nothing = other(() => {})
    const stores = other(() => on.store(X, 1))
    // The spinner begins, reads, relaxes (the first time is free), reads; its next relax has to wait.
    const attempt = (task: () => Steps<void>, otherSteps: number) => {
      layOut(machine.words, 2)
      return () => run(machine, [spinner, task], replayScheduler([0, 4, 1, otherSteps, 0, 1]))
    }
    expect(attempt(nothing, 1)).toThrow(ScheduleMismatch)
    expect(attempt(nothing, 2)).toThrow(ScheduleMismatch)
    expect(attempt(nothing, 3)().verdict).toBe('stopped')
    expect(attempt(stores, 1)().verdict).toBe('stopped')
  })

  it('lets a spinner go on that makes its own progress', () => {
    const machine = tiny.machine(1)
    function* own(): Steps<void> {
      while ((yield on.atomicAdd(X, 1)) < 50) yield on.relax()
    }
    expect(run(machine, [own], roundRobinScheduler()).verdict).toBe('finished')
  })
})

describe('places', () => {
  const source = `// Two locks.
import { load, store } from '../machine/instructions.ts'
import { spinLock, spinUnlock } from './spinlock.ts'

/** Takes both. */
export function both(a: number, b: number): void {
  spinLock(a)
  spinLock(b)
  store(a + 8, load(a + 8) + 1)
  spinUnlock(b)
  spinUnlock(a)
}
`
  it('finds the deadlock of two locks taken in both orders and names where each CPU hangs', async () => {
    const { both } = await tiny.tree.load<{ both(a: number, b: number): void }>('sync/both.ts', source)
    const machine = tiny.machine(2)
    const messages = new Set<string>()
    for (let seed = 0; seed < 100; seed++) {
      layOut(machine.words, 2)
      const outcome = run(machine, [() => both(X, Y), () => both(Y, X)], randomScheduler(seed))
      if (outcome.verdict !== 'finished') messages.add(outcome.message)
    }
    expect(messages.size).toBeGreaterThan(0)
    for (const message of messages) {
      expect(message).toMatch(
        /^livelock after \d+ steps\n {2}CPU 0 spinning at spinLockSlow sync\/spinlock\.ts:\d+: relax\(\)\n {2}CPU 1 spinning/,
      )
    }
  })

  it('gives errors thrown in stepped code their place', () => {
    const machine = tiny.machine(1)
    function* bad(): Steps<void> {
      yield on.readOnce(X)
      throw new Error('broken')
    }
    const outcome = run(machine, [bad], roundRobinScheduler())
    expect(outcome.verdict).toBe('error')
    expect(outcome.message).toContain('CPU 0, after (not compiled): broken')
    expect(() => runAlone(machine, bad)).toThrow('broken')
  })

  it('takes a bare yield for the mistake that it is', () => {
    const machine = tiny.machine(1)
    function* bare(): Steps<void> {
      yield on.writeOnce(X, 1)
      yield
    }
    expect(run(machine, [bare], roundRobinScheduler()).verdict).toBe('error')
  })
})
