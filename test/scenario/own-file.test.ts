// A file of scenarios of the user's: what is found in it, and each mistake as one sentence that names scenario and place, also
// from a Worker.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Progress } from '../../src/check/explore/index.ts'
import { scenariosIn } from '../../src/scenario/all.ts'
import { checkCellJobs } from '../../src/scenario/runner/cell-model.ts'
import { type CheckResult, cellOf } from '../../src/scenario/runner/check.ts'
import { openPool, type Pool } from '../../src/scenario/runner/pool.ts'
import type { CellName, SentOptions } from '../../src/scenario/runner/question.ts'
import { scratchDirectory } from '../../src/scenario/runner/scratch.ts'
import type { Scenario } from '../../src/scenario/scenario.ts'

const MINE = fileURLToPath(new URL('./fixtures/mine.mjs', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'gracewalk-test-'))
const ON = { design: 'mmap-lock', arch: 'x86_64', freeing: 'rcu-batch' }
const named = (scenario: string, variant: string | null = null): CellName => ({ file: MINE, scenario, variant, combination: ON })
const shipped = (scenario: string, variant: string | null = null): CellName => ({ ...named(scenario, variant), file: null })

let pool: Pool
const ask = (cell: CellName, options: SentOptions = {}, onProgress?: (progress: Progress) => void): Promise<CheckResult> =>
  pool.ask({ kind: 'check', cell, options }, onProgress)
beforeAll(() => {
  pool = openPool(1)
})
afterAll(async () => {
  await pool.close()
  rmSync(directory, { recursive: true })
})

describe('scenariosIn', () => {
  it('finds what is exported, alone and in arrays, and nothing that is no scenario', async () => {
    const names = (await scenariosIn(MINE)).map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['counter', 'counter-loses', 'throws']))
    expect(names).not.toContain('no scenario at all')
  })

  it.each([
    ['empty.mjs', 'export const a = 1', /empty\.mjs exports no scenario: export what scenario/],
    ['throwing.mjs', 'throw new Error("no way")', /cannot import .*throwing\.mjs: no way/],
    ['wrong.mjs', "export const a = { name: 'a', cpus: 7, setUp() {}, expect: 'safe' }", /scenario a has 7 CPUs/],
    ['twice.mjs', "const a = { name: 'a', cpus: 1, setUp() {}, expect: 'safe' }; export const b = [a, { ...a }]", /two scenarios called a/],
  ])('refuses %s in a sentence', async (file, text, message) => {
    const path = join(directory, file)
    writeFileSync(path, text)
    await expect(scenariosIn(path)).rejects.toMatchObject({ name: 'ScenarioError', message: expect.stringMatching(message) })
  })

  it('says so where there is no such file', async () => {
    await expect(scenariosIn(join(directory, 'none.mjs'))).rejects.toMatchObject({ name: 'ScenarioError', message: /cannot import/ })
  })
})

