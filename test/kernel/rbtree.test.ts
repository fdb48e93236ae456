// The red-black tree of VMAs against a sorted list: after every change its shape, and what look-ups and searches say.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { load, store } from '../../src/kernel/machine/instructions.ts'
import { Cache, kmemCacheAlloc, kmemCacheCreate, kmemCacheFree } from '../../src/kernel/memory/slab.ts'
import { MAPLE_MAX } from '../../src/kernel/vma/maple-tree.ts'
import { rbEmptyArea, rbEmptyAreaRev } from '../../src/kernel/vma/rb-gap.ts'
import { rbClear, rbDestroy, rbErase, rbExpand, rbInsert } from '../../src/kernel/vma/rb-store.ts'
import { RB_WALK_LIMIT, rbFind, rbFindBefore, rbNeighbour, rbWalk } from '../../src/kernel/vma/rbtree.ts'
import { Vma } from '../../src/kernel/vma/vma.ts'
import { bootMachine, TREE } from './maple-machine.ts'
import { generator, IntervalList } from './maple-validate.ts'
import { rbValidate } from './rb-validate.ts'

/** A tree and the list that it must agree with: entries of the list are the VMAs. */
class Subject {
  readonly list = new IntervalList()

  constructor(frames = 64) {
    bootMachine(frames)
    kmemCacheCreate(Cache.vma, Vma.size, 16, 1)
    store(TREE, 0)
  }

  at(page: number): number {
    return this.list.load(page)
  }

  /** Maps what is free of [first, last], as one VMA for each hole. */
  map(first: number, last: number): void {
    for (let page = first; page <= last; ) {
      const [, end] = this.list.bounds(page)
      if (this.at(page) === 0) {
        const vma = kmemCacheAlloc(Cache.vma)
        if (vma === 0) throw new Error('out of memory')
        store(vma + Vma.start, page)
        store(vma + Vma.end, Math.min(end, last) + 1)
        rbInsert(TREE, vma)
        this.list.store(page, Math.min(end, last), vma)
      }
      page = end + 1
    }
  }

  /** Cuts the VMA at `page`, if it begins below, as split_vma does: the upper part is hung in while the two overlap. */
  split(page: number): void {
    const vma = this.at(page)
    if (vma === 0 || load(vma + Vma.start) === page) return
    const upper = kmemCacheAlloc(Cache.vma)
    store(upper + Vma.start, page)
    store(upper + Vma.end, load(vma + Vma.end))
    rbInsert(TREE, upper)
    this.list.store(page, load(vma + Vma.end) - 1, upper)
    store(vma + Vma.end, page)
  }

  unmap(first: number, last: number): void {
    this.split(first)
    this.split(last + 1)
    const gone = this.list.ranges.filter((range) => range.first >= first && range.last <= last)
    rbClear(TREE, first, last + 1)
    for (const { entry } of gone) kmemCacheFree(Cache.vma, entry)
    this.list.store(first, last, 0)
  }

  erase(page: number): void {
    const vma = this.at(page)
    if (vma === 0) return
    rbErase(TREE, vma)
    this.list.store(load(vma + Vma.start), load(vma + Vma.end) - 1, 0)
    kmemCacheFree(Cache.vma, vma)
  }

  /** Lets the VMA at `page` grow up to `last`, or down to it, over what lies there: what is swallowed goes, what is cut stays. */
  expand(page: number, last: number): void {
    const vma = this.at(page)
    if (vma === 0) return
    const low = Math.min(load(vma + Vma.start), last)
    const high = Math.max(load(vma + Vma.end), last + 1)
    const gone = this.list.ranges.filter(({ first, last: to, entry }) => entry !== vma && first >= low && to < high)
    const cut = this.list.ranges.filter(
      ({ first, last: to, entry }) => entry !== vma && !(first >= low && to < high) && first < high && to >= low,
    )
    rbExpand(TREE, vma, low, high)
    store(vma + Vma.start, low)
    store(vma + Vma.end, high)
    for (const { entry, first } of cut) store(entry + (first < low ? Vma.end : Vma.start), first < low ? low : high)
    for (const { entry } of gone) kmemCacheFree(Cache.vma, entry)
    this.list.store(low, high - 1, vma)
  }

