// `strace -f` output as TraceEvents: joins the halves of interrupted lines, follows clone, fork and exec, and makes one clock
// of strace's several kinds of time.
import { ERRNO } from './errno.ts'
import type { EventPlace, ReadingReport, TraceEvent } from './events.ts'
import { readNumber } from './flags.ts'
import type { LineReader } from './perf-script.ts'
import { countName, countUnread, warn } from './reading-report.ts'
import {
  readStracePrefix,
  readStraceResult,
  readStraceStatement,
  type StracePrefix,
  type StraceResult,
  splitArguments,
} from './strace-line.ts'
import { MEMORY_SYSCALLS, syscallName } from './syscalls.ts'

const DAY = 86_400 * 1e6

// Their flags do not matter here and are not in the table of names.
const FILE_CALLS: ReadonlySet<string> = new Set(['open', 'openat', 'openat2', 'creat', 'memfd_create'])

interface Begun {
  name: string
  args: string
  time: number
}

/** A reader for strace lines. */
export function straceReader(report: ReadingReport): LineReader {
  const begun = new Map<number, Begun>()
  const born = new Set<number>() // tasks that a clone or fork returned
  const clock = straceClock(report)
  const files = new Map<string, string>()
  let main = -1 // the pid behind the lines without one
  let nameless = false

  // Lines of the first task carry no pid until there is a second one; a pid that nobody created is then the first task's own.
  const taskOf = (pid: number): number => {
    if (pid < 0) {
      nameless = true
      return 0
    }
    if (nameless && main < 0 && !born.has(pid)) main = pid
    return pid === main ? 0 : pid
  }
  const unknown = (name: string) => warn(report, `the flag ${name} is not known and was left out`)

  // On a terminal's stream strace's own message may stand in the middle of a call: "SIGCHLDstrace: Process 7 attached".
  let head = ''

  return (text, line, out) => {
    if (text.endsWith(' attached')) {
      const cut = text.lastIndexOf('strace: Process ')
      if (cut >= 0) {
        if (cut > 0) head += text.slice(0, cut)
        countName(report.ignored, 'messages of strace')
        return
      }
    }
    if (head !== '') {
      text = head + text
      head = ''
    }
    const prefix = readStracePrefix(text)
    const said = readStraceStatement(text, prefix.at)
    if (said === undefined) {
      readOther(text, prefix, line, report)
      return
    }
    const task = taskOf(prefix.pid)
    const comm = prefix.comm === '' ? '' : intern(files, prefix.comm)
    const place: EventPlace = { task, process: -1, comm, cpu: -1, time: clock(prefix), line }
    switch (said.kind) {
      case 'signal':
        countName(report.ignored, `signal ${said.text.split(' ')[0]}`)
        return
      case 'exited':
        countName(report.events, 'exited')
        begun.delete(task)
        out.push({ kind: 'exit', ...place, last: undefined })
        return
      case 'superseded': {
        const thread = taskOf(said.pid)
        const call = begun.get(thread)
        if (call) begun.set(task, call)
        begun.delete(thread)
        countName(report.ignored, 'superseded by execve')
        return
      }
    }
    const name = syscallName(said.name)
    if (!MEMORY_SYSCALLS.has(name)) {
      if (said.kind !== 'end') countName(report.ignored, said.name)
      return
    }
    if (said.kind === 'begin') {
      begun.set(task, { name, args: said.args, time: place.time })
      countName(report.events, name)
      pushCall(out, place, 'enter', name, said.args, undefined, unknown, files)
      return
    }
    const result = readStraceResult(said.tail)
    if (result === undefined) {
      countUnread(report, line, text)
      return
    }
    let args = said.args
    if (said.kind === 'end') {
      const first = begun.get(task)
      if (first?.name === name) args = first.args + said.args
      else countName(report.events, name) // its beginning is before the recording
      begun.delete(task)
      pushCall(out, place, 'exit', name, args, result, unknown, files)
    } else {
      countName(report.events, name)
      pushCall(out, place, 'whole', name, args, result, unknown, files)
    }
    if (Number.isNaN(result.value)) return
    // What the parent's call took is over when the child exists: the event stands at the end of a whole call.
    const after = said.kind === 'call' && result.duration > 0 ? { ...place, time: place.time + result.duration } : place
    if ((name === 'clone' || name === 'clone3' || name === 'fork' || name === 'vfork') && result.value > 0) {
      born.add(result.value)
      out.push({ kind: 'fork', ...after, child: taskOf(result.value), childProcess: -1, flags: cloneFlags(name, args, unknown) })
    } else if (name === 'execve' || name === 'execveat') {
      out.push({ kind: 'exec', ...after, path: pathIn(args, files), oldTask: task })
    }
  }
}

