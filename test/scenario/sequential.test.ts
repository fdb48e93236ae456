// The sequential model of a stage: what calls answer one at a time, from the state that the set-up left. A kernel that answers
// otherwise, or ends otherwise, is caught.
import { describe, expect, it } from 'vitest'
import type { CallRecord } from '../../src/check/detect/calls.ts'
import type { Sequential } from '../../src/check/detect/index.ts'
import { nearest, unexplained } from '../../src/check/detect/linearizable.ts'
import { openTree } from '../../src/check/index.ts'
import type { Call } from '../../src/scenario/runner/calls.ts'
import { cellOf, checkCell } from '../../src/scenario/runner/check.ts'
import { sequentialModel } from '../../src/scenario/runner/sequential.ts'
import { type Stage, setStage } from '../../src/scenario/runner/stage.ts'
import { type Play, scenario } from '../../src/scenario/scenario.ts'

const one = { name: 'a', question: '?', asked: 'here', cpus: 2, designs: ['mmap-lock'], archs: ['x86_64'], expect: 'safe' } as const
const combination = { design: 'mmap-lock', arch: 'x86_64', freeing: 'rcu-batch' }

/** `call`, whose result is changed on its way. */
function lying(call: Call, lie: (result: number) => number): Call {
  return {
    ...call,
    begin: function* () {
      return lie((yield* call.begin() as Generator<number, number, number>) as number)
    },
  }
}

const verdictOf = async (setUp: (stage: Stage) => Play) => (await checkCell(cellOf(scenario({ ...one, setUp })))).report

/** CPU 0 writes to a page and reads it, CPU 1 unmaps its neighbour; `change` falsifies one of these calls. */
const three = (change: (calls: Call[]) => Call[]) => (stage: Stage) => {
  const mm = stage.newMm()
  const page = stage.table(4)
  stage.now(0, mm.mmap(page, 2))
  stage.now(0, mm.write(page, 1))
  const [a, b, c] = change([mm.write(page, 5), mm.read(page), mm.munmap(page + 1, 1)]) as [Call, Call, Call]
  return { calls: [[a, b], [c]] }
}

/** One word that calls write and read. */
const register: Sequential = {
  create: () => {
    let value = 0
    return {
      apply: ({ name, stamp = 0 }) => {
        if (name === 'write') value = stamp
        return name === 'write' ? 0 : value
      },
      state: () => `value ${value}`,
    }
  },
  state: () => '',
}

const record = (cpu: number, name: string, result: number, began: number, returned: number, stamp = 0): CallRecord => ({
  cpu,
  call: 0,
  description: { name, mm: 0, start: 16, pages: 1, stamp },
  began,
  returned,
  result,
  succeeded: true,
})

describe('the nearest order', () => {
  const of = (records: readonly CallRecord[], state: string): string => unexplained(records, state, nearest(records, register, state))

  it('has the fewest results and ends that are others', () => {
    const records = [record(0, 'write', 0, 0, 5, 5), record(1, 'write', 0, 0, 5, 6), record(0, 'read', 5, 6, 9), record(1, 'read', 5, 6, 9)]
    // With the writes the other way round both reads would be wrong.
    expect(of(records, 'value 9')).toMatch(
      /nearest is CPU 1's write, then CPU 0's write, then CPU \d's read, then CPU \d's read: the end would have been value 5$/,
    )
  })

  it('has calls that came after one another in their order', () => {
    const records = [record(1, 'read', 7, 2, 3), record(0, 'write', 0, 0, 1, 4)]
    expect(of(records, 'value 4')).toBe(
      'no order of the calls explains their results; CPU 1: read of page 0x10 found 7, CPU 0: write of 4 to page 0x10 succeeded; ' +
        "at the end value 4. One after the other, the nearest is CPU 0's write, then CPU 1's read: CPU 1's read would have found 4",
    )
  })
})

describe('the sequential model', () => {
  it('agrees with a kernel that says the truth', async () => {
    expect(await verdictOf(three((calls) => calls))).toMatchObject({ verdict: 'proved', message: '' })
  })

  it.each([
    ['a write that says it failed', 0, () => -2],
    ['a read of what was there before', 1, () => 1],
    ['a munmap that says it failed', 2, () => -12],
  ])('does not explain %s', async (_what, number, lie) => {
    const report = await verdictOf(three((calls) => calls.map((call, i) => (i === number ? lying(call, lie) : call))))
    expect(report).toMatchObject({ verdict: 'violation', message: expect.stringMatching(/linearizable|no order/) })
  })

  it.each([
    [0, () => -2, /; CPU 0: write of 5 to page 0x\w+ ended in SIGSEGV: no right, .*: CPU 0's write would have succeeded$/],
    [1, () => 1, /CPU 0: read of page 0x\w+ found 1, .*: CPU 0's read would have found 5$/],
    [2, () => -12, /CPU 1: munmap of page 0x\w+ failed with ENOMEM; at the end 0x.*: CPU 1's munmap would have succeeded$/],
  ])('says what the nearest order would have given (%s)', async (number, lie, message) => {
    const report = await verdictOf(three((calls) => calls.map((call, i) => (i === number ? lying(call, lie) : call))))
    expect(report.message).toMatch(message)
    // Its own calls in their order, with the other CPU's somewhere among them.
    const order = /One after the other, the nearest is (.*?): CPU/.exec(report.message)?.[1]?.split(', then ') ?? []
    expect(order.filter((call) => call.startsWith('CPU 0'))).toEqual(["CPU 0's write", "CPU 0's read"])
    expect(order).toHaveLength(3)
  })

  it('does not explain an end that no order leads to', async () => {
    // The call says that it unmaps; what runs is a read.
    const report = await verdictOf(
      three(([a, b, c]) => [a as Call, b as Call, { ...(b as Call), ...{ description: c?.description } } as Call]),
    )
    // A munmap that found what it read; in its place there is one page less.
    const [, end, other] = /; at the end (0x.*)\. One after .*, and the end would have been (0x.*)$/.exec(report.message) ?? []
    expect([end, other]).toEqual([expect.stringMatching(/ 5,0$/), expect.stringMatching(/ 5$/)])
    expect(report).toMatchObject({ verdict: 'violation', message: expect.stringMatching(/linearizable|no order/) })
  })

  it('begins with what the set-up did, also in children, and describes both sides in the same words', async () => {
    const stage = await setStage(2, combination, await openTree(), () => {})
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page, 9))
    const child = stage.callsOn(stage.now(0, mm.fork()), [1])
    stage.now(1, child.write(page, 4))
    const model = sequentialModel(
      stage.machine.words,
      () => stage.history,
      () => stage.spaces,
      () => [],
    )
    const run = model.create()
    expect(run.state()).toBe(model.state(stage.machine.words))
    expect(run.state()).toMatch(/ rw- 9,0 \| .* rw- 4,0$/)
    expect(run.apply(mm.read(page).description!)).toBe(9)
    expect(run.apply(child.read(page).description!)).toBe(4)
    expect(run.apply(mm.munmap(page, 2).description!)).toBe(0)
    expect(run.apply(mm.read(page).description!)).toBeLessThan(0)
    expect(run.state()).not.toBe(model.state(stage.machine.words))
    // Every run begins anew.
    expect(model.create().state()).toBe(model.state(stage.machine.words))
  })
})
