// The shipped recordings, counted once by the readers and once by patterns that know nothing of them.
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { TraceEvent } from '../../src/trace/events.ts'
import { openRecording } from '../../src/trace/read.ts'
import { describeReading } from '../../src/trace/reading-report.ts'
import { eventsOf, example, linesOf, recordingOf } from './recorded.ts'

const PERF = ['threads.tracepoints.perf-script.gz', 'redis.tracepoints.perf-script.gz']
const STRACE = ['threads.strace', 'node.strace', 'gcc.strace']

describe.each(PERF)('%s', (name) => {
  test('each tracepoint is counted as often as it is printed', async () => {
    const counts: Record<string, number> = {}
    for (const line of linesOf(example(name))) {
      const event = /\s([a-z_]+:[a-z_0-9]+): /.exec(line)![1]!
      counts[event] = (counts[event] ?? 0) + 1
    }
    const recording = await openRecording(example(name))
    const events = await eventsOf(recording)
    expect({ ...recording.report.events }).toEqual(counts)
    expect(events.length).toBe(linesOf(example(name)).length)
    expect(recording.report).toMatchObject({ format: 'perf script', gzip: true, unread: 0, lost: 0, truncated: false, warnings: [] })
  })

  test('each fault has the address, access and task of its line', async () => {
    const expected = linesOf(example(name))
      .map((line) => /(\d+)\/(\d+)\s.*page_fault_(\w+): address=0x([0-9a-f]+) .*error_code=0x([0-9a-f]+)/.exec(line))
      .filter((found) => found !== null)
      .map(([, process, task, mode, address, code]) => {
        const bits = Number.parseInt(code!, 16)
        return [+process!, +task!, mode === 'user', Number.parseInt(address!, 16), (bits & 2) > 0, (bits & 16) > 0, (bits & 1) > 0]
      })
    const events = await eventsOf(await openRecording(example(name)))
    const faults = events.filter((event) => event.kind === 'fault')
    expect(faults.map((f) => [f.process, f.task, f.user, f.address, f.write, f.exec, f.present])).toEqual(expected)
  })
})

describe.each(STRACE)('%s', (name) => {
  test('each call, half and exit is counted once', async () => {
    const lines = linesOf(example(name))
    const whole = (pattern: RegExp): number => lines.filter((line) => pattern.test(line)).length
    const recording = await openRecording(example(name))
    const events = await eventsOf(recording)
    for (const call of ['mmap', 'munmap', 'mprotect', 'madvise', 'brk', 'execve', 'clone3', 'vfork']) {
      expect([call, recording.report.events[call] ?? 0]).toEqual([call, whole(new RegExp(`\\s${call}\\(`))])
    }
    const phase = (which: string): number => events.filter((event) => event.kind === 'syscall' && event.phase === which).length
    expect(phase('enter')).toBe(whole(/<unfinished \.\.\.>$/))
    expect(phase('exit')).toBe(whole(/ resumed>/))
    expect(events.filter((event) => event.kind === 'exit').length).toBe(whole(/\+\+\+ exited/))
    expect(recording.report).toMatchObject({ format: 'strace', unread: 0, truncated: false, clock: 'exact', warnings: [] })
  })

  test('each returned address is exact', async () => {
    const expected = linesOf(example(name))
      .map((line) => /(?:mmap\(.*|mmap resumed>)\)\s*= 0x([0-9a-f]+)/.exec(line))
      .filter((found) => found !== null)
      .map((found) => Number.parseInt(found[1]!, 16))
    const events = await eventsOf(await openRecording(example(name)))
    const returned = (event: TraceEvent): boolean => event.kind === 'syscall' && event.name === 'mmap' && event.phase !== 'enter'
    expect(events.filter(returned).map((event) => (event as { result: number }).result)).toEqual(expected)
  })
})

test('a call in two halves is one call: its flags and paths come from both', async () => {
  const events = await eventsOf(
    await recordingOf(
      '7 1.000000 clone3({flags=CLONE_VM|CLONE_THREAD, stack=0x1} <unfinished ...>\n8 1.000001 brk(NULL) = 0x5000\n' +
        '7 1.000002 <... clone3 resumed> => {parent_tid=[8]}, 88) = 8\n8 1.000003 execve("/bin/a,b", ["a"], 0x1 <unfinished ...>\n' +
        '8 1.000004 <... execve resumed>) = 0\n',
    ),
  )
  expect(events.find(({ kind }) => kind === 'fork')).toMatchObject({ task: 7, child: 8, flags: 0x10100 })
  expect(events.find(({ kind }) => kind === 'exec')).toMatchObject({ task: 8, path: '/bin/a,b' })
})

test('compression is told by content, and makes no difference', async () => {
  const text = `${linesOf(example('gcc.strace')).join('\n')}\n`
  const plain = await recordingOf(text)
  const packed = await recordingOf(gzipSync(text))
  expect(await eventsOf(packed)).toEqual(await eventsOf(plain))
  expect([plain.report.gzip, packed.report.gzip]).toEqual([false, true])
  expect(packed.report.bytes).toBe(Buffer.byteLength(text))
})

test('the size of the pieces makes no difference', async () => {
  const text = `${linesOf(example('gcc.strace')).join('\r\n')}\r\n`
  const whole = await eventsOf(await recordingOf(text))
  for (const size of [1, 7, 333]) expect(await eventsOf(await recordingOf(text, size))).toEqual(whole)
})

test('the report in lines', async () => {
  const recording = await openRecording(example('gcc.strace'))
  await eventsOf(recording)
  expect(describeReading(recording.report)[0]).toMatch(/gcc\.strace: strace, 180 lines, 174 events$/)
  expect(describeReading(recording.report)[1]).toBe('not about memory, left out: signal SIGCHLD 2')
})
