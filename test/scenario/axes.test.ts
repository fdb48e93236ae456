// The axes that a combination may leave out: what they are by default, where they are said, and what asks for them.
import { describe, expect, it } from 'vitest'
import { pinningTest, readReplay, writeReplay } from '../../src/check/counterexample/index.ts'
import { check } from '../../src/check.ts'
import { checkOptions } from '../../src/cli/check-options.ts'
import { runOptions } from '../../src/cli/run-options.ts'
import { UsageError } from '../../src/cli/usage-error.ts'
import { bootMachine } from '../../src/machine/machine.ts'
import { MachineOptionError, machineShape } from '../../src/machine/shape.ts'
import { checkJson } from '../../src/report/check-json.ts'
import { checkTable } from '../../src/report/check-report.ts'
import { palette } from '../../src/report/table.ts'
import {
  AXES,
  combinationFlags,
  combinationText,
  shortCombination,
  unusualValues,
  type WholeCombination,
} from '../../src/scenario/runner/axes.ts'
import { cellName, cellsOf, combinationsOf } from '../../src/scenario/runner/cells.ts'
import { type CheckResult, cellOf } from '../../src/scenario/runner/check.ts'
import { type Scenario, scenario } from '../../src/scenario/scenario.ts'

const plain = { design: 'vma-lock', arch: 'x86_64', freeing: 'rcu-batch' }
const preemptible = { ...plain, rcu: 'preemptible' }

const asks = (more: Partial<Scenario>): Scenario => ({
  name: 'a',
  question: '?',
  asked: 'here',
  cpus: 2,
  designs: ['vma-lock'],
  archs: ['x86_64'],
  setUp: () => ({ calls: [] }),
  expect: 'safe',
  ...more,
})

describe('a combination', () => {
  it('says only what is not usual', () => {
    expect(shortCombination({ ...plain, index: 'maple', rcu: 'quiescent', tables: 'one' })).toEqual(plain)
    expect(combinationText(plain)).toBe('vma-lock, x86_64, rcu-batch')
    expect(combinationText({ ...preemptible, tables: 'sixteen' })).toBe('vma-lock, x86_64, rcu-batch, preemptible, sixteen')
    expect(unusualValues({ rcu: 'quiescent', tables: 'sixteen' })).toEqual(['sixteen'])
    expect(combinationFlags(preemptible)).toBe('--design vma-lock --arch x86_64 --freeing rcu-batch --rcu preemptible')
  })

  it('is what a machine is booted with', () => {
    expect(machineShape()).toMatchObject({ index: 0, rcu: 0, tables: 0 })
    expect(machineShape({ rcu: 'preemptible', tables: 'sixteen' })).toMatchObject({ index: 0, rcu: 1, tables: 1 })
    expect(() => bootMachine({ rcu: 'srcu' })).toThrow(
      new MachineOptionError("unknown RCU flavour 'srcu': use one of quiescent, preemptible"),
    )
    expect(() => bootMachine({ tables: 'two' })).toThrow(/unknown table allocation 'two': use one of one, sixteen/)
    expect(() => bootMachine({ index: 'list' })).toThrow(/unknown VMA index 'list': use one of maple/)
  })
})

