// Histograms against sorted numbers.
import { expect, it } from 'vitest'
import { addHistogram, createHistogram, percentile, record } from '../../src/workload/replay/histogram.ts'

it('percentiles are within 3% of the sorted numbers, also when halves are added', () => {
  const halves = [createHistogram(), createHistogram()]
  const values: number[] = []
  let seed = 1
  for (let at = 0; at < 20_000; at++) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    const value = 1.5 ** (seed % 50) + (seed % 97)
    values.push(value)
    record(halves[at % 2]!, value)
  }
  const [all, other] = halves as [ReturnType<typeof createHistogram>, ReturnType<typeof createHistogram>]
  addHistogram(all, other)
  values.sort((a, b) => a - b)
  expect(all.count).toBe(values.length)
  expect(all.max).toBe(values[values.length - 1])
  expect(all.total).toBeCloseTo(
    values.reduce((a, b) => a + b),
    -6,
  )
  for (const share of [0.01, 0.25, 0.5, 0.9, 0.99, 1]) {
    const exact = values[Math.ceil(values.length * share) - 1]!
    expect(Math.abs(percentile(all, share) / exact - 1)).toBeLessThan(0.032 + 1 / exact)
  }
})

it('nothing recorded has no percentiles', () => {
  expect(percentile(createHistogram(), 0.5)).toBeNaN()
})
