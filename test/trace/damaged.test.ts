// Recordings that are cut, damaged, full of noise, or huge: they give what they hold, and say what they do not.
import { readFileSync } from 'node:fs'
import { createGzip, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TraceEvent } from '../../src/trace/events.ts'
import { readRecording } from '../../src/trace/read.ts'
import { describeReading } from '../../src/trace/reading-report.ts'
import { eventsOf, example, linesOf, perf, recordingOf } from './recorded.ts'

const FAULT = 'exceptions:page_fault_user'

describe('cut', () => {
  test('a last line without its end is not believed, but counted', async () => {
    const text = `${perf(7, 7, 1_000_000, FAULT, 'address=0x1000 ip=0x2 error_code=0x6')}${perf(7, 7, 1_000_001, FAULT, 'address=0x2000 ip=0x2 error_code=0x14').slice(0, -2)}`
    const recording = await recordingOf(text)
    expect(await eventsOf(recording)).toHaveLength(1)
    expect(recording.report).toMatchObject({ truncated: true, unread: 1, lines: 2 })
    expect(recording.report.warnings).toEqual(['line 2, the last, has no line end and was taken as cut off'])
  })

  test('a gzip stream gives all lines before the cut', async () => {
    const packed = readFileSync(example('threads.tracepoints.perf-script.gz'))
    const all = linesOf(example('threads.tracepoints.perf-script.gz')).length
    const recording = await recordingOf(packed.subarray(0, packed.length >> 1))
    const events = await eventsOf(recording)
    expect(events.length).toBeGreaterThan(all / 3)
    expect(events.length).toBeLessThan(all)
    expect(recording.report.truncated).toBe(true)
    expect(recording.report.warnings.join()).toContain('the gzip stream is cut off')
    const cutTwice = await recordingOf(packed.subarray(0, packed.length - 4)) // inside the checksum: every line is there
    expect(await eventsOf(cutTwice)).toHaveLength(all)
    expect(cutTwice.report.truncated).toBe(true)
  })

  test('a gzip stream damaged in the middle', async () => {
    const packed = Buffer.from(readFileSync(example('threads.tracepoints.perf-script.gz')))
    packed.fill(0xff, packed.length >> 1, (packed.length >> 1) + 64)
    const recording = await recordingOf(packed)
    expect((await eventsOf(recording)).length).toBeGreaterThan(1000)
    expect(recording.report.truncated).toBe(true)
    expect(recording.report.warnings.join()).toContain('damaged')
  })

  test('several gzip members are one file', async () => {
    const line = (time: number): string => perf(7, 7, time, FAULT, 'address=0x1000 ip=0x2 error_code=0x6')
    const recording = await recordingOf(Buffer.concat([gzipSync(line(1)), gzipSync(line(2))]))
    expect(await eventsOf(recording)).toHaveLength(2)
    expect(recording.report.truncated).toBe(false)
  })
})

test('lines that cannot be read are counted, and the first few kept with their numbers', async () => {
  const good = perf(7, 7, 1, FAULT, 'address=0x1000 ip=0x2 error_code=0x6')
  const bad = perf(7, 7, 2, FAULT, 'address=0x1000 ip=0x2')
  const recording = await recordingOf(good + bad + 'noise\x1b[31m\n'.repeat(8) + good)
  expect(await eventsOf(recording)).toHaveLength(2)
  expect(recording.report).toMatchObject({ unread: 9, lines: 11 })
  expect(recording.report.firstUnread.map(({ line }) => line)).toEqual([2, 3, 4, 5, 6])
  expect(describeReading(recording.report).join('')).not.toContain('\x1b')
})

