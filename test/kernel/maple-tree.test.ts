// The maple tree by example and by property: edges of the key space, shapes of nodes, and readers whose leaf was replaced.
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { load, thisCpu } from '../../src/kernel/machine/instructions.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { mtEmptyArea, mtEmptyAreaRev } from '../../src/kernel/vma/maple-gap.ts'
import { mtErase, mtStoreRange } from '../../src/kernel/vma/maple-store.ts'
import {
  MAPLE_MAX,
  MapleTree,
  masNext,
  masPrev,
  masWalk,
  mteDeadNode,
  mtFind,
  mtLoad,
  mtNext,
  mtPrev,
} from '../../src/kernel/vma/maple-tree.ts'
import { bootMachine, drainCallbacks, TREE } from './maple-machine.ts'
import { IntervalList, mtValidate } from './maple-validate.ts'

const out = (i: number): number => load(thisCpu() + Cpu.out0 + i)

beforeEach(() => void bootMachine(1024))

describe('the edges', () => {
  test('an empty tree', () => {
    expect(mtLoad(TREE, 5)).toBe(0)
    expect(mtFind(TREE, 0, MAPLE_MAX)).toBe(0)
    expect(masWalk(TREE, 7)).toBe(0)
    expect([out(0), out(1)]).toEqual([0, MAPLE_MAX])
    expect(mtNext(TREE, 0, MAPLE_MAX)).toBe(0)
    expect(mtPrev(TREE, MAPLE_MAX, 0)).toBe(0)
    expect(mtEmptyAreaRev(TREE, 10, 19, 10)).toBe(10)
    expect(mtEmptyAreaRev(TREE, 10, 19, 11)).toBe(-16)
    expect(mtEmptyArea(TREE, 10, MAPLE_MAX, 3)).toBe(10)
    expect(mtStoreRange(TREE, 0, MAPLE_MAX, 0)).toBe(0)
  })

  test('one entry over the whole key space', () => {
    expect(mtStoreRange(TREE, 0, MAPLE_MAX, 8)).toBe(0)
    mtValidate(TREE)
    expect([mtLoad(TREE, 0), mtLoad(TREE, MAPLE_MAX)]).toEqual([8, 8])
    expect(mtEmptyArea(TREE, 0, MAPLE_MAX, 1)).toBe(-16)
    expect(mtStoreRange(TREE, 1, MAPLE_MAX - 1, 0)).toBe(0)
    mtValidate(TREE)
    expect([mtLoad(TREE, 0), mtLoad(TREE, 1), mtLoad(TREE, MAPLE_MAX)]).toEqual([8, 0, 8])
    expect(mtEmptyAreaRev(TREE, 0, MAPLE_MAX, 2)).toBe(MAPLE_MAX - 2)
    expect(mtStoreRange(TREE, 0, 0, 0)).toBe(0)
    expect(mtStoreRange(TREE, MAPLE_MAX, MAPLE_MAX, 0)).toBe(0)
    expect(load(TREE + MapleTree.root)).toBe(0)
  })

  test('the first and the last index', () => {
    expect(mtStoreRange(TREE, MAPLE_MAX, MAPLE_MAX, 8)).toBe(0)
    expect(mtStoreRange(TREE, 0, 0, 16)).toBe(0)
    mtValidate(TREE)
    expect(mtFind(TREE, 1, MAPLE_MAX)).toBe(8)
    expect(mtFind(TREE, 1, MAPLE_MAX - 1)).toBe(0)
    expect(mtPrev(TREE, MAPLE_MAX, 0)).toBe(16)
    expect(mtPrev(TREE, MAPLE_MAX, 1)).toBe(0)
    expect(mtNext(TREE, 0, MAPLE_MAX)).toBe(8)
    expect(mtNext(TREE, MAPLE_MAX, MAPLE_MAX)).toBe(0)
    expect(mtPrev(TREE, 0, 0)).toBe(0)
  })
})

