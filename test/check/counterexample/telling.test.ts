// What a counterexample tells of executions that are hard to tell: seen across executions, asleep for ever, going round, torn
// down, freed twice.
import { beforeAll, describe, expect, it } from 'vitest'
import {
  type Counterexample,
  compareReplay,
  counterexample,
  createNames,
  createRecorder,
  minimise,
  patternOf,
  pinningTest,
  type Recording,
  readLayouts,
  record,
  replayFile,
} from '../../../src/check/counterexample/index.ts'
import { explore, kernelModel } from '../../../src/check/explore/index.ts'
import type { Task } from '../../../src/check/index.ts'
import { Op } from '../../../src/compile/stepped/ops.ts'
import { counterexampleColumns } from '../../../src/report/columns.ts'
import { SCRATCH } from '../tiny-machine.ts'
import { lostUpdate, openTiny, type Race, tinyRace } from './races.ts'

let tiny: Awaited<ReturnType<typeof openTiny>>
beforeAll(async () => {
  tiny = await openTiny()
})

async function told(race: Race, recording: Recording, calls = race.facts.calls): Promise<Counterexample> {
  const { labels } = race
  const layouts = await readLayouts(race.tree)
  return counterexample({ facts: { ...race.facts, calls }, recording, path: [], layouts, ...(labels && { labels }) })
}

const textOf = (from: Counterexample): string => counterexampleColumns(from, { width: 0 }).join('\n')

const FAILURES = [
  'deadlock: CPU 0 at spinLock sync/spinlock.ts:10: cmpxchg; CPU 1 at relax',
  'livelock: CPU 1 at rcuBarrier softirq.ts:101: relax goes round for ever, and nobody else can go on',
  'use after free: CPU 0 at mtLoad vma/maple-tree.ts:94 reads word 0 of maple node 0x2190, which was freed',
  'freed twice: VMA 0x4c40 by CPU 0 at kmemCacheFree memory/slab.ts:76',
  'lock order: cpu->flushLock is taken in an interrupt handler, and elsewhere held with interrupts on (at f a.ts:1)',
  'a plain load of word 530 by CPU 1 (step 8, (not compiled)) is not ordered with a plain store of it by CPU 0',
  'CPU 0 at f a.ts:1: cmpxchg: a count fell below zero',
  '3 frames are still allocated: 4, 5 and 6',
  'rss[anon] is 2, but 1 page is mapped',
  '(nothing) is said',
]

describe('a pinning test', () => {
  it.each(FAILURES)('matches %s', (failure) => {
    const text = pinningTest({ scenario: 's', design: '', arch: '', freeing: '', path: [0, 1], failure })
    const pattern = new RegExp(/toMatch\(\/(.*)\/\)/.exec(text)?.[1] as string)
    expect(failure).toMatch(pattern)
    expect('').not.toMatch(pattern)
    expect(pattern.source).toBe(patternOf(failure))
    // Whatever numbers come in another run.
    expect(failure.replace(/\b\d+\b/g, '77')).toMatch(pattern)
  })

  it('does not pin what no path shows', () => {
    const pinned = { scenario: 's', design: '', arch: '', freeing: '', path: [0, 1], failure: 'lock order: a', acrossExecutions: true }
    expect(pinningTest(pinned)).not.toContain('toMatch')
  })
})

describe('a failure that several executions show together', () => {
  const message = 'lock order: mm.lock under vma.lock, but elsewhere the other way round'
  it('is told as it was explored, not minimised', async () => {
    const race = lostUpdate(tiny, 2)
    const path = [0, 10, 1, 10]
    const minimised = minimise(race.model, path, { expectedFailure: message })
    expect(minimised).toMatchObject({ path, failure: message, reproduced: false, after: { preemptions: 0, switches: 1, steps: 20 } })
    const recording = record(race.model, race.recorder, path, message)
    expect(recording).toMatchObject({ failure: message, acrossExecutions: true })
    const text = textOf(await told(race, recording))
    expect(text).toContain('tiny: violation')
    expect(text).toContain('seen across executions: no single one shows it')
    expect(text).not.toContain('at the end: lock order')
    // A replay shows nothing either: that is the same.
    const file = replayFile('tiny', { design: '', arch: '', freeing: '' }, path, recording)
    expect(compareReplay(file, record(race.model, race.recorder, path))).toEqual({ same: true })
  })

  it('is minimised as always where the path alone fails', () => {
    const { model, recorder } = lostUpdate(tiny, 2)
    const { path } = explore(model, { mode: 'check' })
    expect(minimise(model, path, { expectedFailure: message })).toMatchObject({ reproduced: true, signature: 'an update was lost' })
    expect(record(model, recorder, path, message)).toMatchObject({ acrossExecutions: false })
  })
})

