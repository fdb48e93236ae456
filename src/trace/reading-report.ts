// Counting what a reader read, and saying it in plain lines. Nothing that a file holds is dropped without a count.
import type { ReadingReport, RecordingFormat } from './events.ts'

const KEPT_UNREAD = 5
const KEPT_TEXT = 160
const KEPT_WARNINGS = 20
const KEPT_NAMES = 1000

/** An empty report. */
export function createReport(name: string, format: RecordingFormat, gzip: boolean): ReadingReport {
  return {
    name,
    format,
    gzip,
    bytes: 0,
    lines: 0,
    clock: 'none',
    events: Object.create(null),
    ignored: Object.create(null),
    unread: 0,
    firstUnread: [],
    lost: 0,
    truncated: false,
    warnings: [],
  }
}

/** Counts one occurrence of `name`; a file of a million different names is summed under one after the first thousand. */
export function countName(counts: Record<string, number>, name: string): void {
  const known = counts[name]
  if (known !== undefined) counts[name] = known + 1
  else if (Object.keys(counts).length < KEPT_NAMES) counts[name.slice(0, KEPT_TEXT)] = 1
  else counts['(other names)'] = (counts['(other names)'] ?? 0) + 1
}

/** Counts a line that could not be read and keeps the first few. */
export function countUnread(report: ReadingReport, line: number, text: string): void {
  report.unread++
  if (report.firstUnread.length < KEPT_UNREAD) report.firstUnread.push({ line, text: printable(text) })
}

/** Adds a warning once. */
export function warn(report: ReadingReport, text: string): void {
  if (report.warnings.length < KEPT_WARNINGS && !report.warnings.includes(text)) report.warnings.push(text)
}

/** The report as lines for a terminal; the first says what was read, the others what was not. */
export function describeReading(report: ReadingReport): string[] {
  const events = Object.values(report.events).reduce((sum, count) => sum + count, 0)
  const out = [`${report.name}: ${report.format}${report.gzip ? ', gzip' : ''}, ${report.lines} lines, ${events} events`]
  const ignored = Object.entries(report.ignored).sort((a, b) => b[1] - a[1])
  if (ignored.length > 0) {
    const shown = ignored.slice(0, 8).map(([name, count]) => `${name} ${count}`)
    if (ignored.length > 8) shown.push(`and ${ignored.length - 8} more kinds`)
    out.push(`not about memory, left out: ${shown.join(', ')}`)
  }
  if (report.lost > 0) out.push(`the recorder lost ${report.lost} events: what follows from them is missing or inferred`)
  if (report.truncated) out.push('the file is cut off: what it holds up to there was read')
  if (report.unread > 0) {
    out.push(`${report.unread} ${report.unread === 1 ? 'line' : 'lines'} could not be read, the first:`)
    for (const { line, text } of report.firstUnread) out.push(`  line ${line}: ${text}`)
  }
  return out.concat(report.warnings)
}

/** Text of unknown origin, safe for a terminal. */
export function printable(text: string): string {
  let out = ''
  for (const char of text.slice(0, KEPT_TEXT)) {
    const code = char.codePointAt(0)!
    out += code < 32 || (code >= 127 && code < 160) ? '·' : char
  }
  return text.length > KEPT_TEXT ? `${out}…` : out
}