describe('a Worker', () => {
  it.each([
    ['throws', /^scenario throws: setUp threw TypeError: .* \(\S+mine\.mjs:\d+\)$/],
    ['throws-inside', /^scenario throws-inside: setUp threw TypeError: .* \(\S+mine\.mjs:\d+\)$/],
    ['check-throws', /^scenario check-throws: check threw TypeError: .* \(\S+mine\.mjs:\d+\)$/],
    ['check-says-nothing', /^scenario check-says-nothing: check returned undefined/],
    ['returns-nothing', /^scenario returns-nothing: setUp must return \{ calls \}/],
    ['no-calls', /^scenario no-calls: no CPU makes a call/],
    ['no-steps', /^scenario no-steps: nothing was explored/],
    ['too-many-cpus', /^scenario too-many-cpus: setUp gives calls to 3 CPUs, but the scenario has 2$/],
    ['no-call', /^scenario no-call: call 0 of CPU 0 is none/],
    ['no-program', /^scenario no-program: there is no program \S+spinlok\.ts$/],
    ['closure', /^scenario closure: \S+closure\.txt:5:10: /],
    ['does-not-parse', /^scenario does-not-parse: \S+broken\.txt:3:1: /],
    ['not-here', /^there is no scenario not-here$/],
  ])('says of %s what is wrong with it, and goes on', async (name, message) => {
    const failure = ask(named(name), {})
    await expect(failure).rejects.toMatchObject({ name: 'ScenarioError', message: expect.stringMatching(message) })
    expect((await ask(named('counter'), {})).report.verdict).toBe('proved')
  })

  it('comes to the verdicts of this thread, and compares them with what is expected', async () => {
    const verdicts = await Promise.all(
      ['counter', 'counter-loses', 'counter-known-to-lose', 'counter-lost-otherwise'].map((name) => ask(named(name), {})),
    )
    expect(verdicts.map(({ report, asExpected }) => [report.verdict, asExpected])).toEqual([
      ['proved', true],
      ['violation', false],
      ['violation', true],
      ['violation', false],
    ])
  })

  it('tells how far it has come: runs, rate, states, depth, and an estimate', async () => {
    const seen: Progress[] = []
    const { report } = await ask(shipped('fault-vs-mprotect'), { milliseconds: 60_000 }, (progress) => seen.push(progress))
    expect(report.verdict).toBe('proved')
    expect(seen.length).toBeGreaterThan(0)
    for (const { executions, rate, states, depth, done } of seen) {
      expect(Math.min(executions, rate, states, depth)).toBeGreaterThan(0)
      expect(done).toBeGreaterThanOrEqual(0)
      expect(done).toBeLessThanOrEqual(1)
    }
  })

  it('that breaks is named with the cell it checked, and the next one goes on', async () => {
    const file = join(directory, 'ends.mjs')
    const dist = pathToFileURL(fileURLToPath(new URL('../../dist/check.js', import.meta.url))).href
    writeFileSync(
      file,
      `import { scenario } from '${dist}'
       export const ends = scenario({ name: 'ends', question: '?', asked: '', cpus: 1, expect: 'safe', setUp: () => process.exit(7) })`,
    )
    await expect(ask({ ...named('ends'), file }, {})).rejects.toMatchObject({
      name: 'WorkerBroke',
      message: expect.stringMatching(/^ends \[mmap-lock, x86_64, rcu-batch\] could not be checked: the Worker broke: .* code 7/),
    })
    expect((await ask(named('counter'), {})).report.verdict).toBe('proved')
  })

  it('that goes round without an instruction is given up, named, and replaced', async () => {
    const impatient = openPool(1, 3_000)
    const ask = (name: string): Promise<CheckResult> => impatient.ask({ kind: 'check', cell: named(name), options: {} })
    await expect(ask('goes-round')).rejects.toMatchObject({
      name: 'WorkerSilent',
      message: expect.stringMatching(/^goes-round \[mmap-lock, .*\] could not be checked: nothing was heard of it for 3 s/),
    })
    expect((await ask('counter')).report.verdict).toBe('proved')
    await impatient.close()
  })

  it('leaves nothing on the disk but in the directory of the process', async () => {
    const before = readdirSync(scratchDirectory()).length
    const { report } = await ask(shipped('spinlock-exclusion', 'try-takes-anyway'), {})
    expect(report.verdict).toBe('violation')
    expect(readdirSync(scratchDirectory()).length).toBe(before + 1)
  })
})

describe('several Workers on one cell', () => {
  const cellNamed = async (name: string) => cellOf((await scenariosIn(MINE)).find((one) => one.name === name) as Scenario, ON)

  it('come to the same verdict', async () => {
    for (const [name, verdict] of [
      ['counter', 'proved'],
      ['counter-known-to-lose', 'violation'],
    ] as const) {
      const result = await checkCellJobs(await cellNamed(name), named(name), {}, 2)
      expect(result).toMatchObject({ scenario: name, asExpected: true, report: { verdict, agents: 2 } })
    }
    const bounded = await checkCellJobs(await cellNamed('counter-loses'), named('counter-loses'), { preemptions: 0, mode: 'bounded' }, 2)
    expect(bounded.report).toMatchObject({ verdict: 'bounded', preemptions: 0 })
  })

  it('say what is wrong with a scenario as one does', async () => {
    for (const name of ['throws', 'no-steps']) {
      const failure = checkCellJobs(await cellNamed(name), named(name), {}, 2)
      await expect(failure).rejects.toMatchObject({ name: 'ScenarioError', message: expect.stringMatching(`^scenario ${name}: `) })
    }
  })
})