it('does not call a path a violation along which nothing is wrong', async () => {
  const race = lostUpdate(tiny, 2)
  const text = textOf(await told(race, record(race.model, race.recorder, [0, 10, 1, 10])))
  expect(text).toContain('tiny: nothing is wrong along this path')
  expect(text).not.toMatch(/violation|\*\*\*/)
})

it('knows a failure of a replay again though lines have moved', () => {
  const { model, recorder } = lostUpdate(tiny, 2)
  const { path } = explore(model, { mode: 'check' })
  const recording = record(model, recorder, path)
  const file = replayFile('tiny', { design: '', arch: '', freeing: '' }, path, {
    ...recording,
    failure: 'deadlock: CPU 0 at f a.ts:10: relax',
  })
  const now = (failure: string): Recording => ({ ...recording, failure })
  expect(compareReplay(file, now('deadlock: CPU 0 at f a.ts:11: relax'))).toEqual({ same: true })
  expect(compareReplay(file, now('livelock: CPU 0 at f a.ts:10: relax'))).toMatchObject({ same: false, step: -1 })
  const violation = { detector: 'deadlock', bookkeeping: false, message: '', agent: -1, objects: [], related: [] }
  expect(compareReplay(file, { ...now(file.failure), violation })).toMatchObject({ same: false })
})

describe('futexWait', () => {
  const race = (): Race => {
    const on = tiny.tree.instructions
    return tinyRace(
      tiny,
      ['waiting'],
      [['wait()'], ['go()']],
      [
        function* () {
          yield on.futexWait(SCRATCH, 0)
        },
        function* () {
          yield on.writeOnce(SCRATCH, 1)
        },
      ],
    )
  }
  it('sleeps, and nobody wakes it', async () => {
    const sleeps = race()
    const text = textOf(await told(sleeps, record(sleeps.model, sleeps.recorder, [0, 1, 1, 1])))
    expect(text).toContain('  sleeps on waiting\n')
    expect(text).toContain('waiting = 1 (was 0)')
    expect(text).toMatch(/sleeps on waiting\s+for ever/)
    expect(text).not.toContain('does not sleep')
  })

  it('does not sleep once the word has changed', () => {
    const awake = race()
    const { events, failure } = record(awake.model, awake.recorder, [1, 1, 0, 1])
    expect(failure).toBe('')
    expect(events.find(({ op }) => op === Op.futexWait)).toMatchObject({ b: 0, before: 1, after: 1 })
  })
})

it('says what calls return, and that nothing is returned', async () => {
  const on = tiny.tree.instructions
  const returning = (value: unknown): Task =>
    function* () {
      yield on.writeOnce(SCRATCH, 1)
      return value
    }
  const race = tinyRace(tiny, [], [['munmap()'], ['pop()'], ['exit()']], [returning(-12), returning(3), returning(undefined)])
  const text = textOf(await told(race, record(race.model, race.recorder, [0, 1, 1, 1, 2, 1])))
  for (const line of [/munmap returns -12$/m, /pop returns 3$/m, /exit returns$/m]) expect(text).toMatch(line)
})

it('shows a livelock by its last round', async () => {
  const on = tiny.tree.instructions
  const race = tinyRace(
    tiny,
    ['first', 'second'],
    [['look()'], []],
    [
      function* () {
        for (let i = 0; i < 3; i++) {
          yield on.readOnce(SCRATCH)
          yield on.readOnce(SCRATCH + 1)
        }
      },
      () => 0,
    ],
  )
  const recording = record(race.model, race.recorder, [0, 6])
  const round = await told(race, { ...recording, failure: 'livelock: CPU 0 goes round' })
  expect(textOf(round)).toMatch(/\.\.\. 4 steps\n +first -> 0\n +second -> 0\n/)
})

