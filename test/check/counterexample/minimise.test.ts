// Minimising: whatever comes out fails in the same way, costs no more, and says just what its replay says.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expand, minimise, pathCost, record, signatureOf } from '../../../src/check/counterexample/index.ts'
import { explore, type Model, replay } from '../../../src/check/explore/index.ts'
import { randomNumbers } from '../../../src/check/explore/random.ts'
import type { Task } from '../../../src/check/index.ts'
import { SCRATCH, type Tiny } from '../tiny-machine.ts'
import {
  immediateTree,
  lockCycle,
  lostUpdate,
  openTiny,
  ownLocks,
  type Race,
  removeVariants,
  tinyRace,
  walkerBesideMunmap,
} from './races.ts'

const PROGRAMS = Number(process.env.GRACEWALK_FUZZ ?? 60)

let tiny: Tiny
beforeAll(async () => {
  tiny = await openTiny()
})

afterAll(removeVariants)

/** Two or three CPUs that add to counters, with and without a lock, and wait for a word. */
function randomRace(seed: number): Race {
  const on = tiny.tree.instructions
  const random = randomNumbers(seed)
  const cpus = 2 + random(2)
  const adds = new Int32Array(2)
  const plans = Array.from({ length: cpus }, () =>
    Array.from({ length: 1 + random(3) }, () => {
      const plan = { kind: ['add', 'atomic', 'noise', 'locked', 'crossed'][random(5)] as string, word: random(2) }
      if (plan.kind === 'add' || plan.kind === 'atomic') adds[plan.word] = (adds[plan.word] as number) + 1
      return plan
    }),
  )
  const tasks: Task[] = plans.map(
    (plan, cpu) =>
      function* () {
        for (const { kind, word } of plan) {
          const p = SCRATCH + word
          if (kind === 'add') {
            const seen: number = yield on.readOnce(p)
            yield on.writeOnce(p, seen + 1)
          } else if (kind === 'atomic') yield on.atomicAdd(p, 1)
          else if (kind === 'noise') for (let i = 1; i < 4; i++) yield on.writeOnce(SCRATCH + 8 + cpu, i)
          else {
            const [first, second] = kind === 'locked' || word === 0 ? [2, 3] : [3, 2]
            while ((yield on.cmpxchg(SCRATCH + first, 0, 1)) !== 0) yield on.relax()
            while ((yield on.cmpxchg(SCRATCH + second, 0, 1)) !== 0) yield on.relax()
            yield on.writeOnce(SCRATCH + second, 0)
            yield on.writeOnce(SCRATCH + first, 0)
          }
        }
      },
  )
  return tinyRace(tiny, [], [], tasks, (words) => {
    for (let i = 0; i < 2; i++) if (words[SCRATCH + i] !== adds[i]) return `an update was lost: word ${i} is ${words[SCRATCH + i]}`
    return ''
  })
}

function failingPath(model: Model, seed: number): readonly number[] | null {
  const report = explore(model, { mode: 'random', executions: 200, seed })
  return report.verdict === 'violation' ? report.path : null
}

it('keeps the failure of random programs and never costs more', () => {
  let failed = 0
  let less = 0
  let fewest = 0
  for (let seed = 0; failed < PROGRAMS; seed++) {
    const { model } = randomRace(seed)
    const path = failingPath(model, seed + 1)
    if (path === null) continue
    failed++
    const { path: shorter, failure, signature, before, after, complete } = minimise(model, path, { milliseconds: 60_000, replays: 100_000 })
    expect(complete, `seed ${seed}`).toBe(true)
    expect(replay(model, shorter), `seed ${seed}`).toBe(failure)
    expect(signatureOf(failure, null)).toBe(signatureOf(replay(model, path), null))
    expect(signatureOf(failure, null)).toBe(signature)
    expect(pathCost(model, shorter)).toEqual(after)
    expect(before).toEqual(pathCost(model, path))
    expect(after.preemptions, `seed ${seed}`).toBeLessThanOrEqual(before.preemptions)
    if (after.preemptions === before.preemptions) expect(after.switches).toBeLessThanOrEqual(before.switches)
    if (after.switches < before.switches) less++
    // No execution with fewer preemptions than the search by preemptions needs can fail.
    const bounded = explore(model, { mode: 'bounded', preemptions: 3, executions: 20_000 })
    if (bounded.verdict !== 'violation' || signatureOf(bounded.message, null) !== signature) continue
    const least = pathCost(model, bounded.path)?.preemptions as number
    expect(after.preemptions, `seed ${seed}`).toBeGreaterThanOrEqual(least)
    if (after.preemptions === least) fewest++
  }
  expect(less).toBeGreaterThan(PROGRAMS / 2)
  expect(fewest).toBeGreaterThan(PROGRAMS / 2)
})

