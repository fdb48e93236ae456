// The scenarios of the synchronisation primitives and of the maple tree by themselves: each is proved, and each classical
// mistake in the kernel is found by the scenario that was made for it, for the reason that was expected.
import { describe, expect, it } from 'vitest'
import { cellOf, checkCell } from '../../src/scenario/check.ts'
import * as mapleGaps from '../../src/scenario/maple-gaps.ts'
import * as maple from '../../src/scenario/maple-lookup-vs-store.ts'
import * as rcuCallbacks from '../../src/scenario/rcu-callbacks.ts'
import * as rcu from '../../src/scenario/rcu-reader-vs-updater.ts'
import * as refcount from '../../src/scenario/refcount-get-vs-put.ts'
import * as rwsemDowngrade from '../../src/scenario/rwsem-downgrade.ts'
import * as rwsemHandOver from '../../src/scenario/rwsem-hand-over.ts'
import * as rwsemReader from '../../src/scenario/rwsem-reader-vs-writer.ts'
import * as rwsemWriter from '../../src/scenario/rwsem-writer-vs-writer.ts'
import * as seqcount from '../../src/scenario/seqcount-reader-vs-writer.ts'
import * as spinlock from '../../src/scenario/spinlock-exclusion.ts'
import * as interrupt from '../../src/scenario/spinlock-vs-interrupt.ts'
import * as srcu from '../../src/scenario/srcu-reader-vs-updater.ts'

const rwsems = { ...rwsemReader, ...rwsemWriter, ...rwsemHandOver, ...rwsemDowngrade }
const scenarios = Object.values({
  ...rwsems,
  ...spinlock,
  ...interrupt,
  ...seqcount,
  ...refcount,
  ...rcu,
  ...rcuCallbacks,
  ...srcu,
  ...maple,
  ...mapleGaps,
})

describe.each(scenarios)('$name', (scenario) => {
  it('is proved', async () => {
    const { report } = await checkCell(cellOf(scenario), { preemptions: 0 })
    expect(report).toMatchObject({ verdict: 'proved', message: '' })
    expect(report.executions).toBeGreaterThan(5)
  })

  it.each(scenario.variants?.map(({ name, unsafe }) => ({ name, unsafe })) ?? [])('notices $name', async ({ name, unsafe }) => {
    const { report } = await checkCell(cellOf(scenario, {}, name), { preemptions: 1 })
    expect(report.verdict).toBe('violation')
    expect(report.message).toMatch(unsafe)
  })
})

it('has no two scenarios of one name, and none without a mistake that it notices', () => {
  expect(new Set(scenarios.map(({ name }) => name)).size).toBe(scenarios.length)
  expect(scenarios.filter(({ variants }) => variants === undefined || variants.length === 0)).toEqual([])
})
