// `perf script` output of tracepoints: each line's event and text as TraceEvents.
// The line's fields are read by perf-line.ts; what the text of each tracepoint says is read here.
import type { EventPlace, ReadingReport, TraceEvent } from './events.ts'
import { readHex, readInteger, readNumber } from './flags.ts'
import { createPerfLine, type PerfLine, readPerfLine } from './perf-line.ts'
import { countName, countUnread, warn } from './reading-report.ts'
import { MEMORY_SYSCALLS, syscallName, X86_64_SYSCALLS } from './syscalls.ts'

/** Turns lines into events; `line` counts from 1. Appends to `out`, counts in the report. */
export type LineReader = (text: string, line: number, out: TraceEvent[]) => void

/** A reader for `perf script` lines. */
export function perfScriptReader(report: ReadingReport): LineReader {
  const fields = createPerfLine()
  let latest = 0
  const names = new Map<string, string>() // one copy of each command name, not a slice of every chunk
  return (text, line, out) => {
    if (readPerfLine(text, fields)) {
      if (fields.time < latest) warn(report, 'times go backwards: the order of the lines was taken')
      if (!Number.isNaN(fields.time) && fields.event !== 'PERF_RECORD_FORK') {
        report.clock = 'exact'
        latest = fields.time
      }
      const event = readEvent(text, fields, placeOf(fields, line, names), report)
      if (event === undefined) countUnread(report, line, text)
      else if (typeof event === 'string') countName(report.ignored, event)
      else {
        countName(report.events, fields.event)
        out.push(event)
      }
      return
    }
    readOther(text, line, report)
  }
}

/** Is this a line of `perf script`, and does its event say something about memory? For telling formats apart. */
export function judgePerfLine(text: string): { event: string; tracepoint: boolean } | undefined {
  const fields = createPerfLine()
  if (!readPerfLine(text, fields)) return undefined
  return { event: fields.event, tracepoint: /^[a-z_0-9-]+:[a-z_0-9]+$/i.test(fields.event) || BARE_TRACEPOINT.test(fields.event) }
}

const BARE_TRACEPOINT = /^(page_fault_(user|kernel)|sys_(enter|exit)_[a-z0-9_]+|mmap_lock_\w+|tlb_flush|sched_\w+)$/

function placeOf(fields: PerfLine, line: number, names: Map<string, string>): EventPlace {
  let comm = names.get(fields.comm)
  if (comm === undefined) {
    comm = Buffer.from(fields.comm).toString()
    if (names.size < 100_000) names.set(comm, comm)
  }
  return { task: fields.task, process: fields.process, comm, cpu: fields.cpu, time: fields.time, line }
}

// An event, the name to count an ignored one under, or undefined when the text is not what the tracepoint prints.
function readEvent(text: string, fields: PerfLine, place: EventPlace, report: ReadingReport): TraceEvent | string | undefined {
  const { event, textAt } = fields
  const name = event.slice(event.indexOf(':') + 1)
  if (name === 'page_fault_user' || name === 'page_fault_kernel') return readFault(text, textAt, place, name)
  if (name.startsWith('sys_')) return readSyscall(text, textAt, place, name, event, report)
  if (name.startsWith('mmap_lock_')) return readLock(text, textAt, place, name)
  switch (name) {
    case 'tlb_flush': {
      const pages = /pages:(-?\d+) reason:(.*)/.exec(text.slice(textAt, textAt + 200))
      return pages ? { kind: 'flush', ...place, pages: +pages[1]!, reason: pages[2]!.trim() } : undefined
    }
    case 'sched_process_fork': {
      const child = numberAfter(text, textAt, 'child_pid=')
      return Number.isNaN(child) ? undefined : { kind: 'fork', ...place, child, childProcess: -1, flags: -1 }
    }
    case 'task_newtask': {
      const child = numberAfter(text, textAt, 'pid=')
      const flags = /clone_flags=(?:0x)?([0-9a-f]+)/.exec(text.slice(textAt))
      return Number.isNaN(child) || !flags
        ? undefined
        : { kind: 'fork', ...place, child, childProcess: -1, flags: readHex(flags[1]!, 0, flags[1]!.length) }
    }
    case 'sched_process_exec': {
      const end = text.lastIndexOf(' pid=')
      const oldTask = numberAfter(text, textAt, 'old_pid=')
      if (end < textAt || Number.isNaN(oldTask)) return undefined
      return { kind: 'exec', ...place, path: text.slice(textAt, end).replace(/^filename=/, ''), oldTask }
    }
    case 'sched_process_exit': {
      const dead = /group_dead=(\w+)/.exec(text.slice(textAt))
      return { kind: 'exit', ...place, last: dead ? dead[1] === 'true' || dead[1] === '1' : undefined }
    }
    case 'PERF_RECORD_FORK': {
      const ids = /\((\d+):(\d+)\):\((\d+):(\d+)\)/.exec(text.slice(textAt, textAt + 100))
      if (!ids) return undefined
      if (!(place.time > 0)) return 'PERF_RECORD_FORK of tasks that were there before'
      return { kind: 'fork', ...place, task: +ids[4]!, process: +ids[3]!, child: +ids[2]!, childProcess: +ids[1]!, flags: -1 }
    }
    case 'PERF_RECORD_LOST':
    case 'PERF_RECORD_LOST_SAMPLES': {
      const lost = /lost (?:samples )?(\d+)/.exec(text)
      report.lost += lost ? +lost[1]! : 1
      return event
    }
    default:
      return event
  }
}

