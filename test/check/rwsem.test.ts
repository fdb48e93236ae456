// The rw-semaphore on three CPUs: exclusion, no lost wake-up, writers not starved; and broken ones that must be caught.
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Instructions, randomScheduler, run, type Stepped, type Steps } from '../../src/check/index.ts'
import { openTiny, SCRATCH, type Tiny } from './tiny-machine.ts'

type Rwsem = Stepped<typeof import('../../src/kernel/sync/rwsem.ts')>
let tiny: Tiny
let on: Instructions
let real: Rwsem
const text = readFileSync(new URL('../../src/kernel/sync/rwsem.ts', import.meta.url), 'utf8')

beforeAll(async () => {
  tiny = await openTiny()
  on = tiny.tree.instructions
  real = await tiny.tree.module('sync/rwsem.ts')
})

const SEM = SCRATCH
const READERS = SCRATCH + 16
const WRITERS = SCRATCH + 17
const LIMIT = 4000

function* read(sem: Rwsem): Steps<number> {
  yield* sem.downRead(SEM)
  yield on.atomicAdd(READERS, 1)
  const wrong = (yield on.readOnce(WRITERS)) !== 0 ? 1 : 0
  yield on.atomicAdd(READERS, -1)
  yield* sem.upRead(SEM)
  return wrong
}

function* write(sem: Rwsem, downgrade: boolean): Steps<number> {
  yield* sem.downWrite(SEM)
  let wrong = (yield on.atomicAdd(WRITERS, 1)) !== 1 ? 1 : 0
  if ((yield on.readOnce(READERS)) !== 0) wrong++
  yield on.atomicAdd(WRITERS, -1)
  if (downgrade) {
    yield* sem.downgradeWrite(SEM)
    yield on.atomicAdd(READERS, 1)
    if ((yield on.readOnce(WRITERS)) !== 0) wrong++
    yield on.atomicAdd(READERS, -1)
    yield* sem.upRead(SEM)
  } else yield* sem.upWrite(SEM)
  return wrong
}

/** CPU 0 writes and reads, CPU 1 reads and writes, CPU 2 writes with a downgrade (or reads twice). */
function failure(sem: Rwsem, seed: number): string {
  const machine = tiny.machine(3)
  const sum = function* (...tasks: Steps<number>[]): Steps<number> {
    let wrong = 0
    for (const task of tasks) wrong += yield* task
    return wrong
  }
  const outcome = run(
    machine,
    [
      () => sum(write(sem, false), read(sem)),
      () => sum(read(sem), write(sem, false)),
      () => (seed % 2 === 0 ? sum(write(sem, true), read(sem)) : sum(read(sem), read(sem))),
    ],
    randomScheduler(seed),
    { maxSteps: LIMIT },
  )
  if (outcome.verdict !== 'finished') return outcome.message
  if (outcome.results.some((wrong) => wrong !== 0)) return `seed ${seed}: not exclusive`
  if (machine.words.subarray(SEM, SEM + 4).some((word) => word !== 0)) return `seed ${seed}: not free at the end`
  return ''
}

describe('rwsem', () => {
  it('excludes, loses no wake-up and ends free, on three CPUs under 2000 seeds', () => {
    for (let seed = 0; seed < 2000; seed++) expect(failure(real, seed)).toBe('')
  })

  it('does not let readers that come later overtake a waiting writer', () => {
    // Two CPUs read for ever; the writer must get through in a bounded number of their turns.
    let worst = 0
    for (let seed = 0; seed < 200; seed++) {
      const machine = tiny.machine(3)
      let turns = 0
      let waiting = false
      let written = false
      function* reader(): Steps<void> {
        while (!written) {
          const asked = waiting
          yield* read(real)
          if (asked && !written) turns++
        }
      }
      function* writer(): Steps<void> {
        yield* real.downWrite(SEM)
        written = true
        yield* real.upWrite(SEM)
      }
      const outcome = run(machine, [reader, reader, writer], randomScheduler(seed), {
        maxSteps: 20_000,
        // The writer waits from the moment at which the WAITERS bit is up.
        onStep: () => {
          if (((machine.words[SEM] as number) & (1 << 29)) !== 0) waiting = true
        },
      })
      expect(outcome.message).toBe('')
      worst = Math.max(worst, turns)
    }
    expect(worst).toBeLessThanOrEqual(2)
  })

  it.each([
    ['a reader ignores a writer', /if \(\(seen & \(WRITER \| WAITERS\)\) !== 0\) return 0/, 'if ((seen & WAITERS) !== 0) return 0'],
    [
      'a releasing writer wakes nobody',
      /atomicAnd\(sem \+ Rwsem\.count, ~WRITER\)\n {2}handOver\(sem\)/,
      'atomicAnd(sem + Rwsem.count, ~WRITER)',
    ],
    ['a grant is not followed by a wake-up', /\n {4}futexWake\(waiter \+ Cpu\.waitGranted, 1\)/, ''],
    [
      'the waiter does not try itself after it queued',
      /\n {2}grant\(sem\)\n {2}spinUnlock\(sem \+ Rwsem\.waitLock\)\n {2}if/,
      '\n  spinUnlock(sem + Rwsem.waitLock)\n  if',
    ],
    ['the queue is not locked by the waiter', /const me = thisCpu\(\)\n {2}spinLock\(sem \+ Rwsem\.waitLock\)/, 'const me = thisCpu()'],
    [
      'a reader in front of the queue joins a writer',
      /writes \? \(count & ~WAITERS\) !== 0 : \(count & WRITER\) !== 0/,
      'writes ? (count & ~WAITERS) !== 0 : false',
    ],
  ])('is caught when %s', async (_name, from, to) => {
    expect(text).toMatch(from)
    const broken = (await tiny.tree.load('sync/rwsem.ts', text.replace(from, to), { ignoreRules: true })) as Rwsem
    let caught = ''
    for (let seed = 0; seed < 2000 && caught === ''; seed++) caught = failure(broken, seed)
    expect(caught).not.toBe('')
  })
})
