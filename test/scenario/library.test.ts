// `gracewalk/check`, the library, and what a verdict of it may say.
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { check, replayScenario, type Scenario, ScenarioError, scenario, scenarios } from '../../src/check.ts'
import { AXES } from '../../src/scenario/runner/axes.ts'

const ON = { design: 'vma-lock', arch: 'x86_64' }

/** A page is written and unmapped; `safe` says whether the scenario holds it for an error that the write may fail. */
const writeBesideMunmap = (safe: boolean) =>
  scenario({
    name: 'write-beside-munmap',
    question: 'May a write beside a munmap fail?',
    asked: 'here',
    cpus: 2,
    setUp: (stage) => {
      const mm = stage.newMm()
      const page = stage.table(4)
      stage.now(0, mm.mmap(page, 1))
      stage.now(0, mm.write(page, 1))
      return {
        calls: [[mm.write(page, 2)], [mm.munmap(page, 1)]],
        check: ([write]) => (safe || write?.[0] === 0 ? '' : 'the write failed'),
      }
    },
    expect: 'safe',
  })

describe('check', () => {
  it('proves', async () => {
    const result = await check(writeBesideMunmap(true), ON)
    expect(result).toMatchObject({ verdict: 'proved', asExpected: true, counterexample: '', message: '', path: [] })
    expect(result.executions).toBeGreaterThan(10)
    expect(result.states).toBeGreaterThan(100)
    expect(result.agents).toBeGreaterThanOrEqual(2)
  })

  it('finds a violation, prints it, and replays it', async () => {
    const mine = writeBesideMunmap(false)
    const result = await check(mine, ON)
    expect(result).toMatchObject({ verdict: 'violation', asExpected: false, message: 'the write failed' })
    expect(result.counterexample).toMatch(/^write-beside-munmap \(vma-lock, x86_64, rcu-batch\): violation\n {2}the write failed/)
    expect(result.counterexample).toMatch(/CPU 0 +CPU 1/)
    expect(await replayScenario(mine, ON, result.path)).toBe('the write failed')
    // A path that cannot be followed is refused.
    await expect(replayScenario(mine, ON, [1, 1_000_000])).rejects.toThrow()
  })

  it('holds a call that is no program for a mistake, not for a violation', async () => {
    const mistaken = { ...writeBesideMunmap(true), expect: { unsafe: /./ } as const }
    const throws: Scenario = {
      ...mistaken,
      setUp: async (stage) => {
        const { calls } = await mistaken.setUp(stage)
        const typo = stage.call('typo', () => (stage as unknown as { nope: () => number }).nope())
        return { calls: [[typo], calls[1] ?? []] }
      },
    }
    await expect(check(throws, ON)).rejects.toThrow(/^scenario write-beside-munmap: a call threw: CPU 0 at .*nope is not a function$/)
  })

  it('takes a design of the user’s by its file', async () => {
    const step = (n: number): string => fileURLToPath(new URL(`../../examples/my-design/step-${n}.ts`, import.meta.url))
    expect(await check('file-fault-vs-exit', { design: step(3), arch: 'x86_64' })).toMatchObject({ verdict: 'proved', asExpected: true })
    const on = { design: step(2), arch: 'x86_64', freeing: 'rcu-batch' }
    const broken = await check('fault-vs-munmap', on)
    expect(broken).toMatchObject({ verdict: 'violation', asExpected: false })
    expect(broken.counterexample).toMatch(/^ {2}step-2\.ts: /m)
    expect(await replayScenario('fault-vs-munmap', on, broken.path)).toBe(broken.message)
    await expect(check('fault-vs-munmap', { design: './none.ts' })).rejects.toThrow('design ./none.ts: there is no such file')
  })

  it('takes scenarios that ship by name, with their variants', async () => {
    const result = await check('spinlock-exclusion:try-takes-anyway')
    expect(result).toMatchObject({ verdict: 'violation', asExpected: true })
    expect(await replayScenario('spinlock-exclusion:try-takes-anyway', {}, result.path)).toBe(result.message)
    expect(scenarios.map(({ name }) => name)).toContain('spinlock-exclusion')
  })

  it.each([
    ['spinlok', {}, "there is no scenario 'spinlok'"],
    ['spinlock-exclusion:none', {}, 'scenario spinlock-exclusion has no variant none'],
    ['spinlock-exclusion', { design: 'vma-lok' }, `there is no design 'vma-lok'; there are ${AXES.designs.join(', ')}`],
    ['spinlock-exclusion', { arch: 'x86' }, "there is no architecture 'x86'"],
  ])('refuses %s on %j', async (name, options, message) => {
    const failure = check(name, options)
    await expect(failure).rejects.toBeInstanceOf(ScenarioError)
    await expect(failure).rejects.toThrow(message)
  })

  it.each([
    ['executions', { executions: 40 }, /40 executions/, false],
    ['time', { milliseconds: 1 }, /0\.001 s/, false],
    ['states', { states: 100 }, /states/, false],
    ['executions of a mode by chance', { mode: 'random', executions: 20, seed: 3 }, /20 executions/, true],
  ] as const)('never says proved when a budget of %s ends it', async (_what, options, message, asExpected) => {
    const result = await check('fault-vs-munmap', { ...ON, ...options })
    expect(result).toMatchObject({ verdict: 'stopped', message: expect.stringMatching(message), asExpected })
  })

  it('says up to which bound nothing was found', async () => {
    const result = await check(writeBesideMunmap(true), { ...ON, mode: 'bounded', preemptions: 1 })
    expect(result).toMatchObject({ verdict: 'bounded', preemptions: 1 })
  })

  it('chooses by the seed', async () => {
    const seeded = async (seed: number) => (await check('fault-vs-munmap', { ...ON, mode: 'random', executions: 3, seed })).steps
    const first = await seeded(1)
    expect(await seeded(1)).toBe(first)
    expect(new Set([first, await seeded(2), await seeded(3), await seeded(4)]).size).toBeGreaterThan(1)
  })
})
