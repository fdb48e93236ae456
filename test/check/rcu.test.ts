// Grace periods: RCU by quiescent states and SRCU by counting, each with readers that must not see what they hold freed,
// and with classical mistakes that must be caught.
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Instructions, randomScheduler, run, type Stepped, type Steps, type Task } from '../../src/check/index.ts'
import { Mode } from '../../src/kernel/machine/entry.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { cpuWord, DOMAIN, openTiny, SCRATCH, type Tiny } from './tiny-machine.ts'

type Rcu = Stepped<typeof import('../../src/kernel/sync/rcu.ts')>
type Srcu = Stepped<typeof import('../../src/kernel/sync/srcu.ts')>
let tiny: Tiny
let on: Instructions
let entry: Stepped<typeof import('../../src/kernel/machine/entry.ts')>
let rcu: Rcu
let srcu: Srcu
const textOf = (path: string): string => readFileSync(new URL(`../../src/kernel/${path}`, import.meta.url), 'utf8')

beforeAll(async () => {
  tiny = await openTiny()
  on = tiny.tree.instructions
  entry = await tiny.tree.module('machine/entry.ts')
  rcu = await tiny.tree.module('sync/rcu.ts')
  srcu = await tiny.tree.module('sync/srcu.ts')
})

/** Two published objects; word `FREED + i` becomes 1 when object i is freed. */
const PUBLISHED = SCRATCH
const FREED = SCRATCH + 8

/** Enters the kernel, looks at object `i` for a while if it is still published, leaves. Returns how often it was freed. */
function* reader(i: number): Steps<number> {
  let wrong = 0
  for (let round = 0; round < 2; round++) {
    yield* entry.setContext(Mode.kernel)
    yield* rcu.rcuReadLock()
    if ((yield on.readOnce(PUBLISHED + i)) !== 0) {
      for (let look = 0; look < 4; look++) if ((yield on.readOnce(FREED + i)) !== 0) wrong++
    }
    yield* rcu.rcuReadUnlock()
    yield* entry.setContext(Mode.outside)
  }
  return wrong
}

function* updater(form: Rcu, i: number): Steps<number> {
  yield* entry.setContext(Mode.kernel)
  yield on.writeOnce(PUBLISHED + i, 0)
  yield* form.synchronizeRcu()
  yield on.writeOnce(FREED + i, 1)
  yield* entry.setContext(Mode.outside)
  return 0
}

/** As `updater`, by a callback: the CPU enters and leaves the kernel until its callback's grace period has ended. */
function* caller(form: Rcu, i: number): Steps<number> {
  const head = SCRATCH + 32 + i * 4
  yield* entry.setContext(Mode.kernel)
  yield on.writeOnce(PUBLISHED + i, 0)
  form.callRcu(head, 1)
  for (;;) {
    const done = yield* form.rcuAdvance()
    if (done === head) break
    if (done !== 0) return 100
    yield* entry.setContext(Mode.outside)
    yield on.relax()
    yield* entry.setContext(Mode.kernel)
  }
  yield on.writeOnce(FREED + i, 1)
  yield* entry.setContext(Mode.outside)
  return 0
}

function failure(seed: number, tasks: readonly Task[]): string {
  const machine = tiny.machine(4)
  for (let cpu = 0; cpu < 4; cpu++) machine.words[cpuWord(cpu, Cpu.context)] = Mode.outside
  machine.words.fill(1, PUBLISHED, PUBLISHED + 2)
  const outcome = run(machine, tasks, randomScheduler(seed, seed % 2 === 0 ? 0 : 0.9), { maxSteps: 20_000 })
  if (outcome.verdict !== 'finished') return outcome.message
  return outcome.results.some((wrong) => wrong !== undefined && wrong !== 0) ? `seed ${seed}: freed inside a reader` : ''
}

function firstFailure(seeds: number, tasks: readonly Task[]): string {
  for (let seed = 0; seed < seeds; seed++) {
    const what = failure(seed, tasks)
    if (what !== '') return what
  }
  return ''
}

const synchronous = (form: Rcu): Task[] => [() => updater(form, 0), () => reader(0), () => updater(form, 1), () => reader(1)]
const deferred = (form: Rcu): Task[] => [() => caller(form, 0), () => reader(0), () => caller(form, 1), () => reader(1)]

describe('RCU', () => {
  it('ends no grace period while a reader from before is inside', () => {
    expect(firstFailure(1000, synchronous(rcu))).toBe('')
    expect(firstFailure(500, deferred(rcu))).toBe('')
  })

  it('hangs, and says so, while a CPU stays in the kernel', () => {
    const stays = function* (): Steps<number> {
      yield* entry.setContext(Mode.kernel)
      return 0
    }
    const seeds = Array.from({ length: 50 }, (_, seed) => failure(seed, [() => updater(rcu, 0), stays]))
    expect(seeds.some((what) => what !== '')).toBe(true)
    for (const what of seeds) if (what !== '') expect(what).toMatch(/CPU 0 (spinning|running) at .*rcu\.ts:\d+.*\n {2}CPU 1 finished/)
  })

  it.each([
    ['synchronize_rcu returns at once', 'while (!gracePeriodDone(snap)) {', 'while (false) {'],
    ['a grace period under way counts for those who come later', '+ 3) & ~1', '+ 2) & ~1'],
    [
      'a new grace period believes the snapshots of the last',
      '(seq & 1) === 0 || load(snapshots + i) === reader',
      'load(snapshots + i) === reader',
    ],
    ['a CPU in the kernel is taken to be quiescent', 'contextMode(context) === Mode.kernel', 'contextMode(context) === Mode.user'],
  ])('is caught when %s', async (_name, from, to) => {
    const text = textOf('sync/rcu.ts')
    expect(text).toContain(from)
    const broken = (await tiny.tree.load('sync/rcu.ts', text.replace(from, to))) as Rcu
    expect(firstFailure(3000, synchronous(broken))).toContain('freed inside a reader')
  })
})