test('what the recorder lost, and events about other things, are counted', async () => {
  const recording = await recordingOf(
    `${perf(7, 7, 1, FAULT, 'address=0x1000 ip=0x2 error_code=0x6')}${perf(7, 7, 2, 'sched:sched_switch', 'prev_comm=a')}` +
      `${perf(7, 7, 3, 'syscalls:sys_enter_read', 'fd: 0x1, buf: 0x2, count: 0x3')}LOST 17 events!\n` +
      ' prog 7 [000] 0.000001: PERF_RECORD_LOST lost 5\nProcessed 100 events and lost 3 chunks!\n' +
      `${perf(7, 7, 4, FAULT, 'address=fixed_percpu_data ip=0x2 error_code=0x6')}`,
  )
  expect(await eventsOf(recording)).toHaveLength(1)
  expect(recording.report.lost).toBe(25)
  expect(recording.report.unread).toBe(0)
  expect({ ...recording.report.ignored }).toMatchObject({
    'sched:sched_switch': 1,
    'syscalls:sys_enter_read': 1,
    'faults at kernel addresses': 1,
  })
  expect(describeReading(recording.report).join('\n')).toContain('the recorder lost 25 events')
})

test('a name that strace knows and we do not is warned of', async () => {
  const recording = await recordingOf('1 1.000000 mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_SHINY, 3, 0) = 0x1000 <0.1>\n')
  await eventsOf(recording)
  expect(recording.report.warnings).toEqual(['the flag MAP_SHINY is not known and was left out'])
})

// Any damage to any line: never an exception, and every line is either events or counted.
test.each(['threads.tracepoints.perf-script.gz', 'redis.tracepoints.perf-script.gz', 'threads.strace', 'gcc.strace'])(
  '%s, mutated',
  async (name) => {
    const lines = linesOf(example(name)).slice(0, 300)
    const change = fc.record({ at: fc.nat(), from: fc.nat(), length: fc.nat(20), put: fc.string({ maxLength: 12 }), kind: fc.nat(4) })
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 40 }), async (changes) => {
        const copy = [...lines]
        for (const { at, from, length, put, kind } of changes) {
          const index = at % copy.length
          const line = copy[index]!
          const start = from % (line.length + 1)
          if (kind === 0) copy.splice(index, 1)
          else if (kind === 1) copy.splice(index, 0, copy[from % copy.length]!)
          else copy[index] = line.slice(0, start) + put + line.slice(start + length)
        }
        const recording = await recordingOf(`${copy.join('\n')}\n`).catch((error: Error) => {
          expect(error.name).toBe('TraceError')
          return undefined
        })
        if (recording) await eventsOf(recording)
      }),
      { numRuns: 60 },
    )
  },
)

test('200 MB in bounded memory', async () => {
  const block = Buffer.from(
    Array.from({ length: 1000 }, (_, at) =>
      perf(7, 7 + (at % 4), 1_000_000 + at, FAULT, `address=0x7f0000${(at + 4096).toString(16)}000 ip=0x2 error_code=0x6`),
    ).join(''),
  )
  const blocks = Math.ceil(200e6 / block.length)
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < blocks; at++) yield block
  }
  const before = process.memoryUsage().rss
  let most = 0
  let events = 0
  const recording = await readRecording(chunks(), 'large')
  for await (const batch of recording.batches) {
    events += batch.length
    if ((events / 1000) % 100 === 0) most = Math.max(most, process.memoryUsage().rss - before)
  }
  expect(events).toBe(blocks * 1000)
  expect(recording.report.unread).toBe(0)
  expect(most).toBeLessThan(180e6)
}, 30_000)

test('a line without end is cut, not kept', async () => {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(perf(7, 7, 1, FAULT, 'address=0x1000 ip=0x2 error_code=0x6'))
    for (let at = 0; at < 400; at++) yield Buffer.alloc(1 << 16, 'x')
    yield Buffer.from(`\n${perf(7, 7, 2, FAULT, 'address=0x1000 ip=0x2 error_code=0x6')}`)
  }
  const recording = await readRecording(chunks(), 'long')
  const events: TraceEvent[] = await eventsOf(recording)
  expect(events).toHaveLength(2)
  expect(recording.report).toMatchObject({ unread: 1, lines: 3, warnings: ['1 very long lines were cut'] })
})

test('a stream that is compressed while it is read', async () => {
  const gzip = createGzip()
  for (let at = 0; at < 5000; at++) gzip.write(perf(7, 7, at, FAULT, 'address=0x1000 ip=0x2 error_code=0x6'))
  gzip.end()
  const recording = await readRecording(gzip, 'stream')
  expect(await eventsOf(recording)).toHaveLength(5000)
})