  /** Everything that is wrong throws. */
  check(pages: readonly number[], size: number): void {
    const { vmas } = rbValidate(TREE)
    expect(vmas).toEqual(this.list.ranges.map(({ entry }) => entry))
    for (const page of pages) {
      const found = this.list.find(page, MAPLE_MAX)
      const max = page + size
      const wrong = (what: string, got: number, want: number): void => {
        if (got !== want) throw new Error(`${what} at ${page} (${size}): ${got}, should be ${want}`)
      }
      wrong('walk', rbWalk(TREE, page, RB_WALK_LIMIT), this.at(page))
      wrong('find', rbFind(TREE, page, MAPLE_MAX), found?.entry ?? 0)
      wrong('find to', rbFind(TREE, page, max), this.list.find(page, max)?.entry ?? 0)
      wrong('find before', rbFindBefore(TREE, page), this.list.ranges.findLast(({ first }) => first < page)?.entry ?? 0)
      if (found !== undefined) {
        const i = this.list.ranges.indexOf(found)
        wrong('next', rbNeighbour(found.entry, Vma.rbRight), this.list.ranges[i + 1]?.entry ?? 0)
        wrong('prev', rbNeighbour(found.entry, Vma.rbLeft), this.list.ranges[i - 1]?.entry ?? 0)
      }
      for (const min of [0, Math.max(0, page - 2 * size)]) {
        wrong(`empty area from ${min}`, rbEmptyArea(TREE, min, page, size), this.list.emptyArea(min, page, size, false))
        wrong(`empty area down to ${min}`, rbEmptyAreaRev(TREE, min, page, size), this.list.emptyArea(min, page, size, true))
      }
    }
  }
}

const LIMIT = 60
const page = fc.nat(LIMIT - 1)
const step = fc.tuple(fc.constantFrom('map', 'map', 'unmap', 'erase', 'split', 'expand'), page, fc.nat(12))

describe('a red-black tree of VMAs', () => {
  test('agrees with a list after every change', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 9 }), (steps, size) => {
        const subject = new Subject()
        const all = Array.from({ length: LIMIT }, (_, i) => i)
        for (const [what, first, length] of steps) {
          const last = Math.min(LIMIT - 1, first + length)
          if (what === 'map') subject.map(first, last)
          else if (what === 'unmap') subject.unmap(first, last)
          else if (what === 'erase') subject.erase(first)
          else if (what === 'split') subject.split(first)
          else subject.expand(first, length % 2 === 0 ? last : Math.max(0, first - length))
          subject.check(all, size)
        }
        rbDestroy(TREE)
        expect(load(TREE)).toBe(0)
      }),
      { numRuns: 150 },
    )
  })

  test.each([
    ['single pages', 4000, 1],
    ['all of the space', MAPLE_MAX, 5000],
  ])('stays low and right over many changes: %s', (_, limit, length) => {
    const subject = new Subject(2048)
    const random = generator(limit)
    const below = (n: number): number => Math.floor(random() * n)
    for (let i = 0; i < 6000; i++) {
      const first = below(limit)
      const last = Math.min(limit - 1, first + below(length))
      const many = Math.floor(i / 2000) === 1 ? 0.75 : 0.3
      const known = subject.list.ranges[below(subject.list.ranges.length)]
      if (random() > many || known === undefined) subject.map(first, last)
      else if (random() < 0.7) subject.erase(known.first)
      else if (random() < 0.5) subject.unmap(known.first, known.last)
      else subject.split(known.first + below(known.last - known.first + 1))
      if (i % 40 === 0) subject.check([first, last, below(limit), limit - 1], 1 + below(length))
    }
  })

  test('a walk does not go further than it is told', () => {
    const subject = new Subject()
    subject.map(10, 10)
    subject.map(20, 20)
    expect(rbWalk(TREE, 20, 1)).toBe(-40)
    expect(rbWalk(TREE, 20, 2)).toBe(subject.at(20))
    expect(rbWalk(TREE, 5, 1)).toBe(0)
    expect(rbWalk(TREE, 30, 2)).toBe(0)
  })
})
