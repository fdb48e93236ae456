// The command line of `npm run bench`: which loops and designs an argument stands for.
import { describe, expect, test } from 'vitest'
import { type Options, readOptions } from '../../bench/options.ts'

function read(...args: string[]): Options {
  const options = readOptions(args)
  if ('message' in options) throw new Error(options.message)
  return options
}

describe('options of the benchmarks', () => {
  test('everything is measured where nothing is named, and no form or draft', () => {
    const { loops, comparisons, designs, comparedDesigns, latencyDesigns } = read()
    expect(loops).toContain('page_fault1')
    expect(loops).not.toContain('munmap_latency')
    expect(comparisons).toEqual(['fault_alone', 'fault_beside_mmap'])
    expect(designs).toEqual(expect.arrayContaining(['mmap-lock', 'vma-lock', 'speculative', 'rcu-fault', 'srcu']))
    for (const other of ['vma-lock-seq', 'srcu-sync', 'srcu-prototype']) expect(designs).not.toContain(other)
    expect(comparedDesigns).toEqual(designs)
    expect(latencyDesigns).toEqual(expect.arrayContaining([...designs, 'srcu-sync']))
  })

  test('--only names loops of all three kinds, or parts of their names', () => {
    expect(read('--only', 'fault_beside_mmap')).toMatchObject({ loops: [], comparisons: ['fault_beside_mmap'], latencyDesigns: [] })
    expect(read('--only', 'munmap_latency,brk1')).toMatchObject({ loops: ['brk1'], comparisons: [] })
    expect(read('--only', 'alone,tlb_flush')).toMatchObject({
      loops: ['tlb_flush1', 'tlb_flush2', 'tlb_flush3'],
      comparisons: ['fault_alone'],
    })
    expect(readOptions(['--only', 'fork1'])).toMatchObject({ code: 2, message: expect.stringContaining("'fork1' is none of") })
  })

  test('--designs brings forms in; drafts run in loops and are compared with nothing', () => {
    expect(read('--designs', 'srcu-sync').comparedDesigns).toEqual(['srcu-sync'])
    const { designs, comparedDesigns } = read('--designs', 'srcu,srcu-prototype')
    expect(designs).toEqual(['srcu-prototype', 'srcu'])
    expect(comparedDesigns).toEqual(['srcu'])
    expect(readOptions(['--designs', 'rcu'])).toMatchObject({ code: 2 })
  })

  test('numbers are above 0, and --quick changes only those that are not given', () => {
    expect(read('--quick', '--rounds', '5')).toMatchObject({ rounds: 5, milliseconds: 60, megabytes: 32 })
    for (const wrong of ['0', '-1', '1.5', 'many']) expect(readOptions(['--rounds', wrong])).toMatchObject({ code: 2 })
    expect(readOptions(['--help'])).toMatchObject({ code: 0, message: expect.stringContaining('fault_beside_mmap') })
  })
})
