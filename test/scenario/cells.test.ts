// The matrix as data: which cells there are, what is expected of each, and what a verdict means beside an expectation.
import { describe, expect, it } from 'vitest'
import type { ExploreReport } from '../../src/check/explore/index.ts'
import { SCENARIOS } from '../../src/scenario/all.ts'
import { AXES, isUsual, USUAL_DESIGNS } from '../../src/scenario/runner/axes.ts'
import { type Cell, cellName, cellsOf, combinationsOf } from '../../src/scenario/runner/cells.ts'
import { cellOf, nameOf, resultOf } from '../../src/scenario/runner/check.ts'
import { ScenarioError } from '../../src/scenario/runner/errors.ts'
import { brokenTree } from '../../src/scenario/runner/variant.ts'
import { type Expectation, expectationOf, type Scenario, scenario } from '../../src/scenario/scenario.ts'

const base: Scenario = { name: 'a', question: '?', asked: 'here', cpus: 2, setUp: () => ({ calls: [] }), expect: 'safe' }
const broken = { name: 'broken', wrong: 'all', edits: [], unsafe: /freed/ }
const elsewhere = { ...broken, name: 'elsewhere', on: { arch: 'powerpc64-hash-64k', freeing: 'ipi' } }
const narrow: Scenario = { ...base, designs: ['vma-lock'], archs: ['x86_64', 'powerpc64-hash-64k'], variants: [broken, elsewhere] }

const combinations = (cells: readonly Cell[]): string[] => cells.map((cell) => cellName(cell).replace(/^.*\[|\]$/g, ''))

it('every scenario that ships has a name of its own', () => {
  const names = SCENARIOS.map(({ name }) => name)
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([])
})

it('every broken variant that ships fits the kernel, and is accepted by the stepped build', async () => {
  const wrong: string[] = []
  for (const { name, variants = [] } of SCENARIOS)
    for (const variant of variants) await brokenTree(variant).catch((error) => wrong.push(`${name}:${variant.name}: ${error.message}`))
  expect(wrong).toEqual([])
})

