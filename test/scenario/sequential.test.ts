// The sequential model of a stage: what calls answer one at a time, from the state that the set-up left. A kernel that answers
// otherwise, or ends otherwise, is caught.
import { describe, expect, it } from 'vitest'
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

  it('does not explain an end that no order leads to', async () => {
    // The call says that it unmaps; what runs is a read.
    const report = await verdictOf(
      three(([a, b, c]) => [a as Call, b as Call, { ...(b as Call), ...{ description: c?.description } } as Call]),
    )
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
