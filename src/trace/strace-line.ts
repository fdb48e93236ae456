// One line of strace: who, when, and what is said (a call, a call's second half, an exit, a signal).
// Options change the beginning: -f adds the pid, -o drops its brackets, -t -tt -ttt -r give four kinds of time,
// -i and -n put brackets before the call, -Y a name behind the pid.

/** How a line's time was printed; what may be concluded from it differs. */
export type StraceClock = 'none' | 'seconds' | 'microseconds' | 'relative'

/** A line's beginning. */
export interface StracePrefix {
  /** -1 when not printed. */
  pid: number
  comm: string
  /** Microseconds (of the day, of the epoch, or since the line before), NaN when not printed. */
  time: number
  clock: StraceClock
  /** Where the rest begins. */
  at: number
}

const PID = /(?:\[pid\s+(\d+)(?:<([^>]{0,64})>)?\]|(\d{1,8})(?:<([^>]{0,64})>)?(?=\s))\s+/y
const EPOCH = /(\d{9,11})(?:\.(\d{1,9}))?\s+/y
const DAY = /(\d{1,2}):(\d\d):(\d\d)(?:\.(\d{1,9}))?\s+/y
const RELATIVE = /(?:\(\+\s*)?(\d{1,8})\.(\d{3,9})\)?\s+/y
const BRACKETS = /\[\s*[0-9a-f?]{1,16}\]\s+/y

/** Reads the beginning of a line. */
export function readStracePrefix(line: string): StracePrefix {
  let at = 0
  while (line.charCodeAt(at) === 32) at++
  let pid = -1
  let comm = ''
  const who = match(PID, line, at)
  if (who) {
    pid = +(who[1] ?? who[3]!)
    comm = who[2] ?? who[4] ?? ''
    at += who[0].length
  }
  let time = Number.NaN
  let clock: StraceClock = 'none'
  const epoch = match(EPOCH, line, at)
  const day = epoch ? null : match(DAY, line, at)
  if (epoch) {
    time = +epoch[1]! * 1e6 + fraction(epoch[2])
    clock = epoch[2] ? 'microseconds' : 'seconds'
    at += epoch[0].length
  } else if (day) {
    time = (+day[1]! * 3600 + +day[2]! * 60 + +day[3]!) * 1e6 + fraction(day[4])
    clock = day[4] ? 'microseconds' : 'seconds'
    at += day[0].length
  }
  const relative = match(RELATIVE, line, at)
  if (relative) {
    if (clock === 'none') {
      time = +relative[1]! * 1e6 + fraction(relative[2])
      clock = 'relative'
    }
    at += relative[0].length
  }
  for (let bracket = match(BRACKETS, line, at); bracket; bracket = match(BRACKETS, line, at)) at += bracket[0].length
  return { pid, comm, time, clock, at }
}

/** What a line says. */
export type StraceStatement =
  | { kind: 'call' | 'begin' | 'end'; name: string; args: string; tail: string }
  | { kind: 'exited'; text: string }
  | { kind: 'signal'; text: string }
  | { kind: 'superseded'; pid: number }
  | undefined

const CALL = /([a-z_][a-z0-9_]*|syscall_0x[0-9a-f]+)\(/iy
const RESUMED = /<\.\.\. ([a-z_][a-z0-9_]*) resumed>\s?,?/iy
const UNFINISHED = '<unfinished ...>'

/** Reads what stands behind the prefix. Undefined when it is nothing that strace prints. */
export function readStraceStatement(line: string, at: number): StraceStatement {
  if (/^\+\+\+ (exited|killed|superseded) /.test(line.slice(at, at + 16))) {
    const superseded = /^\+\+\+ superseded by execve in pid (\d+)/.exec(line.slice(at, at + 80))
    return superseded ? { kind: 'superseded', pid: +superseded[1]! } : { kind: 'exited', text: line.slice(at + 4, at + 80) }
  }
  if (/^--- (SIG|stopped)/.test(line.slice(at, at + 16))) return { kind: 'signal', text: line.slice(at + 4, at + 80) }
  const resumed = match(RESUMED, line, at)
  if (resumed) {
    const from = at + resumed[0].length
    const close = closingBracket(line, from)
    if (close < 0) return undefined
    return { kind: 'end', name: resumed[1]!, args: line.slice(from, close), tail: line.slice(close + 1) }
  }
  const call = match(CALL, line, at)
  if (!call) return undefined
  const from = at + call[0].length
  const name = call[1]!
  // A killed or exiting task: `futex(0x7f, FUTEX_WAIT, 2, NULL <unfinished ...>) = ?`
  const killed = line.lastIndexOf(`${UNFINISHED})`)
  if (killed >= from && /^\)\s*= \?/.test(line.slice(killed + UNFINISHED.length)))
    return { kind: 'call', name, args: line.slice(from, killed), tail: line.slice(killed + UNFINISHED.length + 1) }
  if (line.trimEnd().endsWith(UNFINISHED)) {
    return { kind: 'begin', name, args: line.slice(from, line.lastIndexOf(UNFINISHED)), tail: '' }
  }
  const close = closingBracket(line, from)
  return close < 0 ? undefined : { kind: 'call', name, args: line.slice(from, close), tail: line.slice(close + 1) }
}

