// A program in a few numbers and lines: how much of what, how many pages, which part of the address range.

import { applyMapped, createMapped } from './mapped.ts'
import { changedPages } from './model.ts'
import { type OperationKind, type Program, RECORDED_PAGE } from './program.ts'

/** Pages that one window of the machine's address table spans: 512 GiB of 4 KiB pages. */
export const SLOT_PAGES = 2 ** 27

/** A program in numbers. */
export interface ProgramSummary {
  processes: number
  tasks: number
  spaces: number
  operations: number
  byKind: Record<OperationKind, number>
  /** Touches that write, and that fetch instructions; by the kernel; not allowed; assumed. */
  writes: number
  fetches: number
  kernelTouches: number
  denied: number
  assumed: number
  /** Operations that wait for another task's, and how many waits in all. */
  waiting: number
  edges: number
  /** Different pages touched, each address space's own. */
  pagesTouched: number
  /** Most pages mapped at one time, in all address spaces together. */
  peakMappedPages: number
  /** Microseconds from the first to the last operation, NaN without times. */
  span: number
  /** Lowest and highest address used, NaN without any. */
  lowest: number
  highest: number
}

/** Counts a program. */
export function summarizeProgram(program: Program): ProgramSummary {
  const nothing = Number.NaN
  const out: ProgramSummary = {
    processes: program.processes.length,
    tasks: program.tasks.filter((task) => task.process >= 0).length,
    spaces: program.spaces.length,
    operations: program.operations.length,
    byKind: { mmap: 0, munmap: 0, mprotect: 0, madvise: 0, mremap: 0, brk: 0, touch: 0, fork: 0, exec: 0, exit: 0 },
    writes: 0,
    fetches: 0,
    kernelTouches: 0,
    denied: 0,
    assumed: 0,
    waiting: 0,
    edges: 0,
    pagesTouched: 0,
    peakMappedPages: 0,
    span: nothing,
    lowest: nothing,
    highest: nothing,
  }
  const mapped = createMapped(program)
  const touched = program.spaces.map(() => new Set<number>())
  let first = nothing
  let last = nothing
  let pages = 0
  for (const operation of program.operations) {
    out.byKind[operation.kind]++
    if (operation.after.length > 0) out.waiting++
    out.edges += operation.after.length
    if (!(first <= operation.time)) first = operation.time
    if (!(last >= operation.time)) last = operation.time
    if (operation.kind === 'touch') {
      if (operation.write) out.writes++
      if (operation.exec) out.fetches++
      if (!operation.user) out.kernelTouches++
      if (operation.denied) out.denied++
      if (operation.assumed) out.assumed++
      touched[operation.space]!.add(Math.floor(operation.address / RECORDED_PAGE))
      widen(out, operation.address, operation.address + 1)
      continue
    }
    if (operation.errno === 0) for (const [start, end] of changedPages(operation)) widen(out, start * RECORDED_PAGE, end * RECORDED_PAGE)
    const before = mapped.pages[operation.space]!
    applyMapped(mapped, operation)
    pages += mapped.pages[operation.space]! - before
    if (operation.kind === 'fork' && operation.child >= 0) pages += mapped.pages[operation.child]!
    if (pages > out.peakMappedPages) out.peakMappedPages = pages
  }
  for (const set of touched) out.pagesTouched += set.size
  out.span = last - first
  return out
}

/**
 * The windows of 2^27 pages that a program's addresses fall into, ascending, when a page is `1 << pageShift` bytes. With one
 * recorded page made one larger page, give 12: page numbers stay what they are.
 */
export function slotsUsed(program: Program, pageShift = 12): number[] {
  const slot = SLOT_PAGES * 2 ** pageShift
  const used = new Set<number>()
  for (const operation of program.operations) {
    if (operation.errno > 0) continue
    if (operation.kind === 'touch') used.add(Math.floor(operation.address / slot))
    else {
      for (const [start, end] of changedPages(operation)) {
        const from = Math.floor((start * RECORDED_PAGE) / slot)
        const to = Math.floor((end * RECORDED_PAGE - 1) / slot)
        for (let at = from; at <= to && at - from < 100_000; at++) used.add(at)
      }
    }
  }
  return [...used].sort((a, b) => a - b)
}

/** What was built, and what had to be assumed, as lines for a terminal. */
export function describeProgram(program: Program): string[] {
  const sum = summarizeProgram(program)
  const { report } = program
  const kinds = Object.entries(sum.byKind).filter(([, count]) => count > 0)
  const span = sum.span >= 0 ? `, ${(sum.span / 1e6).toFixed(3)} s recorded` : ''
  const out = [
    `${plural(sum.processes, 'process', 'processes')}, ${plural(sum.tasks, 'task')}, ${plural(sum.operations, 'operation')}${span}`,
    kinds.map(([kind, count]) => `${kind} ${count}`).join(', '),
    `${plural(sum.pagesTouched, 'page')} touched, at most ${plural(sum.peakMappedPages, 'page')} mapped; ${sum.edges} orders across tasks kept`,
  ]
  const say = (count: number, text: string): void => void (count > 0 && out.push(text))
  say(
    report.inferredMappings,
    `inferred ${plural(report.inferredMappings, 'mapping')}, ${plural(report.inferredPages, 'page')}: exec or earlier calls made them`,
  )
  say(
    report.missedMappings,
    `inferred ${plural(report.missedMappings, 'mapping')} in the middle: used after it was unmapped, so a call is missing`,
  )
  say(report.missedUnmappings, `inferred ${plural(report.missedUnmappings, 'unmapping')} in the middle: mapped again while mapped`)
  say(
    report.beginningsOnly + report.endsOnly,
    `${plural(report.beginningsOnly + report.endsOnly, 'system call')} recorded only in part: left out`,
  )
  say(report.unknownResults, `${plural(report.unknownResults, 'system call')} without a recorded result: taken as successful`)
  say(report.failed, `${plural(report.failed, 'failed call')}, of which ${report.repeatable} must fail again`)
  say(report.denied, `${plural(report.denied, 'touch', 'touches')} that the mapping did not allow: SIGSEGV is expected`)
  say(report.racingPairs, `${plural(report.racingPairs, 'pair')} of operations overlapped without a proven order`)
  say(report.guessedTasks, `${plural(report.guessedTasks, 'task')} guessed to be threads or processes: record with -F +pid,+tid`)
  say(report.afterExit, `${plural(report.afterExit, 'event')} of tasks that had exited: left out`)
  for (const [name, count] of Object.entries(report.notReplayed)) out.push(`${name} is not replayed: ${plural(count, 'call')}`)
  if (report.assumedTouches > 0 || report.assumedTouchesLeftOut > 0)
    out.push(`${plural(report.assumedTouches, 'touch', 'touches')} assumed, ${report.assumedTouchesLeftOut} more left out by the cap`)
  const guesses = program.files.filter((file) => file.identity === 'guess').length
  say(guesses, `${plural(guesses, 'file')} told apart only by descriptor numbers: trace with strace -y for their names`)
  return out
}

function widen(out: ProgramSummary, start: number, end: number): void {
  if (!(out.lowest <= start)) out.lowest = start
  if (!(out.highest >= end)) out.highest = end
}

function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
