// The orders that a program asks for are enough: however its tasks are interleaved within them, each operation that does not race
// finds what it found when it was recorded.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openRecording } from '../../src/trace/read.ts'
import { buildProgram } from '../../src/workload/program/build.ts'
import type { Program } from '../../src/workload/program/program.ts'
import { example } from '../trace/recorded.ts'
import { linearize, outcomes, programOf, Recorder, short } from './replayed.ts'

const FIRST = 0x7f0000000
const PAGES = 24
const MAPPING = -2

function expectSame(program: Program, choose: (count: number) => number): void {
  for (const operation of program.operations) for (const index of operation.after) expect(index).toBeLessThan(operation.index)
  const recorded = outcomes(
    program,
    program.operations.map(({ index }) => index),
  )
  const replayed = outcomes(program, linearize(program, choose))
  // What a race decides, later operations on the same pages find.
  const decided = new Set<number>()
  for (const operation of program.operations) {
    const first = Math.floor(operation.address / 4096)
    const last = Math.ceil((operation.address + operation.length) / 4096)
    if (operation.races.length > 0) for (let page = first; page < last; page++) decided.add(page)
  }
  for (const operation of program.operations) {
    const first = Math.floor(operation.address / 4096)
    const last = Math.ceil((operation.address + operation.length) / 4096)
    if (operation.races.length > 0 || [...decided].some((page) => page >= first && page < last)) continue
    expect(`${operation.index} ${short(operation)}: ${replayed[operation.index]}`).toBe(
      `${operation.index} ${short(operation)}: ${recorded[operation.index]}`,
    )
  }
}

// A program that really ran: threads take steps, each call begins, takes effect and returns at three moments, other steps between.
function record(steps: { task: number; kind: number; page: number; length: number; wait: number }[]): string {
  const recorder = new Recorder().touch(7, 7, 0x1000)
  for (let tid = 8; tid < 11; tid++) recorder.fork(7, 7, tid)
  const prot: number[] = new Array(PAGES).fill(-1)
  const busy = new Map<number, { until: number; finish: () => void }>()
  const finish = (now: number): void => {
    for (const [tid, call] of [...busy].sort((a, b) => a[1].until - b[1].until)) {
      if (call.until > now) continue
      call.finish()
      busy.delete(tid)
    }
  }
  steps.forEach(({ task, kind, page, length, wait }, now) => {
    finish(now)
    const tid = 7 + task
    if (busy.has(tid)) return
    const end = Math.min(PAGES, page + length)
    const address = (FIRST + page) * 4096
    const range = Array.from({ length: end - page }, (_, at) => page + at)
    const call = (name: string, args: number[], result: number): void => {
      recorder.enter(7, tid, name, ...args)
      busy.set(tid, { until: now + wait, finish: () => recorder.leave(7, tid, name, result) })
    }
    const bytes = (end - page) * 4096
    // Nobody knows where a mapping is before the call returns.
    if (range.some((at) => prot[at] === MAPPING)) return
    if (kind === 0 && range.every((at) => prot[at] === -1)) {
      call('mmap', [0, bytes, 3, 0x22, -1, 0], address)
      prot.fill(MAPPING, page, end)
      const returning = busy.get(tid)!
      const leave = returning.finish
      returning.finish = () => {
        prot.fill(3, page, end)
        leave()
      }
    } else if (kind === 1) {
      call('munmap', [address, bytes], 0)
      prot.fill(-1, page, end)
    } else if (kind === 2 && range.every((at) => prot[at] !== -1)) {
      call('mprotect', [address, bytes, length % 2 === 0 ? 1 : 3], 0)
      prot.fill(length % 2 === 0 ? 1 : 3, page, end)
    } else if (kind === 3 && range.every((at) => prot[at] !== -1)) call('madvise', [address, bytes, 4], 0)
    else if (prot[page]! > 0) recorder.touch(7, tid, address, (prot[page]! & 2) !== 0 && length % 3 > 0 ? 6 : 4)
  })
  finish(Number.POSITIVE_INFINITY)
  return recorder.text
}

const steps = fc.array(
  fc.record({ task: fc.nat(3), kind: fc.nat(8), page: fc.nat(PAGES - 1), length: fc.integer({ min: 1, max: 6 }), wait: fc.nat(6) }),
  { minLength: 10, maxLength: 200 },
)

test('programs made at random', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.infiniteStream(fc.nat(1000)), async (taken, random) => {
      const program = await programOf(record(taken))
      expect(program.report).toMatchObject({ missedMappings: 0, missedUnmappings: 0, denied: 0 })
      expectSame(program, (count) => (random.next().value as number) % count)
    }),
    { numRuns: 300 },
  )
})

test('when no two calls overlap, nothing races and nothing is missed', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (taken) => {
      const program = await programOf(record(taken.map((step) => ({ ...step, wait: 0 }))))
      expect(program.report).toMatchObject({ racingPairs: 0, missedMappings: 0, missedUnmappings: 0, denied: 0 })
    }),
    { numRuns: 100 },
  )
})

describe.each(['threads.tracepoints.perf-script.gz', 'redis.tracepoints.perf-script.gz', 'threads.strace', 'node.strace', 'gcc.strace'])(
  '%s',
  (name) => {
    test('in any order that it allows', async () => {
      const program = await buildProgram(await openRecording(example(name)))
      expect(program.operations.map(({ index }) => index)).toEqual(program.operations.map((_, at) => at))
      let seed = 12345
      for (let run = 0; run < 3; run++) {
        expectSame(program, (count) => {
          seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
          return (seed >> 8) % count
        })
      }
    })

    test('the orders are few, and each task keeps its own', async () => {
      const program = await buildProgram(await openRecording(example(name)))
      for (const operation of program.operations) {
        const tasks = operation.after.map((index) => program.operations[index]!.task)
        expect(new Set(tasks).size).toBe(tasks.length)
        expect(tasks).not.toContain(operation.task)
      }
      const edges = program.operations.reduce((sum, { after }) => sum + after.length, 0)
      expect(edges).toBeLessThan(program.operations.length / 4)
    })
  },
)
