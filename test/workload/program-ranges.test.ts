// The range map against an array with one cell per page.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { copyRanges, countPages, createRanges, rangeAt, setRange, visitRanges } from '../../src/workload/program/ranges.ts'

const SIZE = 3000

test('like an array of pages', () => {
  const write = fc.record({
    start: fc.nat(SIZE - 1),
    length: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: SIZE })),
    value: fc.option(fc.nat(3), { nil: undefined }),
  })
  fc.assert(
    fc.property(fc.array(write, { maxLength: 60 }), fc.integer({ min: 1, max: 7 }), (writes, stride) => {
      const ranges = createRanges<number>()
      const pages: (number | undefined)[] = new Array(SIZE).fill(undefined)
      // Many small ranges first, so that there are several blocks.
      for (let at = 0; at < SIZE; at += stride + 1) {
        setRange(ranges, at, at + 1, 9)
        pages[at] = 9
      }
      for (const { start, length, value } of writes) {
        const end = Math.min(SIZE, start + length)
        setRange(ranges, start, end, value)
        pages.fill(value, start, end)
        const seen: (number | undefined)[] = []
        let expected = Math.max(0, start - 3)
        visitRanges(ranges, expected, SIZE, (from, to, what) => {
          expect(from).toBe(expected)
          expected = to
          for (let page = from; page < to; page++) seen.push(what)
        })
        expect(seen).toEqual(pages.slice(Math.max(0, start - 3)))
        expect(rangeAt(ranges, start)).toBe(value)
      }
      expect(countPages(copyRanges(ranges), () => true)).toBe(pages.filter((value) => value !== undefined).length)
      for (const { starts, ends, values } of ranges.blocks) {
        for (let at = 1; at < starts.length; at++) expect(ends[at - 1] === starts[at] && values[at - 1] === values[at]).toBe(false)
      }
    }),
    { numRuns: 60 },
  )
})

test('addresses beyond 32 bits', () => {
  const ranges = createRanges<string>()
  setRange(ranges, 2 ** 35, 2 ** 35 + 10, 'high')
  setRange(ranges, 2 ** 35 + 4, 2 ** 35 + 6, undefined)
  expect([rangeAt(ranges, 2 ** 35 + 3), rangeAt(ranges, 2 ** 35 + 4), rangeAt(ranges, 2 ** 35 + 6), rangeAt(ranges, 0)]).toEqual([
    'high',
    undefined,
    'high',
    undefined,
  ])
})