/** A call's result and its time inside. */
export interface StraceResult {
  /** NaN when it failed or is unknown (`?`). */
  value: number
  /** Name of the error, '' when it did not fail. */
  error: string
  /** Microseconds, NaN when not printed. */
  duration: number
}

const RESULT = /^\s*= (?:(\?)(?: (E[A-Z0-9_]+))?|(-?\d+|0x[0-9a-f]+)(?:<[^\n]*?>)?(?=[\s]|$)(?:\s+\/\*.{0,80}?\*\/)?(?:\s+(E[A-Z0-9]+)\b)?)/

/** Reads `= 0x7f… <0.000068>`, `= -1 ENOMEM (Cannot allocate memory)`, `= ?`. Undefined when it is none. */
export function readStraceResult(tail: string): StraceResult | undefined {
  const found = RESULT.exec(tail.slice(0, 4096))
  if (!found) return undefined
  const spent = /<(\d+)\.(\d+)>\s*$/.exec(tail.slice(-40))
  const duration = spent ? +spent[1]! * 1e6 + fraction(spent[2]) : Number.NaN
  if (found[1]) return { value: Number.NaN, error: found[2] ?? '', duration }
  if (found[4]) return { value: Number.NaN, error: found[4], duration }
  const text = found[3]!
  const value = text.startsWith('0x') ? Number.parseInt(text, 16) : +text
  // strace -X raw, and calls it does not know, print -1 with no name
  return value === -1 ? { value: Number.NaN, error: '?', duration } : { value, error: '', duration }
}

/** The place of the bracket that closes the argument list beginning at `from`, or -1. Strings and nested brackets are skipped. */
export function closingBracket(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 34: // "
        at = stringEnd(text, at)
        break
      case 47: // /* a comment */
        if (text.charCodeAt(at + 1) === 42) {
          const end = text.indexOf('*/', at + 2)
          if (end < 0) return -1
          at = end + 1
        }
        break
      case 60: // </a path behind a descriptor>
        at = pathEnd(text, at)
        break
      case 40:
      case 91:
      case 123:
        depth++
        break
      case 41:
        if (depth <= 0) return at
        depth--
        break
      case 93:
      case 125:
        depth--
        break
    }
  }
  return -1
}

/** Splits an argument list at its top-level commas. */
export function splitArguments(text: string): string[] {
  const out: string[] = []
  let depth = 0
  let from = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 34) at = stringEnd(text, at)
    else if (code === 40 || code === 91 || code === 123) depth++
    else if (code === 41 || code === 93 || code === 125) depth--
    else if (code === 44 && depth <= 0) {
      out.push(text.slice(from, at).trim())
      from = at + 1
    } else if (code === 60) at = pathEnd(text, at)
  }
  const last = text.slice(from).trim()
  if (last !== '' || out.length > 0) out.push(last)
  return out
}

function stringEnd(text: string, at: number): number {
  for (at++; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 92) at++
    else if (code === 34) return at
  }
  return at
}

// A descriptor's path follows a digit or AT_FDCWD; `1<<20` is a shift. A path is at most 4096 bytes long, which also bounds
// the search in a line that is full of <.
function pathEnd(text: string, at: number): number {
  const before = text.charCodeAt(at - 1)
  const opens = (before >= 48 && before <= 57) || before === 68
  if (!opens || text.charCodeAt(at + 1) === 60) return at
  const end = text.slice(at, at + 4200).indexOf('>')
  return end < 0 ? at : at + end
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

function fraction(digits: string | undefined): number {
  return digits ? +digits.padEnd(6, '0').slice(0, 6) + (digits.length > 6 ? +digits.slice(6) / 10 ** (digits.length - 6) : 0) : 0
}
