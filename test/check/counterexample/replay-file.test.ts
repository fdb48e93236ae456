// Replay files: the same execution again from the file, and the first step that differs where the code has changed.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  compareReplay,
  expand,
  minimise,
  pinningTest,
  type ReplayFile,
  readReplay,
  record,
  replayFile,
  stepsOf,
  writeReplay,
} from '../../../src/check/counterexample/index.ts'
import { explore } from '../../../src/check/explore/index.ts'
import { SCRATCH } from '../tiny-machine.ts'
import { immediateTree, lostUpdate, openTiny, removeVariants, tinyRace, variantTree, walkerBesideMunmap } from './races.ts'

const combination = { design: 'vma-lock', arch: 'x86_64', freeing: 'immediate' }
afterAll(removeVariants)

describe('a replay file', () => {
  let text: string
  beforeAll(async () => {
    const { model, recorder, watch } = await walkerBesideMunmap(await immediateTree())
    const { path } = minimise(model, explore(model, { mode: 'check' }).path, { watch })
    text = writeReplay(replayFile('smaps-munmap', combination, path, record(model, recorder, path)))
  })

  it('reproduces the violation', async () => {
    const file = readReplay(text)
    expect(file).toMatchObject({ scenario: 'smaps-munmap', combination })
    const { model, recorder } = await walkerBesideMunmap(await immediateTree())
    const recording = record(model, recorder, file.path)
    expect(recording.failure).toBe(file.failure)
    expect(compareReplay(file, recording)).toEqual({ same: true })
    // Every step of the path is in the file, the arrival of the IPI too.
    expect(stepsOf(recording)).toHaveLength(expand(file.path).length)
    expect(stepsOf(recording)).toContain('CPU 0: an IPI arrives')
  })

  it('says where the code has changed', async () => {
    const file = readReplay(text)
    // The walker looks at the count of grace periods before it maps.
    const from = 'export function findPmd(mm: number, vpn: number): number {'
    const tree = await variantTree('pagetable/levels.ts', from, `${from}\n  readOnce(Global.rcuGpSeq)`)
    const { model, recorder } = await walkerBesideMunmap(tree)
    const verdict = compareReplay(file, record(model, recorder, file.path))
    expect(verdict).toMatchObject({ same: false, step: 1 })
    expect(verdict).toHaveProperty(
      'message',
      'the code has changed: step 1 was CPU 0: readOnce at below pagetable/levels.ts; found CPU 0: readOnce at findPmd pagetable/levels.ts',
    )
  })

  it('says what happens where the execution cannot go on', async () => {
    const tiny = await openTiny()
    const race = lostUpdate(tiny, 2)
    const { path } = explore(race.model, { mode: 'check' })
    const file = replayFile('tiny', combination, path, record(race.model, race.recorder, path))
    const shorter = tinyRace(
      tiny,
      [],
      [],
      [
        function* () {
          yield tiny.tree.instructions.writeOnce(SCRATCH, 1)
        },
        () => 0,
      ],
    )
    const verdict = compareReplay(file, record(shorter.model, shorter.recorder, path))
    expect(verdict).toMatchObject({ same: false, step: 1 })
    expect(verdict).toHaveProperty('message', expect.stringMatching(/cannot go on there \(step 1 of the path wants agent 0/))
  })

  it('says when the steps are the same and the end is not', async () => {
    const { model, recorder } = await walkerBesideMunmap(await immediateTree())
    const file: ReplayFile = { ...readReplay(text), failure: 'something else' }
    expect(compareReplay(file, record(model, recorder, file.path))).toMatchObject({ same: false, step: -1 })
  })

  it('does not change when lines move', async () => {
    const file = readReplay(text)
    const queue = 'callRcu(tables + GatherBatch.rcuHead, RcuFunc.tableBatch)'
    const tree = await variantTree('pagetable/mmu-gather.ts', queue, 'tableBatchFreeRcu(\n\n tables + GatherBatch.rcuHead)')
    const { model, recorder } = await walkerBesideMunmap(tree)
    expect(compareReplay(file, record(model, recorder, file.path))).toEqual({ same: true })
  })

  it.each([
    ['{', /not a replay file/],
    ['{}', /not a replay file/],
    ['{"gracewalkReplay":2}', /format 2/],
    [
      '{"gracewalkReplay":1,"scenario":"a","failure":"","combination":{"design":"","arch":"","freeing":""},"path":[1],"code":{"steps":[],"sequence":[]}}',
      /damaged/,
    ],
    ['{"gracewalkReplay":1}', /damaged/],
  ])('refuses %s', (broken, why) => {
    expect(() => readReplay(broken)).toThrow(why)
  })
})

it('prints a test that pins a violation', () => {
  const failure = 'use of freed table 0x4c40 (freed by CPU 1)'
  expect(pinningTest({ scenario: 'smaps-munmap', ...combination, path: [0, 3, 1, 9], failure })).toMatchInlineSnapshot(`
    "import { replayScenario } from 'gracewalk/check'

    it('smaps-munmap: use of freed table', async () => {
      const path = [0, 3, 1, 9]
      expect(await replayScenario('smaps-munmap', { design: 'vma-lock', arch: 'x86_64', freeing: 'immediate' }, path)).toMatch(/use of freed table/)
    })"
  `)
  // A variant stands apart, for whoever passes a scenario instead of its name.
  expect(pinningTest({ scenario: 'mine:broken', ...combination, path: [1], failure })).toContain(
    "replayScenario('mine', { design: 'vma-lock', arch: 'x86_64', freeing: 'immediate', variant: 'broken' }, path)",
  )
})