function pushCall(
  out: TraceEvent[],
  place: EventPlace,
  phase: 'enter' | 'exit' | 'whole',
  name: string,
  text: string,
  result: StraceResult | undefined,
  unknown: (name: string) => void,
  files: Map<string, string>,
): void {
  const value = result ? result.value : Number.NaN
  const errno = result && result.error !== '' ? (ERRNO[result.error] ?? -1) : 0
  out.push({
    kind: 'syscall',
    ...place,
    phase,
    name,
    args: phase === 'exit' ? [] : callArguments(name, text, unknown),
    result: value,
    errno,
    path: pathIn(text, files),
    duration: result ? result.duration : Number.NaN,
  })
}

function callArguments(name: string, text: string, unknown: (name: string) => void): number[] {
  if (name === 'clone' || name === 'clone3') return [cloneFlags(name, text, unknown)]
  if (name === 'execve' || name === 'execveat' || name === 'fork' || name === 'vfork') return []
  if (FILE_CALLS.has(name)) unknown = () => {}
  const args = splitArguments(text).map((arg) => (arg[0] === '"' ? Number.NaN : readNumber(arg, unknown)))
  return args.length > 8 ? args.slice(0, 8) : args
}

// clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD, …)  clone3({flags=CLONE_VM|…, …}, 88)
function cloneFlags(name: string, text: string, unknown: (name: string) => void): number {
  if (name === 'fork') return 17
  if (name === 'vfork') return 0x4100
  const found = /flags=([^,})]*)/.exec(text)
  if (!found) return -1
  const flags = readNumber(found[1]!.replace(/\bSIG[A-Z0-9]+\b/, '0'), unknown)
  return Number.isNaN(flags) ? -1 : flags
}

// A quoted file name, or the path that strace -y prints behind a descriptor.
function pathIn(text: string, files: Map<string, string>): string {
  const found = /(?:^|[ ,(]|AT_FDCWD(?:<[^>]{0,4096}>)?, )"((?:[^"\\]|\\.){0,4096})"|\b\d{1,7}<([^<>]{1,4096})>/.exec(text.slice(0, 9000))
  return found ? intern(files, found[1] ?? found[2]!) : ''
}

function intern(names: Map<string, string>, name: string): string {
  const known = names.get(name)
  if (known !== undefined) return known
  const copy = Buffer.from(name).toString()
  if (names.size < 100_000) names.set(copy, copy)
  return copy
}

// One clock for the whole file: relative times are summed, times of the day continue after midnight.
function straceClock(report: ReadingReport): (prefix: StracePrefix) => number {
  let now = 0
  let days = 0
  return (prefix) => {
    if (prefix.clock === 'none') return Number.NaN
    if (prefix.clock === 'relative') now += prefix.time
    else {
      if (prefix.time < DAY && prefix.time + days < now - DAY / 2) days += DAY
      if (prefix.time + days < now) warn(report, 'times go backwards: the order of the lines was taken')
      now = prefix.time + days
    }
    if (report.clock !== 'coarse') report.clock = prefix.clock === 'microseconds' ? 'exact' : 'coarse'
    return now
  }
}

function readOther(text: string, prefix: StracePrefix, line: number, report: ReadingReport): void {
  const rest = text.slice(prefix.at, prefix.at + 200)
  if (rest.trim() === '') return
  if (/^(strace: |\[ Process PID=|Process \d+ (attached|detached|suspended|resumed))/.test(rest))
    countName(report.ignored, 'messages of strace')
  else if (/^\s*> \S/.test(rest)) countName(report.ignored, 'call chain lines')
  else if (/^(% time|------|100\.0)/.test(rest)) countName(report.ignored, 'summary of strace -c')
  else countUnread(report, line, text)
}

/** Is this a line of strace? For telling formats apart. */
export function judgeStraceLine(text: string): boolean {
  const prefix = readStracePrefix(text)
  const said = readStraceStatement(text, prefix.at)
  if (said === undefined) return false
  if (said.kind === 'call') return readStraceResult(said.tail) !== undefined
  return said.kind !== 'begin' || prefix.at > 0
}
