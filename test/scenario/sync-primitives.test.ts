// The scenarios of the synchronisation primitives and of the maple tree by themselves are run by matrix.test.ts. Here: none of
// them is without a classical mistake that it notices, so that none can pass by looking at nothing.
import { expect, it } from 'vitest'
import * as mapleGaps from '../../src/scenario/maple-gaps.ts'
import * as maple from '../../src/scenario/maple-lookup-vs-store.ts'
import * as rcuCallbacks from '../../src/scenario/rcu-callbacks.ts'
import * as rcu from '../../src/scenario/rcu-reader-vs-updater.ts'
import * as refcount from '../../src/scenario/refcount-get-vs-put.ts'
import { cellsOf } from '../../src/scenario/runner/cells.ts'
import * as rwsemDowngrade from '../../src/scenario/rwsem-downgrade.ts'
import * as rwsemHandOver from '../../src/scenario/rwsem-hand-over.ts'
import * as rwsemReader from '../../src/scenario/rwsem-reader-vs-writer.ts'
import * as rwsemWriter from '../../src/scenario/rwsem-writer-vs-writer.ts'
import type { Scenario } from '../../src/scenario/scenario.ts'
import * as seqcount from '../../src/scenario/seqcount-reader-vs-writer.ts'
import * as spinlock from '../../src/scenario/spinlock-exclusion.ts'
import * as interrupt from '../../src/scenario/spinlock-vs-interrupt.ts'
import * as srcu from '../../src/scenario/srcu-reader-vs-updater.ts'

const rwsems = { ...rwsemReader, ...rwsemWriter, ...rwsemHandOver, ...rwsemDowngrade }
const trees = { ...maple, ...mapleGaps }
const scenarios = Object.values({
  ...rwsems,
  ...spinlock,
  ...interrupt,
  ...seqcount,
  ...refcount,
  ...rcu,
  ...rcuCallbacks,
  ...srcu,
  ...trees,
})

it('notice a mistake each', () => {
  expect(scenarios.length).toBeGreaterThan(20)
  // A scenario that is itself the mistake on some combination needs no variant.
  const expectations = (one: Scenario) => cellsOf([one]).map(({ expected }) => expected)
  const without = scenarios.filter(({ variants = [] }) => variants.length === 0)
  expect(without.filter((one) => expectations(one).every((expected) => expected === 'safe')).map(({ name }) => name)).toEqual([])
})
