// The fields that `perf script` prints before an event's own text:
//   COMM PID/TID [CPU] MISC SECONDS.FRACTION: PERIOD SYSTEM:EVENT: text
// Which of them are there depends on -F; a command name may hold spaces, colons, slashes and digits. So the line is
// anchored on the time (or, without one, on the event name) and read backwards from there.

/** One line's fields; an object is reused from line to line. */
export interface PerfLine {
  comm: string
  /** -1 when not printed. A single number in the line is the thread's. */
  task: number
  process: number
  cpu: number
  /** Microseconds, NaN when not printed. */
  time: number
  /** Event with its system where printed, without the colon at the end. */
  event: string
  /** Where the event's own text begins. */
  textAt: number
}

/** An empty {@link PerfLine}. */
export function createPerfLine(): PerfLine {
  return { comm: '', task: -1, process: -1, cpu: -1, time: Number.NaN, event: '', textAt: 0 }
}

const SPACE = 32
const COLON = 58
const SEARCHED = 400 // no command name and column layout is wider
const CANDIDATES = 24

/** Reads `line` into `out`; false when it is not an event line. Linear in the first few hundred characters. */
export function readPerfLine(line: string, out: PerfLine): boolean {
  const limit = Math.min(line.length, SEARCHED)
  let at = 0
  for (let tried = 0; tried < CANDIDATES; tried++) {
    at = line.indexOf(':', at)
    if (at < 0 || at >= limit) break
    if (line.charCodeAt(at + 1) === SPACE && isTime(line, at) && readAfterTime(line, at, out)) return true
    at++
  }
  return readWithoutTime(line, limit, out)
}

// Is `line[..colon]` ended by a number with six or nine decimals that begins a field?
function isTime(line: string, colon: number): boolean {
  let at = colon - 1
  while (at >= 0 && isDigit(line.charCodeAt(at))) at--
  const decimals = colon - 1 - at
  if ((decimals !== 6 && decimals !== 9) || line.charCodeAt(at) !== 46) return false
  const point = at--
  while (at >= 0 && isDigit(line.charCodeAt(at))) at--
  return at < point - 1 && (at < 0 || line.charCodeAt(at) === SPACE)
}

function readAfterTime(line: string, colon: number, out: PerfLine): boolean {
  const from = line.lastIndexOf(' ', colon) + 1
  const point = line.lastIndexOf('.', colon)
  // Seconds and fraction apart: their sum in microseconds is exact, a parsed decimal times a million is not.
  const fraction = +line.slice(point + 1, colon)
  const time = +line.slice(from, point) * 1e6 + (colon - point === 10 ? fraction / 1000 : fraction)
  let at = skipSpaces(line, colon + 1)
  let end = tokenEnd(line, at)
  if (isNumber(line, at, end)) {
    at = skipSpaces(line, end) // the sample period
    end = tokenEnd(line, at)
  }
  if (!readEventName(line, at, end, out) || !readTaskBefore(line, from, out)) return false
  out.time = time
  return true
}

// Without a time the event is the first word with a colon at its end that follows a CPU or a task id.
function readWithoutTime(line: string, limit: number, out: PerfLine): boolean {
  let at = skipSpaces(line, 0)
  while (at < limit) {
    const end = tokenEnd(line, at)
    if (line.charCodeAt(end - 1) === COLON && at > 0 && readEventName(line, at, end, out) && readTaskBefore(line, at, out)) {
      out.time = Number.NaN
      return true
    }
    at = skipSpaces(line, end)
  }
  return false
}

function readEventName(line: string, from: number, end: number, out: PerfLine): boolean {
  // `name:` and a text, or `name:text` in one word where perf pads nothing.
  let nameEnd = end
  if (line.charCodeAt(end - 1) === COLON) nameEnd = end - 1
  else if (!line.startsWith('PERF_RECORD_', from)) return false
  if (nameEnd <= from || nameEnd - from > 120) return false
  for (let at = from; at < nameEnd; at++) if (line.charCodeAt(at) < 33) return false
  const first = line.charCodeAt(from) | 32
  if ((first < 97 || first > 122) && line.charCodeAt(from) !== 95) return false
  out.event = line.slice(from, nameEnd)
  out.textAt = skipSpaces(line, Math.min(end + 1, line.length))
  if (line.charCodeAt(end - 1) !== COLON) {
    const colon = out.event.search(/[(: ]/)
    out.textAt = from + (colon < 0 ? out.event.length : colon)
    if (colon >= 0) out.event = out.event.slice(0, colon)
  }
  return true
}

// Backwards from `end`: [CPU] and the letters of -F misc, which may be absent, then PID/TID or TID, then the name.
function readTaskBefore(line: string, end: number, out: PerfLine): boolean {
  out.cpu = -1
  for (let words = 0; words < 4; words++) {
    while (end > 0 && line.charCodeAt(end - 1) === SPACE) end--
    if (end === 0) return false
    const from = line.lastIndexOf(' ', end - 1) + 1
    const slash = line.indexOf('/', from)
    if (slash > from && slash < end && isId(line, from, slash) && isId(line, slash + 1, end)) {
      out.process = +line.slice(from, slash)
      out.task = +line.slice(slash + 1, end)
      out.comm = line.slice(0, from).trim()
      return true
    }
    if (isId(line, from, end)) {
      // A lone number is the thread (perf's default); its process is not recorded.
      out.process = -1
      out.task = +line.slice(from, end)
      out.comm = line.slice(0, from).trim()
      return true
    }
    const open = line.charCodeAt(from) === 91 ? from : -1
    if (open >= 0 && line.charCodeAt(end - 1) === 93 && isNumber(line, from + 1, end - 1)) out.cpu = +line.slice(from + 1, end - 1)
    else if (end - from > 5) return false
    end = from
  }
  return false
}

function isId(line: string, from: number, end: number): boolean {
  return isNumber(line, line.charCodeAt(from) === 45 ? from + 1 : from, end)
}

function isNumber(line: string, from: number, end: number): boolean {
  if (from >= end || end - from > 15) return false
  for (let at = from; at < end; at++) if (!isDigit(line.charCodeAt(at))) return false
  return true
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}

function skipSpaces(line: string, at: number): number {
  while (line.charCodeAt(at) === SPACE) at++
  return at
}

function tokenEnd(line: string, at: number): number {
  const end = line.indexOf(' ', at)
  return end < 0 ? line.length : end
}