describe('the order of headings', () => {
  it('has the call above what is done before its first step, and the tear-down above what follows', async () => {
    const on = tiny.tree.instructions
    const { lockAcquired } = (await tiny.tree.module('machine/annotations.ts')) as unknown as Record<
      string,
      (p: number, exclusive: number, site: number) => void
    >
    const machine = tiny.machine(2)
    const recorder = createRecorder(machine, null)
    const task = (word: number): Task =>
      function* () {
        lockAcquired?.(SCRATCH + word, 1, 0)
        yield on.writeOnce(SCRATCH + 4, word)
      }
    const model = kernelModel({
      machine,
      calls: [[task(0)], [task(1)]],
      watch: recorder.watch,
      check: (_results, _words, alone) => {
        alone(0, function* () {
          yield on.writeOnce(SCRATCH + 5, 1)
        })
        return 'leaked: one page'
      },
    })
    const calls = [['map()'], ['unmap()']]
    const facts = { scenario: 'tiny', design: '', arch: '', freeing: '', calls }
    const labels = new Map([0, 1].map((i) => [SCRATCH + i, `lock ${i}`]))
    const race: Race = { tree: tiny.tree, model, recorder, watch: null, facts, labels }
    const lines = textOf(await told(race, record(model, recorder, [0, 1, 1, 1]))).split('\n')
    const at = (line: RegExp): number => lines.findIndex((one) => line.test(one))
    expect(at(/map\(\)/)).toBeLessThan(at(/locked lock 0/))
    expect(at(/unmap\(\)/)).toBeLessThan(at(/locked lock 1/))
    expect(lines.filter((one) => /map\(\)/.test(one))).toHaveLength(2)
    expect(at(/^tear-down$/)).toBeGreaterThan(at(/unmap returns/))
    expect(lines.filter((one) => one.includes('tear-down'))).toHaveLength(1)
    expect(at(/\.\.\. 1 step/)).toBeGreaterThan(at(/^tear-down$/))
  })
})

it('names the first freeing of what was freed twice', async () => {
  const on = tiny.tree.instructions
  const { freed } = (await tiny.tree.module('machine/annotations.ts')) as unknown as Record<string, (...with_: number[]) => void>
  const free = function* (): Generator<number, void, number> {
    yield on.writeOnce(SCRATCH + 4, 1) as unknown as number
    freed?.(SCRATCH, 4, 0, 0)
  }
  const race = tinyRace(tiny, ['thing'], [['free()'], ['free()']], [free, free] as never)
  const recording = record(race.model, race.recorder, [0, 1, 1, 1])
  const violation = { detector: 'double-free', bookkeeping: false, message: 'freed twice: thing', agent: 1, objects: [SCRATCH] }
  const second = recording.events.findLast(({ op }) => op === Op.freed)
  const related = [{ text: 'freed', agent: 1, site: 0, event: second?.told as number }]
  const example = await told(race, {
    ...recording,
    failure: 'freed twice: thing',
    violation: { ...violation, related },
    violatedAt: second?.index as number,
  })
  expect(example.related).toMatchObject([{ text: 'freed thing first', agent: 0 }])
})

it("shows pointers in a program's words as what they point to", async () => {
  const race = tinyRace(tiny, ['root', 'node'], [[]], [() => 0])
  const recording = record(race.model, race.recorder, [])
  const names = createNames(recording, await readLayouts(race.tree), race.labels)
  expect(names.value(SCRATCH, SCRATCH + 1, 0)).toBe('node')
  expect(names.value(SCRATCH, 19520, 0)).toBe('0x4c40')
  expect(names.value(SCRATCH, 42, 0)).toBe('42')
  expect(names.text('waits for lock lock', 0)).toBe('waits for lock')
})

it('has what only the end shows at the end, not at the last event', async () => {
  const on = tiny.tree.instructions
  const machine = tiny.machine(2)
  let leaked = ''
  const ignore = (): void => undefined
  const watch = {
    reset: () => {
      leaked = ''
    },
    finish: () => {
      leaked = 'leaked: a page'
      return leaked
    },
    failure: () => leaked,
    callBegins: ignore,
    callReturns: ignore,
    interruptBegins: ignore,
    interruptReturns: ignore,
    step: ignore,
    plain: ignore,
    note: ignore,
    digest: ignore,
  }
  const recorder = createRecorder(machine, watch)
  const write: Task = function* () {
    yield on.writeOnce(SCRATCH, 1)
  }
  const model = kernelModel({ machine, calls: [[write], [write]], watch: recorder.watch })
  expect(record(model, recorder, [0, 1, 1, 1])).toMatchObject({ failure: 'leaked: a page', violatedAt: -1 })
})
