// Spinlocks under random schedules, and a broken one that must be caught.
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Instructions, type Outcome, randomScheduler, run, type Stepped, type Steps } from '../../src/check/index.ts'
import { layOut, openTiny, SCRATCH, type Tiny } from './tiny-machine.ts'

type Spinlock = Stepped<typeof import('../../src/kernel/sync/spinlock.ts')>
let tiny: Tiny
let on: Instructions
let real: Spinlock
const text = readFileSync(new URL('../../src/kernel/sync/spinlock.ts', import.meta.url), 'utf8')

beforeAll(async () => {
  tiny = await openTiny()
  on = tiny.tree.instructions
  real = await tiny.tree.module('sync/spinlock.ts')
})

const LOCK = SCRATCH
const INSIDE = SCRATCH + 1
const COUNT = SCRATCH + 2

/** Two rounds under the lock; returns how often somebody else was inside. */
function* rounds(acquire: () => Steps<unknown>, release: () => Steps<unknown>): Steps<number> {
  let intruders = 0
  for (let i = 0; i < 2; i++) {
    yield* acquire()
    if ((yield on.atomicAdd(INSIDE, 1)) !== 1) intruders++
    yield on.writeOnce(COUNT, (yield on.readOnce(COUNT)) + 1)
    yield on.atomicAdd(INSIDE, -1)
    yield* release()
  }
  return intruders
}

/** Runs `cpus` CPUs under `seeds` seeds. Returns the first seed whose execution went wrong, or -1. */
function firstFailure(lock: Spinlock, cpus: number, seeds: number, irq = false): number {
  const machine = tiny.machine(cpus)
  const task = (): Steps<number> =>
    irq
      ? rounds(
          () => lock.spinLockIrqsave(LOCK),
          () => lock.spinUnlockIrqrestore(LOCK),
        )
      : rounds(
          () => lock.spinLock(LOCK),
          () => lock.spinUnlock(LOCK),
        )
  for (let seed = 0; seed < seeds; seed++) {
    layOut(machine.words, cpus)
    const outcome: Outcome = run(machine, new Array(cpus).fill(task), randomScheduler(seed), { maxSteps: 10_000 })
    if (outcome.verdict !== 'finished' || outcome.results.some((intruders) => intruders !== 0) || machine.words[COUNT] !== 2 * cpus)
      return seed
  }
  return -1
}

describe('spinlock', () => {
  it('excludes, two and three CPUs', () => {
    expect(firstFailure(real, 2, 1000)).toBe(-1)
    expect(firstFailure(real, 3, 500)).toBe(-1)
    expect(firstFailure(real, 3, 500, true)).toBe(-1)
  })

  it.each([
    [
      'acquire reads and writes instead of cmpxchg',
      /if \(cmpxchg\(lock, 0, 1\) !== 0\) spinLockSlow\(lock\)/,
      'if (readOnce(lock) !== 0) spinLockSlow(lock)\n  smpStoreRelease(lock, 1)',
    ],
    ['the slow path does not take the lock', / while \(cmpxchg\(lock, 0, 1\) !== 0\)/, ' while (readOnce(lock) !== 0)'],
    ['release does nothing', /lockReleased\(lock\)\n {2}smpStoreRelease\(lock, 0\)\n\}/, 'lockReleased(lock)\n}'],
  ])('is caught when %s', async (_name, from, to) => {
    expect(text).toMatch(from)
    const broken = (await tiny.tree.load('sync/spinlock.ts', text.replace(from, to))) as Spinlock
    const seed = firstFailure(broken, 2, 200)
    expect(seed).toBeGreaterThanOrEqual(0)
  })
})