// address=0x7f00d18efb70 ip=elf_load error_code=0x14. A kernel address is printed as a symbol.
function readFault(text: string, from: number, place: EventPlace, name: string): TraceEvent | string | undefined {
  const at = text.indexOf('address=', from)
  const code = text.indexOf('error_code=', from)
  if (at < 0 || code < 0) return undefined
  const bits = readInteger(word(text, code + 11))
  if (Number.isNaN(bits)) return undefined
  const address = readInteger(word(text, at + 8))
  if (Number.isNaN(address) || address < 0) return 'faults at kernel addresses'
  return {
    kind: 'fault',
    ...place,
    address,
    write: (bits & 2) !== 0,
    exec: (bits & 16) !== 0,
    user: name === 'page_fault_user',
    present: (bits & 1) !== 0,
  }
}

function readSyscall(text: string, from: number, place: EventPlace, name: string, event: string, report: ReadingReport) {
  const enter = name.startsWith('sys_enter')
  if (name === 'sys_enter' || name === 'sys_exit') return readRawSyscall(text, from, place, enter, report)
  const call = syscallName(name.slice(enter ? 10 : 9).replace(/^new/, ''))
  if (!MEMORY_SYSCALLS.has(call)) return event
  if (!enter) return exitEvent(place, call, readInteger(word(text, from)))
  const args: number[] = []
  const field = /[a-z_]\w*: ?([^,\s]+)(?:,|$|\s)/giy
  field.lastIndex = from
  for (let found = field.exec(text); found && args.length < 8; found = field.exec(text)) {
    args.push(readNumber(found[1]!))
    while (text.charCodeAt(field.lastIndex) === 32) field.lastIndex++
  }
  return enterEvent(place, call, args)
}

// NR 9 (0, 2000, 3, 22, ffffffff, 0)  and  NR 9 = 140236…
function readRawSyscall(text: string, from: number, place: EventPlace, enter: boolean, report: ReadingReport) {
  const found = /^NR (-?\d+) (?:\(([0-9a-f, ]*)\)|= (-?\d+|0x[0-9a-f]+))/.exec(text.slice(from, from + 300))
  if (!found) return undefined
  const name = X86_64_SYSCALLS.get(+found[1]!)
  if (name === undefined) return `raw_syscalls ${found[1]}`
  warn(report, 'raw_syscalls carry numbers without names: they were taken for those of x86_64')
  if (!enter) return exitEvent(place, name, +(found[3] ?? Number.NaN))
  return enterEvent(
    place,
    name,
    (found[2] ?? '').split(',').map((arg) => readHex(arg.trim(), 0, arg.trim().length)),
  )
}

function enterEvent(place: EventPlace, name: string, args: number[]): TraceEvent | undefined {
  if (name === 'mmap') {
    if (args.length < 4) return undefined
    if (args[4] === 0xffff_ffff) args[4] = -1
  } else if ((name === 'munmap' || name === 'madvise' || name === 'mprotect' || name === 'mremap') && args.length < 2) return undefined
  const nothing = Number.NaN
  return { kind: 'syscall', ...place, phase: 'enter', name, args, result: nothing, errno: 0, path: '', duration: nothing }
}

function exitEvent(place: EventPlace, name: string, value: number): TraceEvent | undefined {
  if (Number.isNaN(value)) return undefined
  const failed = value < 0 && value >= -4095
  const result = failed ? Number.NaN : value
  const errno = failed ? -value : 0
  return { kind: 'syscall', ...place, phase: 'exit', name, args: [], result, errno, path: '', duration: Number.NaN }
}

function readLock(text: string, from: number, place: EventPlace, name: string): TraceEvent | undefined {
  const mm = /mm=(\S+)/.exec(text.slice(from, from + 200))
  if (!mm) return undefined
  const action = name === 'mmap_lock_released' ? 'released' : name === 'mmap_lock_start_locking' ? 'start' : 'acquired'
  const write = text.includes('write=true', from)
  return { kind: 'lock', ...place, action, mm: mm[1]!, write, success: !text.includes('success=false', from) }
}

// Lines between events: blank, comments, call chains, and what perf says about losses.
function readOther(text: string, line: number, report: ReadingReport): void {
  if (/^\s*$/.test(text)) return
  const lost = /\blost (\d+) (?:events?|chunks?|samples?)\b|\[LOST (\d+) EVENTS?\]/i.exec(text.slice(0, 400))
  if (lost) {
    report.lost += +(lost[1] ?? lost[2] ?? 0)
    countName(report.ignored, 'lines about lost events')
  } else if (text.startsWith('#')) countName(report.ignored, 'comments')
  else if (/^\s+[0-9a-f]+ \S/.test(text.slice(0, 100))) countName(report.ignored, 'call chain lines')
  else if (/^(Warning:|Check IO\/CPU overload!)/.test(text)) countName(report.ignored, 'warnings of perf')
  else countUnread(report, line, text)
}

function word(text: string, from: number): string {
  while (text.charCodeAt(from) === 32) from++
  let end = text.indexOf(' ', from)
  if (end < 0) end = text.length
  if (text.charCodeAt(end - 1) === 44) end--
  return text.slice(from, end)
}

// The number behind the last `key`: a command name before it may contain the key as well.
function numberAfter(text: string, from: number, key: string): number {
  const at = text.lastIndexOf(key)
  if (at < from) return Number.NaN
  const digits = /^-?\d+/.exec(text.slice(at + key.length, at + key.length + 20))
  return digits ? +digits[0] : Number.NaN
}
