// Reading a recording: bytes, lines, format, events. The entry of this directory.
import { DETECTED_LINES, detectFormat, refuseBinary } from './detect.ts'
import { TraceError } from './errors.ts'
import type { ReadingReport, Recording, TraceEvent } from './events.ts'
import { cutLines, type LineState } from './lines.ts'
import { perfScriptReader } from './perf-script.ts'
import { countUnread, createReport, warn } from './reading-report.ts'
import { type ByteSource, byteSource, openSource } from './source.ts'
import { straceReader } from './strace.ts'

/**
 * Opens a recording: `perf script` output of tracepoints or `strace -f -ttt -T` output, plain or gzip; both are detected.
 * The file is read while the events are consumed, in bounded memory.
 *
 * Throws {@link TraceError} when the file is missing, empty, a directory, or of another kind.
 *
 * @example
 * const recording = await openRecording('redis.perf-script.gz')
 * for await (const event of recording.events) if (event.kind === 'fault') console.log(event.task, event.address)
 * console.log(describeReading(recording.report).join('\n'))
 */
export async function openRecording(path: string): Promise<Recording> {
  return readSource(await openSource(path))
}

/** The same for a stream of bytes, standard input for example; `name` is used in messages. */
export async function readRecording(chunks: AsyncIterable<Uint8Array>, name: string): Promise<Recording> {
  return readSource(await byteSource(name, chunks))
}

async function readSource(source: ByteSource): Promise<Recording> {
  const state: LineState = { bytes: 0, cut: 0, open: false }
  const pieces = cutLines(checked(source), state)[Symbol.asyncIterator]()
  // The lines that tell the format, held until the events are asked for.
  const head: string[][] = []
  let count = 0
  while (count < DETECTED_LINES) {
    const next = await pieces.next()
    if (next.done) break
    head.push(next.value)
    count += next.value.length
  }
  const first = head
    .flat()
    .slice(0, DETECTED_LINES)
    .filter((line) => line.trim() !== '')
  if (first.length === 0)
    throw new TraceError(source.damage() ? `${source.name}: ${source.damage()} before its first line` : `${source.name} is empty`)
  const report = createReport(source.name, detectFormat(source.name, first), source.gzip)
  const batches = readEvents(source, head, pieces, state, report)
  return { report, batches, events: flatten(batches) }
}

// Binary content is refused before it is cut into lines, also inside gzip.
async function* checked(source: ByteSource): AsyncGenerator<Uint8Array> {
  let looked = false
  for await (const chunk of source.chunks) {
    if (!looked && chunk.length > 0) {
      refuseBinary(source.name, chunk)
      looked = true
    }
    yield chunk
  }
}

async function* readEvents(
  source: ByteSource,
  head: string[][],
  pieces: AsyncIterator<string[]>,
  state: LineState,
  report: ReadingReport,
): AsyncGenerator<TraceEvent[]> {
  const read = report.format === 'strace' ? straceReader(report) : perfScriptReader(report)
  let held: string | undefined // the last line so far: it is judged differently when the file ends in it
  try {
    for (;;) {
      const lines = head.length > 0 ? head.shift()! : await nextLines(pieces)
      report.bytes = state.bytes
      if (lines === undefined) break
      const events: TraceEvent[] = []
      for (const line of lines) {
        if (held !== undefined) read(held, ++report.lines, events)
        held = line
      }
      if (events.length > 0) yield events
    }
  } finally {
    await pieces.return?.()
  }
  const last: TraceEvent[] = []
  if (held !== undefined) readLast(held, read, state, source, report, last)
  if (source.damage() !== '') {
    report.truncated = true
    warn(report, `${source.damage()}: what it held up to there was read`)
  }
  if (state.cut > 0) warn(report, `${state.cut} very long lines were cut`)
  if (last.length > 0) yield last
}

// A last line without a line feed may be cut in the middle: a number in it may lack digits. It is not used, but counted.
// A file whose writer merely left out the last line feed loses one line by this, and is told so.
function readLast(
  line: string,
  read: (text: string, line: number, out: TraceEvent[]) => void,
  state: LineState,
  source: ByteSource,
  report: ReadingReport,
  out: TraceEvent[],
): void {
  report.lines++
  if (!state.open && source.damage() === '') read(line, report.lines, out)
  else if (!state.open) read(line, report.lines, out)
  else {
    report.truncated = true
    countUnread(report, report.lines, line)
    warn(report, `line ${report.lines}, the last, has no line end and was taken as cut off`)
  }
}

async function nextLines(pieces: AsyncIterator<string[]>): Promise<string[] | undefined> {
  const next = await pieces.next()
  return next.done ? undefined : next.value
}

async function* flatten(batches: AsyncIterable<TraceEvent[]>): AsyncGenerator<TraceEvent> {
  for await (const batch of batches) yield* batch
}