describe('minimise', () => {
  it('leaves out a CPU that need not run', () => {
    const { model } = lostUpdate(tiny, 3)
    const path = failingPath(model, 5) as readonly number[]
    const { after, path: shorter } = minimise(model, path)
    expect(after.preemptions).toBe(1)
    // Nobody is wrong before all have returned, but the third CPU does not come in between.
    expect(expand(shorter).join('')).toMatch(/^(\d)\1*(?!\1)(\d)\2*\1+(?!\1|\2)(\d)\3*$/)
  })

  it('cuts what comes after the violation', async () => {
    const race = await ownLocks(tiny)
    const report = explore(race.model, { mode: 'random', executions: 50 })
    const { after, path, failure } = minimise(race.model, [...report.path])
    expect(after).toEqual({ preemptions: 0, switches: 1, steps: 9 })
    expect(failure).toMatch(/is not ordered with/)
    expect(replay(race.model, path)).toBe(failure)
  })

  it('ends a path where a detector saw the violation, before anything else', async () => {
    const { model, watch } = await walkerBesideMunmap(await immediateTree())
    const { path } = explore(model, { mode: 'check' })
    const { before, after, failure, signature } = minimise(model, path, { watch, replays: 2 })
    expect(before.steps).toBe(expand(path).length)
    expect(after.steps).toBeLessThanOrEqual(before.steps)
    expect(failure).toMatch(/^use of freed memory/)
    expect(signature).toMatch(/^use-after-free: use of freed memory/)
  })

  it('ends with the budget, with a path that fails', () => {
    const { model } = lostUpdate(tiny, 3)
    const path = failingPath(model, 5) as readonly number[]
    const { complete, replays, failure, path: shorter } = minimise(model, path, { replays: 4 })
    expect(complete).toBe(false)
    expect(replays).toBeLessThanOrEqual(6)
    expect(replay(model, shorter)).toBe(failure)
  })

  it('refuses a path that does not fail, or cannot be followed', () => {
    const { model } = lostUpdate(tiny, 2)
    expect(() => minimise(model, [0, 10, 1, 10])).toThrow('does not fail')
    expect(() => minimise(model, [0, 1000])).toThrow('cannot run')
  })
})

it('knows a failure by its words, not by its numbers', () => {
  const same = (a: string, b: string): boolean => signatureOf(a, null) === signatureOf(b, null)
  expect(same('use of freed table 0x4c40 by CPU 0', 'use of freed table 0x5000 by CPU 1')).toBe(true)
  expect(same('use of freed table 0x4c40', 'use of freed vma 0x4c40')).toBe(false)
  expect(same('deadlock: CPU 0 at f a.ts:1: relax', 'deadlock: CPU 1 at g b.ts:2: relax; CPU 0 at f a.ts:1: relax')).toBe(true)
  expect(
    same('CPU 0 at f a.ts:1: cmpxchg: a count fell below zero', 'CPU 1 (interrupt) at g b.ts:7: readOnce: a count fell below zero'),
  ).toBe(true)
  expect(same('CPU 0 at f a.ts:1: cmpxchg: a count fell below zero', 'CPU 0 at f a.ts:1: cmpxchg: no such list')).toBe(false)
  const violation = { detector: 'rss', bookkeeping: true, message: '', agent: -1, objects: [], related: [] }
  expect(signatureOf('wrong by 3', violation)).not.toBe(signatureOf('wrong by 3', { ...violation, detector: 'tables' }))
})

it('records only while it is asked to', async () => {
  const { model, recorder } = await lockCycle(tiny)
  const { path } = explore(model)
  const first = record(model, recorder, path)
  const count = first.events.length
  replay(model, path)
  expect(first.events.length).toBe(count)
  expect(record(model, recorder, path).events).toEqual(first.events)
  expect(first.waiting.map(({ agent, word }) => [agent, word])).toEqual([
    [0, SCRATCH + 1],
    [1, SCRATCH],
  ])
})

it('marks the step after which the program threw', () => {
  const on = tiny.tree.instructions
  const race = tinyRace(
    tiny,
    [],
    [],
    [
      function* () {
        const seen: number = yield on.xchg(SCRATCH, 1)
        if (seen !== 0) throw new Error('taken twice')
      },
      function* () {
        const seen: number = yield on.xchg(SCRATCH, 2)
        if (seen !== 0) throw new Error('taken twice')
        yield on.writeOnce(SCRATCH + 1, 1)
      },
    ],
  )
  const { path, message } = explore(race.model, { mode: 'check' })
  expect(message).toMatch(/taken twice/)
  const { events, violatedAt } = record(race.model, race.recorder, path)
  expect(events[violatedAt]).toMatchObject({ name: 'xchg' })
  expect(events[violatedAt]?.before).not.toBe(0)
})