describe('cellsOf', () => {
  it('are all designs and architectures with the usual freeing, where nothing is said', () => {
    const archs = ['x86_64', 'powerpc64-hash-64k']
    const usual = archs.flatMap((arch) => USUAL_DESIGNS.filter((design) => isUsual(design, arch)))
    for (const [design, times] of Object.entries({ 'mmap-lock': 2, 'vma-lock': 2, speculative: 1 }))
      expect(
        usual.filter((name) => name === design),
        design,
      ).toHaveLength(times)
    expect(new Set(cellsOf([base]).map(({ combination }) => combination.arch))).toEqual(new Set(archs))
    expect(cellsOf([base])).toHaveLength(usual.length)
    expect(new Set(cellsOf([base]).map(({ combination }) => combination.freeing))).toEqual(new Set(['rcu-batch']))
    expect(combinationsOf({ ...base, freeing: ['ipi', 'immediate'] })).toHaveLength(2 * usual.length)
  })

  it('leave forms of a design out, unless they are asked for or named', () => {
    const designsIn = (cells: readonly Cell[]): string[] => [...new Set(cells.map(({ combination }) => combination.design))]
    expect(USUAL_DESIGNS).toContain('speculative')
    expect(USUAL_DESIGNS).not.toContain('speculative-irq')
    expect(designsIn(cellsOf([base]))).toEqual(['mmap-lock', 'speculative', 'vma-lock'])
    expect(designsIn(cellsOf([base], { designs: ['srcu'] }))).toEqual(['srcu'])
    expect(designsIn(cellsOf([base], { designs: ['speculative-irq'] }))).toEqual(['speculative-irq'])
    expect(designsIn(cellsOf([{ ...base, designs: ['speculative-irq'] }]))).toEqual(['speculative-irq'])
  })

  it('are those that are usual for a scenario, unless others are asked for', () => {
    const one = { ...base, usually: { designs: ['vma-lock'], archs: ['powerpc64-hash-64k'] }, variants: [broken] }
    expect(combinations(cellsOf([one]))).toEqual(['vma-lock, powerpc64-hash-64k, rcu-batch'])
    expect(combinations(cellsOf([one], { archs: ['x86-pae'], designs: ['srcu'] }))).toEqual(['srcu, x86-pae, rcu-batch'])
    expect(combinations(cellsOf([one], { variants: 'broken' }))[0]).toMatch(/^vma-lock, powerpc64-hash-64k/)
  })

  it('are what both the scenario and the user want', () => {
    expect(combinations(cellsOf([narrow]))).toEqual(['vma-lock, x86_64, rcu-batch', 'vma-lock, powerpc64-hash-64k, rcu-batch'])
    expect(combinations(cellsOf([narrow], { archs: ['x86_64'] }))).toEqual(['vma-lock, x86_64, rcu-batch'])
    expect(cellsOf([narrow], { designs: ['mmap-lock'] })).toEqual([])
  })

  it('take any architecture that is asked for, where the scenario names none', () => {
    expect(combinations(cellsOf([base], { archs: ['x86-pae'], designs: ['vma-lock'] }))).toEqual(['vma-lock, x86-pae, rcu-batch'])
    expect(cellsOf([narrow], { archs: ['x86-pae'] })).toEqual([])
  })

  it('take any freeing policy that is asked for, and expect nothing of one that the scenario does not name', () => {
    const [named, other] = cellsOf([{ ...narrow, freeing: ['ipi'] }], { archs: ['x86_64'], freeing: ['ipi', 'immediate'] })
    expect(named).toMatchObject({ combination: { freeing: 'ipi' }, expected: 'safe' })
    expect(other).toMatchObject({ combination: { freeing: 'immediate' }, expected: null })
  })

  it('have the variants only where they are wanted, on their combination, and fail them', () => {
    expect(cellsOf([narrow], { variants: false })).toHaveLength(2)
    expect(cellsOf([narrow])).toHaveLength(2)
    const all = cellsOf([narrow], { variants: true })
    expect(all.map(nameOf)).toEqual(['a', 'a', 'a:broken', 'a:elsewhere'])
    expect(all[2]).toMatchObject({ combination: { arch: 'x86_64', freeing: 'rcu-batch' }, expected: { unsafe: /freed/ } })
    expect(all[3]).toMatchObject({ combination: { design: 'vma-lock', arch: 'powerpc64-hash-64k', freeing: 'ipi' } })
    expect(cellsOf([narrow], { variants: 'elsewhere' }).map(nameOf)).toEqual(['a:elsewhere'])
    expect(cellsOf([narrow], { variants: true, archs: ['x86_64'] }).map(nameOf)).toEqual(['a', 'a:broken'])
  })

  it('ask a function what to expect of each combination', () => {
    const cells = cellsOf([{ ...narrow, expect: ({ arch }) => (arch === 'x86_64' ? 'safe' : { unsafe: /freed/ }) }])
    expect(cells.map(({ expected }) => expected)).toEqual(['safe', { unsafe: /freed/ }])
  })
})

