// Assumed touches: how many, where, labelled, and behind the orders that their mappings have.
import { expect, test } from 'vitest'
import { openRecording } from '../../src/trace/read.ts'
import { buildProgram } from '../../src/workload/program/build.ts'
import type { Program } from '../../src/workload/program/program.ts'
import { describeProgram, summarizeProgram } from '../../src/workload/program/summary.ts'
import { assumeTouches, parseTouchPolicy } from '../../src/workload/program/touches.ts'
import { example } from '../trace/recorded.ts'
import { linearize, outcomes, programOf } from './replayed.ts'

const CALLS =
  '7 1.000000 mmap(NULL, 16384, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000\n' +
  '7 1.000001 mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000010000\n' +
  '7 1.000002 mprotect(0x7f0000011000, 4096, PROT_READ|PROT_WRITE) = 0\n' +
  '7 1.000003 brk(NULL) = 0x10000\n7 1.000004 brk(0x12000) = 0x12000\n' +
  '7 1.000005 mprotect(0x7f0000011000, 4096, PROT_READ|PROT_WRITE) = 0\n'

const pages = (program: Program): string[] => program.operations.filter(({ assumed }) => assumed).map(({ address }) => address.toString(16))

test('each policy touches what became writable', async () => {
  const program = await programOf(CALLS)
  expect(pages(assumeTouches(program, 'none'))).toEqual([])
  expect(pages(assumeTouches(program, 'first'))).toEqual(['7f0000000000', '7f0000011000', '10000'])
  expect(pages(assumeTouches(program, 'all'))).toEqual([
    '7f0000000000',
    '7f0000001000',
    '7f0000002000',
    '7f0000003000',
    '7f0000011000',
    '10000',
    '11000',
  ])
  expect(pages(assumeTouches(program, 'sample:2'))).toEqual(['7f0000000000', '7f0000002000', '7f0000011000', '10000', '11000'])
  expect(program.operations.some(({ assumed }) => assumed)).toBe(false)
})

test('what waits for a mapping waits for its touches as well', async () => {
  const calls =
    '7 1.000000 clone3({flags=CLONE_VM|CLONE_THREAD}, 88) = 8\n' +
    '7 1.000001 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000\n' +
    '8 1.000002 munmap(0x7f0000000000, 8192) = 0\n'
  const touched = assumeTouches(await programOf(calls), 'all')
  expect(touched.operations.map(({ kind, after }) => [kind, ...after])).toEqual([['mmap'], ['touch'], ['touch'], ['munmap', 2]])
})

test('caps are counted and said', async () => {
  const program = await programOf(CALLS)
  const capped = assumeTouches(program, 'all', { perMapping: 2, total: 4 })
  expect(capped.report).toMatchObject({ assumedTouches: 4, assumedTouchesLeftOut: 3 })
  expect(describeProgram(capped).join('\n')).toContain('4 touches assumed, 3 more left out by the cap')
})

test('policies as users write them', () => {
  expect(['none', 'first', 'all', 'sample:10'].map(parseTouchPolicy)).toEqual(['none', 'first', 'all', 'sample:10'])
  expect(['', 'some', 'sample:0', 'sample:', 'sample:x'].map(parseTouchPolicy)).toEqual(Array(5).fill(undefined))
})

test.each(['threads.strace', 'node.strace', 'gcc.strace'])('%s: indices, orders and outcomes stay sound', async (name) => {
  const program = await buildProgram(await openRecording(example(name)))
  const touched = assumeTouches(program, 'sample:3')
  expect(touched.operations.map(({ index }) => index)).toEqual(touched.operations.map((_, at) => at))
  expect(summarizeProgram(touched).assumed).toBe(touched.report.assumedTouches)
  const kinds = touched.operations.filter(({ assumed }) => !assumed).map(({ kind, address }) => `${kind} ${address}`)
  expect(kinds).toEqual(program.operations.map(({ kind, address }) => `${kind} ${address}`))
  for (const operation of touched.operations) {
    for (const index of operation.after) expect(index).toBeLessThan(operation.index)
    for (const index of operation.races) expect(touched.operations[index]!.races).toContain(operation.index)
  }
  const recorded = outcomes(
    touched,
    touched.operations.map(({ index }) => index),
  )
  expect(recorded.filter((what, at) => touched.operations[at]!.kind === 'touch' && !what.endsWith('true'))).toEqual([])
  let seed = 99
  for (let run = 0; run < 2; run++) {
    const order = linearize(touched, (count) => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
      return (seed >> 8) % count
    })
    expect(outcomes(touched, order)).toEqual(recorded)
  }
})