/** As `reader`, in sections alone, or with interrupts off: nobody needs to know that it is in the kernel. */
function* countedReader(i: number, how: 'section' | 'nested' | 'interrupts off'): Steps<number> {
  let wrong = 0
  for (let round = 0; round < 2; round++) {
    if (how === 'interrupts off') yield on.irqSave()
    else yield* rcu.rcuReadLock()
    if (how === 'nested') yield* rcu.rcuReadLock()
    if ((yield on.readOnce(PUBLISHED + i)) !== 0) {
      for (let look = 0; look < 4; look++) {
        if ((yield on.readOnce(FREED + i)) !== 0) wrong++
        if (look === 1 && how === 'nested') yield* rcu.rcuReadUnlock()
      }
    } else if (how === 'nested') yield* rcu.rcuReadUnlock()
    if (how === 'interrupts off') yield on.irqRestore()
    else yield* rcu.rcuReadUnlock()
  }
  return wrong
}

/** As it, holding nothing. */
function* bareReader(i: number): Steps<number> {
  yield* entry.setContext(Mode.kernel)
  let wrong = 0
  if ((yield on.readOnce(PUBLISHED + i)) !== 0) {
    for (let look = 0; look < 4; look++) if ((yield on.readOnce(FREED + i)) !== 0) wrong++
  }
  yield* entry.setContext(Mode.outside)
  return wrong
}

describe('preemptible RCU', () => {
  const around = (form: Rcu, read: (i: number) => Steps<number>): Task[] => [
    () => updater(form, 0),
    () => read(0),
    () => caller(form, 1),
    () => read(1),
  ]
  beforeAll(async () => choose(1))
  afterAll(async () => choose(0))

  it.each(['section', 'nested', 'interrupts off'] as const)('ends no grace period while a reader from before is inside: %s', (how) => {
    expect(
      firstFailure(
        1000,
        around(rcu, (i) => countedReader(i, how)),
      ),
    ).toBe('')
  })

  it('waits for nobody who is in the kernel and in no section', () => {
    const stays = function* (): Steps<number> {
      yield* entry.setContext(Mode.kernel)
      return 0
    }
    expect(firstFailure(50, [() => updater(rcu, 0), stays])).toBe('')
    expect(firstFailure(500, around(rcu, bareReader))).toContain('freed inside a reader')
  })

  it.each([
    ['nested readers are forgotten', '(readers & NESTING) !== 0 ||', '(readers & NESTING) === 1 ||', 'nested'],
    ['regions with interrupts off are no readers', ' || readOnce(cpu + Cpu.irqOff) !== 0', '', 'interrupts off'],
    [
      'a new grace period believes the snapshots of the last',
      '(seq & 1) === 0 || load(snapshots + i) === reader',
      'load(snapshots + i) === reader',
      'section',
    ],
  ] as const)('is caught when %s', async (_name, from, to, how) => {
    const text = textOf('sync/rcu.ts')
    expect(text).toContain(from)
    const broken = (await tiny.tree.load('sync/rcu.ts', text.replace(from, to))) as Rcu
    expect(
      firstFailure(
        3000,
        around(broken, (i) => countedReader(i, how)),
      ),
    ).toContain('freed inside a reader')
  })
})

/** Binds the stepped kernel to a flavour of RCU (see `RcuFlavour`). */
async function choose(flavour: number): Promise<void> {
  const { bindAxes } = (await tiny.tree.module('machine/axes.ts')) as unknown as typeof import('../../src/kernel/machine/axes.ts')
  bindAxes(0, flavour, 0)
}

function* sleepyReader(form: Srcu, i: number): Steps<number> {
  let wrong = 0
  for (let round = 0; round < 2; round++) {
    const bank = yield* form.srcuReadLock(DOMAIN)
    if ((yield on.readOnce(PUBLISHED + i)) !== 0) {
      for (let look = 0; look < 4; look++) if ((yield on.readOnce(FREED + i)) !== 0) wrong++
    }
    yield* form.srcuReadUnlock(DOMAIN, bank)
  }
  return wrong
}

function* srcuUpdater(form: Srcu, i: number): Steps<number> {
  yield on.writeOnce(PUBLISHED + i, 0)
  yield* form.synchronizeSrcu(DOMAIN)
  yield on.writeOnce(FREED + i, 1)
  return 0
}

const sleepable = (form: Srcu): Task[] => [
  () => srcuUpdater(form, 0),
  () => sleepyReader(form, 0),
  () => srcuUpdater(form, 1),
  () => sleepyReader(form, 1),
]

describe('SRCU', () => {
  it('ends no grace period while a reader from before is inside', () => {
    expect(firstFailure(1000, sleepable(srcu))).toBe('')
  })

  it.each([
    ['synchronize_srcu returns at once', '- target) | 0) < 0) {', '- target) | 0) > 0) {'],
    ['only locks are counted for the idle bank', 'balance -= readOnce(counters', 'balance -= 0 * readOnce(counters'],
    ['nobody waits for the idle bank', 'return (balance | 0) === 0', 'return true'],
    ['the reader is not counted', 'SRCU_CPU_WORDS + bank, 1)\n  smpMb() // B', 'SRCU_CPU_WORDS + bank, 0)\n  smpMb() // B'],
  ])('is caught when %s', async (_name, from, to) => {
    const text = textOf('sync/srcu.ts')
    expect(text).toContain(from)
    const broken = (await tiny.tree.load('sync/srcu.ts', text.replace(from, to))) as Srcu
    expect(firstFailure(3000, sleepable(broken))).not.toBe('')
  })
})