describe('a position whose leaf was replaced', () => {
  beforeEach(() => {
    for (let i = 0; i < 200; i++) mtStoreRange(TREE, i * 10, i * 10 + 3, 8 * (i + 1))
  })

  test('masNext does not return what is gone, nor miss what is new', () => {
    expect(mtFind(TREE, 100, MAPLE_MAX)).toBe(8 * 11)
    const leaf = load(thisCpu() + Cpu.masNode)
    expect(mteDeadNode(leaf)).toBe(false)
    mtStoreRange(TREE, 110, 113, 0)
    expect(mteDeadNode(leaf)).toBe(true)
    expect(masNext(MAPLE_MAX)).toBe(8 * 13)
    mtStoreRange(TREE, 126, 126, 8000)
    expect(masNext(MAPLE_MAX)).toBe(8000)
    expect([out(0), out(1)]).toEqual([126, 126])
  })

  test('nor masPrev', () => {
    expect(mtFind(TREE, 100, MAPLE_MAX)).toBe(8 * 11)
    mtStoreRange(TREE, 90, 93, 0)
    expect(masPrev(0)).toBe(8 * 9)
    mtStoreRange(TREE, 77, 77, 8000)
    expect(masPrev(0)).toBe(8000)
    expect([out(0), out(1)]).toEqual([77, 77])
  })

  test('a spanning store kills each leaf and each internal node that it drops', () => {
    const leaves: number[] = []
    for (let entry = mtFind(TREE, 0, MAPLE_MAX); entry !== 0; entry = masNext(MAPLE_MAX)) {
      const leaf = load(thisCpu() + Cpu.masNode)
      if (!leaves.includes(leaf)) leaves.push(leaf)
    }
    mtStoreRange(TREE, 5, 1995, 8)
    expect(leaves.length).toBeGreaterThan(10)
    expect(leaves.filter((leaf) => !mteDeadNode(leaf))).toEqual([])
    drainCallbacks()
    mtValidate(TREE)
  })
})

test('mtErase takes out the whole entry, whichever of its indices is named', () => {
  for (let i = 0; i < 100; i++) mtStoreRange(TREE, i * 10, i * 10 + 9, 8 * (i + 1))
  for (let i = 0; i < 100; i++) {
    expect(mtErase(TREE, i * 10 + (i % 10))).toBe(8 * (i + 1))
    expect([out(0), out(1)]).toEqual([i * 10, i * 10 + 9])
    expect(mtErase(TREE, i * 10)).toBe(0)
    mtValidate(TREE)
  }
  expect(load(TREE + MapleTree.root)).toBe(0)
})

describe('shape', () => {
  const runs: [string, (i: number) => number][] = [
    ['upwards', (i) => i],
    ['downwards', (i) => 20_000 - i],
    ['inwards', (i) => (i % 2 === 0 ? i : 40_000 - i)],
    ['scattered', (i) => (i * 7919) % 10_007],
  ]
  for (const [name, place] of runs) {
    test(`10,000 entries ${name} fill their nodes by two thirds`, () => {
      for (let i = 0; i < 10_000; i++) mtStoreRange(TREE, place(i) * 4, place(i) * 4 + 2, 8 * (i + 1))
      drainCallbacks()
      const { leaves, slots, height } = mtValidate(TREE)
      expect(slots / leaves / 16).toBeGreaterThan(0.64)
      expect(height).toBeLessThanOrEqual(5)
    })
  }
})

test('property: any sequence of stores', () => {
  const size = fc.oneof({ weight: 4, arbitrary: fc.nat(8) }, { weight: 1, arbitrary: fc.nat(4000) })
  const command = fc.record({ first: fc.nat(3000), size, entry: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1 << 20 })) })
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 120 }), fc.array(command, { maxLength: 60 }), (dense, commands) => {
      bootMachine(256)
      const list = new IntervalList()
      const put = (first: number, last: number, entry: number): void => {
        expect(mtStoreRange(TREE, first, last, entry)).toBe(0)
        list.store(first, last, entry)
        mtValidate(TREE)
      }
      for (let i = 0; i < dense; i++) put(i * 25, i * 25 + (i % 7), 8 * (i + 1))
      for (const { first, size, entry } of commands) put(first, first + size, entry * 8)
      let range = 0
      for (let entry = mtFind(TREE, 0, MAPLE_MAX); entry !== 0; entry = masNext(MAPLE_MAX)) {
        expect({ first: out(0), last: out(1), entry }).toEqual(list.ranges[range])
        range++
      }
      expect(range).toBe(list.ranges.length)
      for (let entry = mtPrev(TREE, MAPLE_MAX, 0); entry !== 0; entry = masPrev(0)) {
        range--
        expect({ first: out(0), last: out(1), entry }).toEqual(list.ranges[range])
      }
      expect(range).toBe(0)
    }),
    { numRuns: 400 },
  )
})