describe('cells', () => {
  it('are of the usual values where a scenario names none, of those that it names, and of those that are asked for', () => {
    expect(combinationsOf(asks({}))).toEqual([plain])
    expect(combinationsOf(asks({ rcus: ['quiescent', 'preemptible'] }))).toEqual([plain, preemptible])
    const [one, ...others] = cellsOf([asks({})], { rcus: ['preemptible'] })
    expect(others).toEqual([])
    expect(one).toMatchObject({ combination: preemptible, expected: null })
    const named = cellsOf([asks({ rcus: ['quiescent', 'preemptible'] })], { rcus: ['preemptible'] })
    expect(named).toMatchObject([{ combination: preemptible, expected: 'safe' }])
    expect(cellName(named[0]!)).toBe('a [vma-lock, x86_64, rcu-batch, preemptible]')
  })

  it('are expected by all values, said or not', () => {
    const seen: WholeCombination[] = []
    const expecting = asks({
      tables: ['one', 'sixteen'],
      expect: (combination) => {
        seen.push(combination)
        return 'safe'
      },
    })
    cellsOf([expecting])
    expect(seen).toEqual([
      { ...plain, index: 'maple', rcu: 'quiescent', tables: 'one' },
      { ...plain, index: 'maple', rcu: 'quiescent', tables: 'sixteen' },
    ])
  })

  it('have a variant where it is asked for', () => {
    const broken = { name: 'broken', wrong: 'w', edits: [], unsafe: /x/, on: { rcu: 'preemptible' } }
    const with_ = asks({ variants: [broken] })
    expect(cellsOf([with_], { variants: true })).toMatchObject([{ combination: plain }, { combination: preemptible, variant: broken }])
    expect(cellsOf([with_], { variants: true, rcus: ['quiescent'] })).toHaveLength(1)
    expect(cellsOf([with_], { variants: 'broken', rcus: ['preemptible'] })).toHaveLength(1)
  })

  it('are named from outside, refusing what there is not', () => {
    expect(cellOf(asks({}), { rcu: 'quiescent' }).combination).toEqual(plain)
    expect(cellOf(asks({}), { tables: 'sixteen' })).toMatchObject({ combination: { ...plain, tables: 'sixteen' }, expected: null })
    expect(() => cellOf(asks({}), { rcu: 'srcu' })).toThrow(/there is no RCU flavour 'srcu'; there are quiescent, preemptible/)
    expect(() => scenario(asks({ tables: ['two'] }))).toThrow(/there is no table allocation 'two'; there are one, sixteen/)
  })
})

describe('options', () => {
  it('ask for values of the axes', () => {
    expect(checkOptions({}, 2)).toMatchObject({ indexes: undefined, rcus: undefined, tables: undefined })
    expect(checkOptions({ rcu: 'all', tables: 'sixteen', index: 'maple' }, 2)).toMatchObject({
      indexes: ['maple'],
      rcus: ['quiescent', 'preemptible'],
      tables: ['sixteen'],
    })
    expect(() => checkOptions({ rcu: 'preemptable' }, 2)).toThrow(UsageError)
    expect(runOptions({})).toMatchObject({ indexes: ['maple'], rcus: ['quiescent'], tables: ['one'] })
    expect(runOptions({ tables: 'one,sixteen', index: 'all' })).toMatchObject({ indexes: AXES.indexes, tables: ['one', 'sixteen'] })
  })
})

describe('reports', () => {
  const result = (combination: CheckResult['combination']): CheckResult => ({
    scenario: 'a',
    combination,
    variant: null,
    expected: 'safe',
    asExpected: true,
    report: { verdict: 'proved', states: 1, executions: 1, maxDepth: 1, milliseconds: 1 } as CheckResult['report'],
  })

  it('have a column for an axis only where a value of it is not usual', () => {
    const columns = (...results: CheckResult[]): string[] => (checkTable(results, palette(false))[0] as string).trim().split(/ +/)
    expect(columns(result(plain))).not.toContain('rcu')
    expect(columns(result(plain), result(preemptible))).toContain('rcu')
    expect(columns(result(plain), result(preemptible))).not.toContain('tables')
  })

  it('are whole for machines', () => {
    expect(checkJson('1', [result(preemptible)], null)).toMatchObject({ results: [{ ...preemptible, index: 'maple', tables: 'one' }] })
  })
})

describe('what is kept of a violation', () => {
  it('names what is not usual', async () => {
    const text = pinningTest({ scenario: 's', ...preemptible, path: [0, 1], failure: 'x' })
    expect(text).toContain("{ design: 'vma-lock', arch: 'x86_64', freeing: 'rcu-batch', rcu: 'preemptible' }")
    const file = { gracewalkReplay: 1, scenario: 's', path: [0, 1], failure: '', code: { steps: [], sequence: [] } } as const
    expect(readReplay(writeReplay({ ...file, combination: preemptible })).combination).toEqual(preemptible)
    expect(() => readReplay(JSON.stringify({ ...file, combination: { ...plain, rcu: 1 } }))).toThrow(/damaged/)
  })

  it('is told with it', async () => {
    const { counterexample } = await check('two-deferred-fragments', {
      arch: 'powerpc64-hash-64k',
      freeing: 'pte-free-defer-one-head',
      rcu: 'preemptible',
    })
    expect(counterexample.replaceAll(/\s+/g, ' ')).toMatch(
      /^two-deferred-fragments \([^)]*pte-free-defer-one-head, preemptible\): violation/,
    )
  })
})
