// What kind of recording is this? Told from the first lines. A file of another kind gets one sentence that names it and
// says what would be right.

import { TraceError } from './errors.ts'
import type { RecordingFormat } from './events.ts'
import { judgePerfLine } from './perf-script.ts'
import { judgeStraceLine } from './strace.ts'

/** Lines looked at. */
export const DETECTED_LINES = 400

const RIGHT = 'gracewalk run reads `perf script` output of tracepoints or `strace -f -ttt -T` output'

/** Throws TraceError when the first bytes are a kind of file that has no lines to look at. */
export function refuseBinary(name: string, head: Uint8Array): void {
  const text = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, 4096)).toString('latin1')
  const magic = BINARIES.find(([start]) => text.startsWith(start))
  if (magic) throw new TraceError(`${name} is ${magic[1]}`)
  if (text.includes('\0')) throw new TraceError(`${name} is a binary file of an unknown kind; ${RIGHT}`)
}

const BINARIES: [string, string][] = [
  ['PERFILE2', 'a binary perf.data file; turn it into text first: perf script -i FILE > FILE.txt'],
  ['2ELIFREP', 'a binary perf.data file; turn it into text first: perf script -i FILE > FILE.txt'],
  ['\x17\x08\x44tracing', 'a binary trace.dat of trace-cmd; record with `perf record` and give the output of `perf script`'],
  ['\x7fELF', `an ELF program or library, not a recording of one; ${RIGHT}`],
  ['\x28\xb5\x2f\xfd', 'compressed with zstd; decompress it first (only gzip is read directly)'],
  ['\xfd7zXZ', 'compressed with xz; decompress it first (only gzip is read directly)'],
  ['BZh', 'compressed with bzip2; decompress it first (only gzip is read directly)'],
  ['PK\x03\x04', 'a zip archive; unpack it first'],
  ['\xff\xfe', 'UTF-16 text; save it as UTF-8 or ASCII'],
  ['\xfe\xff', 'UTF-16 text; save it as UTF-8 or ASCII'],
]

/** The format of a recording that begins with `lines`. Throws TraceError for anything else. */
export function detectFormat(name: string, lines: string[]): RecordingFormat {
  let perf = 0
  let tracepoints = 0
  let samples = ''
  let strace = 0
  let textless = 0
  for (const line of lines) {
    const event = judgePerfLine(line)
    if (event && !OTHER_KINDS.some(([pattern]) => pattern.test(line))) {
      perf++
      if (event.tracepoint) tracepoints++
      else if (!event.event.startsWith('PERF_RECORD_')) samples = event.event
      if (event.tracepoint && line.trimEnd().endsWith(`${event.event}:`)) textless++
    } else if (judgeStraceLine(line)) strace++
  }
  if (tracepoints > 0 && tracepoints >= strace) {
    if (textless === tracepoints)
      throw new TraceError(
        `${name} is perf script output without the events' text; add \`trace\` to the fields: perf script -F comm,pid,tid,cpu,time,event,trace`,
      )
    return 'perf script'
  }
  const other = OTHER_KINDS.find(
    ([pattern]) => lines.filter((line) => pattern.test(line)).length >= Math.max(1, Math.min(3, lines.length / 4)),
  )
  if (strace > 0 && (!other || strace * 2 > lines.length)) return 'strace'
  // A stray line of prose may look like a sample: most lines must.
  if (samples !== '' && perf * 2 > lines.length) throw new TraceError(samplesMessage(name, samples))
  if (other) throw new TraceError(`${name} is ${other[1]}; ${RIGHT}`)
  if (perf * 2 > lines.length) return 'perf script'
  throw new TraceError(`${name} is not a recording that gracewalk knows; ${RIGHT}`)
}

function samplesMessage(name: string, event: string): string {
  const record = 'perf record -e exceptions:page_fault_user -e syscalls:sys_enter_mmap … then perf script'
  if (/fault/.test(event))
    return `${name} is perf samples of ${event}, which do not tell reads from writes; record the tracepoints: ${record}`
  return `${name} is perf samples of ${event.slice(0, 60)}, which say nothing about memory mappings; record the tracepoints: ${record}`
}

// Patterns of a line, and what a file of such lines is.
const OTHER_KINDS: [RegExp, string][] = [
  [/^==\d+== (Lackey|Using Valgrind)|^(I | S| L| M)\s+[0-9a-f]{6,16},\d+\s*$/, 'valgrind lackey output'],
  [/^==\d+== /, 'valgrind output'],
  [/^\s*(\d+\.\d+|\?) \(\s*([\d.]+ ms)?\s*\): /, '`perf trace` output'],
  [/^(Size|Rss|Pss|KernelPageSize|Private_Dirty|VmFlags):\s+/, 'a /proc/PID/smaps snapshot, which has no events'],
  [/^[0-9a-f]{6,16}-[0-9a-f]{6,16} [r-][w-][x-][ps] [0-9a-f]{8,} /, 'a /proc/PID/maps snapshot, which has no events'],
  [
    /^[0-9a-f]{6,16} (default|bind|prefer|interleave|local|weighted)\S*( \S+=|$| heap| stack)/,
    'a /proc/PID/numa_maps snapshot, which has no events',
  ],
  [/^(Attaching \d+ probes?\.\.\.|\d{6,} \d+ \d+ (fault|mmap|munmap|mprotect|brk|madvise|enter|exit)\b)/, 'output of a bpftrace script'],
  [/^# tracer: |^\s*\S.{0,15}-\d+\s+(\(\s*\S+\)\s+)?\[\d{3}\] (\S{4,6} )?\s*\d+\.\d+: \w+: /, 'ftrace or trace-cmd text'],
  [/^# (Overhead|Samples|Total Lost Samples)|^\s*\d+\.\d+%\s+\S/, 'a `perf report`, a summary without single events'],
  [/Performance counter stats for/, '`perf stat` output, a summary without single events'],
  [/^\s*\[?(pid \d+\] )?\S*\d* ?[A-Za-z_]\w*->\w+\(/, 'ltrace output'],
  [/^\s*(#(include|define)\b|\/\/ |\/\* |int main\b|static \w|import .* from |export (const|function) )/, 'source code'],
  [/^\s*[{[]\s*("|$|\{)|^\s*"[^"]*"\s*:/, 'JSON'],
  [/^(#{1,6} [A-Z]|```|[*-] \S|\| )/, 'Markdown text'],
  [/^\s*<(!doctype|html|\?xml)/i, 'HTML or XML'],
]
