// The maple tree against a sorted array: long random runs over ranges of every size.
import { describe, expect, test } from 'vitest'
import { load, thisCpu } from '../../src/kernel/machine/instructions.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { Cache, slabObjectsInUse } from '../../src/kernel/memory/slab.ts'
import { mtEmptyArea, mtEmptyAreaRev } from '../../src/kernel/vma/maple-gap.ts'
import { mtDestroy, mtStoreRange } from '../../src/kernel/vma/maple-store.ts'
import { MAPLE_MAX, masNext, masPrev, masWalk, mtFind, mtLoad, mtNext, mtPrev } from '../../src/kernel/vma/maple-tree.ts'
import { bootMachine, drainCallbacks, runCallbacks, TREE } from './maple-machine.ts'
import { generator, IntervalList, mtValidate } from './maple-validate.ts'

const out = (i: number): number => load(thisCpu() + Cpu.out0 + i)

function compare(list: IntervalList, index: number, other: number, size: number): void {
  const min = Math.min(index, other)
  const max = Math.max(index, other)
  const wrong = (what: string, got: number, want: number): void => {
    if (got !== want) throw new Error(`${what} at ${index}/${other}/${size}: ${got}, should be ${want}`)
  }
  wrong('load', mtLoad(TREE, index), list.load(index))
  wrong('walk', masWalk(TREE, index), list.load(index))
  const [first, last] = list.bounds(index)
  wrong('walk first', out(0), first)
  wrong('walk last', out(1), last)
  const found = list.find(min, max)
  wrong('find', mtFind(TREE, min, max), found?.entry ?? 0)
  if (found !== undefined) {
    wrong('find first', out(0), found.first)
    wrong('find last', out(1), found.last)
    const place = list.ranges.indexOf(found)
    const second = list.ranges[place + 1]
    wrong('masNext', masNext(max), second !== undefined && second.first <= max ? second.entry : 0)
    if (second !== undefined && second.first <= max) wrong('masPrev', masPrev(0), found.entry)
  }
  const [, behind] = list.bounds(min)
  const next = behind < max ? list.find(behind + 1, max) : undefined
  wrong('next', mtNext(TREE, min, max), next?.entry ?? 0)
  if (next !== undefined) wrong('next first', out(0), next.first)
  const [before] = list.bounds(max)
  const previous = before === 0 ? undefined : list.ranges[list.at(before) - 1]
  const want = previous !== undefined && previous.last >= min ? previous : undefined
  wrong('prev', mtPrev(TREE, max, min), want?.entry ?? 0)
  if (want !== undefined) wrong('prev last', out(1), want.last)
  wrong('empty area', mtEmptyArea(TREE, min, max, size), list.emptyArea(min, max, size, false))
  wrong('empty area rev', mtEmptyAreaRev(TREE, min, max, size), list.emptyArea(min, max, size, true))
}

interface Mix {
  name: string
  /** Indices are below this. */
  limit: number
  /** Longest range of an ordinary store. */
  length: number
  /** Share of stores that erase, and of stores that cover a large part of everything. */
  erase: number
  huge: number
  steps: number
  every: number
}

const mixes: Mix[] = [
  { name: 'a handful of indices', limit: 40, length: 10, erase: 0.4, huge: 0.01, steps: 200_000, every: 7 },
  { name: 'dense, small', limit: 1000, length: 12, erase: 0.3, huge: 0.002, steps: 250_000, every: 97 },
  { name: 'dense, single pages', limit: 3000, length: 1, erase: 0.45, huge: 0.0005, steps: 250_000, every: 331 },
  { name: 'sparse, all of the space', limit: MAPLE_MAX + 1, length: 5000, erase: 0.4, huge: 0.001, steps: 150_000, every: 199 },
  { name: 'large ranges of all of the space', limit: MAPLE_MAX + 1, length: 2 ** 27, erase: 0.4, huge: 0.05, steps: 100_000, every: 19 },
  { name: 'nothing but stores and long erasures', limit: 20000, length: 3, erase: 0.02, huge: 0.02, steps: 50_000, every: 97 },
]

describe('random stores', () => {
  for (const mix of mixes) {
    test(`${mix.name}: ${mix.steps} stores`, { timeout: 300_000 }, () => {
      bootMachine(4096)
      const random = generator(20250 + mix.steps)
      const below = (n: number): number => Math.floor(random() * n)
      const list = new IntervalList()
      let erase = mix.erase
      for (let step = 1; step <= mix.steps; step++) {
        // Phases of growth and of decay, so that every height is passed in both directions.
        if (step % 5000 === 0) erase = mix.erase + (below(2) === 0 ? 0.35 : -0.15)
        const span = random() < mix.huge ? mix.limit : mix.length
        let first = below(mix.limit)
        let last = Math.min(mix.limit - 1, first + below(span))
        if (random() < 0.5 && list.ranges.length > 0) {
          // Along the borders of what is there: exact overwrites, shrinking, merging.
          const range = list.ranges[below(list.ranges.length)]!
          first = random() < 0.7 ? range.first : range.last + (range.last < mix.limit - 1 ? 1 : 0)
          if (random() < 0.6 && first <= range.last) last = range.last
          else last = Math.min(mix.limit - 1, first + below(span))
        }
        const entry = random() < erase ? 0 : 8 * (1 + below(1 << 20))
        if (mtStoreRange(TREE, first, last, entry) !== 0) throw new Error('out of memory')
        list.store(first, last, entry)
        compare(list, below(mix.limit), below(mix.limit), 1 + below(Math.max(2, mix.length * 2)))
        const probe = random() < 0.5 ? first : last
        compare(list, probe, Math.min(mix.limit - 1, probe + below(mix.length * 3)), 1 + below(mix.length))
        if (step % mix.every === 0) mtValidate(TREE)
        if (step % 64 === 0) runCallbacks()
      }
      const shape = mtValidate(TREE)
      drainCallbacks()
      expect(slabObjectsInUse(Cache.mapleNode)).toBe(shape.nodes)
      mtDestroy(TREE)
      expect(slabObjectsInUse(Cache.mapleNode)).toBe(0)
      expect(load(TREE)).toBe(0)
    })
  }
})