describe('cellOf', () => {
  it('completes a combination from the first of the scenario, or from the variant', () => {
    expect(cellOf(narrow).combination).toEqual({ design: 'vma-lock', arch: 'x86_64', freeing: 'rcu-batch' })
    expect(cellOf(narrow, { design: 'mmap-lock' }).combination).toEqual({ design: 'mmap-lock', arch: 'x86_64', freeing: 'rcu-batch' })
    expect(cellOf(narrow, {}, 'elsewhere').combination).toEqual({ design: 'vma-lock', arch: 'powerpc64-hash-64k', freeing: 'ipi' })
    expect(cellOf(narrow, { arch: 'x86_64' }, 'elsewhere').combination.arch).toBe('x86_64')
  })

  it('expects nothing of a freeing policy that the scenario does not name', () => {
    expect(cellOf(narrow, { freeing: 'rcu-batch' }).expected).toBe('safe')
    expect(cellOf(narrow, { freeing: 'immediate' }).expected).toBeNull()
    expect(cellOf(narrow, { freeing: 'immediate' }, 'broken').expected).toEqual({ unsafe: /freed/ })
  })

  it('refuses a variant that there is not, and a value that no axis has', () => {
    expect(() => cellOf(narrow, {}, 'brokn')).toThrow(new ScenarioError('scenario a has no variant brokn'))
    expect(() => cellOf(narrow, { design: 'vma-lok' })).toThrow(`there is no design 'vma-lok'; there are ${AXES.designs.join(', ')}`)
    expect(() => cellOf(narrow, { freeing: 'never' })).toThrow(/there is no freeing policy 'never'/)
  })
})

describe('resultOf', () => {
  const report = (verdict: ExploreReport['verdict'], message = ''): ExploreReport => ({ verdict, message }) as ExploreReport
  const unsafe: Expectation = { unsafe: /use after free/g }
  it.each<[Expectation | null, ExploreReport['verdict'], string, boolean]>([
    ['safe', 'proved', '', true],
    ['safe', 'bounded', '', true],
    ['safe', 'stopped', 'the budget of 1 s is spent', false],
    ['safe', 'violation', 'use after free', false],
    [unsafe, 'violation', 'use after free', true],
    [unsafe, 'violation', 'deadlock', false],
    [unsafe, 'proved', '', false],
    [unsafe, 'bounded', '', false],
    [unsafe, 'stopped', 'use after free', false],
    [null, 'proved', '', true],
    [null, 'stopped', '', true],
    [null, 'violation', 'use after free', false],
  ])('with %j expected, %s %j: as expected is %j', (expected, verdict, message, asExpected) => {
    const cell: Cell = { ...cellOf(base), expected }
    // Twice: a pattern may have a memory.
    for (let i = 0; i < 2; i++) expect(resultOf(cell, report(verdict, message)).asExpected).toBe(asExpected)
    expect(resultOf(cell, report(verdict)).expected).toBe(expected === null || expected === 'safe' ? expected : 'unsafe')
  })
})

describe('scenario', () => {
  it.each<[string, Partial<Record<keyof Scenario, unknown>>]>([
    ["name 'Two Words' must be lower-case words", { name: 'Two Words' }],
    ['has 4 CPUs; 1 to 3', { cpus: 4 }],
    ['has 0 CPUs', { cpus: 0 }],
    ['has 1.5 CPUs', { cpus: 1.5 }],
    ['setUp must be a function', { setUp: 3 }],
    [`there is no design 'vma-lok'; there are ${AXES.designs.join(', ')}`, { designs: ['vma-lok'] }],
    ["there is no architecture 'x86'", { archs: ['x86'] }],
    ["there is no freeing policy 'rcu'", { freeing: ['rcu'] }],
    ['archs is empty', { archs: [] }],
    ["expect must be 'safe' or { unsafe: /pattern/ }", { expect: 'unsafe' }],
    ["expect must be 'safe'", { expect: { unsafe: 'freed' } }],
    ['two variants are called broken', { variants: [broken, broken] }],
  ])('says that %s', (message, wrong) => {
    const define = (): unknown => scenario({ ...base, ...wrong } as Scenario)
    expect(define).toThrow(ScenarioError)
    expect(define).toThrow(message)
  })

  it('gives back what it was given, and looks at what a function expects when it is asked', () => {
    expect(scenario(base)).toBe(base)
    const odd = { ...base, expect: () => 'perhaps' } as unknown as Scenario
    expect(() => expectationOf(odd, cellOf(base).combination)).toThrow(/scenario a: expect must be/)
  })
})
