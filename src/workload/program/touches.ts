// A recording of system calls has no touches. These are assumed ones, by a stated policy and labelled as assumed: what they cost
// is a property of the policy, never the recorded program's own rate.

import { applyMapped, createMapped, type Mapped } from './mapped.ts'
import { changedPages } from './model.ts'
import { emptyOperation, type Operation, type Program, RECORDED_PAGE } from './program.ts'
import { visitRanges } from './ranges.ts'

const WRITE = 2

/**
 * Which pages of memory that becomes writable are written once, by the task that made it so, right afterwards: `none`, the
 * `first` page, `all`, or `sample:N`, N pages spread evenly.
 */
export type TouchPolicy = 'none' | 'first' | 'all' | `sample:${number}`

/** Bounds of {@link assumeTouches}. */
export interface TouchLimits {
  /** Pages of one mapping. Default 16,384 (64 MiB). */
  perMapping?: number
  /** Touches in all. Default 2,000,000. */
  total?: number
}

/** Reads a policy as a user writes it; undefined when it is none. */
export function parseTouchPolicy(text: string): TouchPolicy | undefined {
  if (text === 'none' || text === 'first' || text === 'all') return text
  return /^sample:[1-9]\d{0,6}$/.test(text) ? (text as TouchPolicy) : undefined
}

/**
 * A copy of the program with assumed touches. What the limits keep out is counted in the report. Only private and shared
 * memory that the recorded call made writable is touched: mmap with PROT_WRITE, brk that grows, mprotect that adds PROT_WRITE.
 */
export function assumeTouches(program: Program, policy: TouchPolicy, limits: TouchLimits = {}): Program {
  const perMapping = limits.perMapping ?? 16_384
  const total = limits.total ?? 2_000_000
  const report = { ...program.report }
  const mapped = createMapped(program)
  const out: Operation[] = []
  const place = new Int32Array(program.operations.length) // new index of each old one
  const behind = new Int32Array(program.operations.length) // its last touch, or itself
  for (const operation of program.operations) {
    const writable = policy === 'none' ? [] : madeWritable(mapped, operation)
    applyMapped(mapped, operation)
    const copy = { ...operation, index: out.length }
    place[operation.index] = behind[operation.index] = out.push(copy) - 1
    for (const [start, end] of writable) {
      const wanted = pagesOf(policy, start, end)
      const room = Math.min(perMapping, total - report.assumedTouches)
      const pages = Math.max(0, Math.min(wanted.count, room))
      report.assumedTouchesLeftOut += wanted.count - pages
      report.assumedTouches += pages
      for (let at = 0; at < pages; at++) {
        const touch = emptyOperation('touch', operation.task)
        touch.index = out.length
        touch.space = operation.space
        touch.address = wanted.page(at) * RECORDED_PAGE
        touch.length = 1
        touch.write = touch.user = touch.assumed = true
        touch.time = operation.time
        touch.races = operation.races // what overlapped with the mapping may overlap with its touches
        behind[operation.index] = out.push(touch) - 1
      }
    }
  }
  // Whatever had to come behind a mapping comes behind its touches as well.
  for (const operation of out) {
    if (operation.after.length > 0) operation.after = operation.after.map((index) => behind[index]!)
    if (operation.races.length > 0) operation.races = operation.races.flatMap((index) => range(place[index]!, behind[index]!))
  }
  const startedAfter = (index: number): number => (index < 0 ? -1 : behind[index]!)
  return {
    ...program,
    operations: out,
    report,
    tasks: program.tasks.map((task) => ({ ...task, startedAfter: startedAfter(task.startedAfter) })),
    processes: program.processes.map((process) => ({ ...process, forkedAt: process.forkedAt < 0 ? -1 : place[process.forkedAt]! })),
    spaces: program.spaces.map((space) => ({ ...space, madeBy: space.madeBy < 0 ? -1 : place[space.madeBy]! })),
  }
}

// The page ranges that this operation makes writable and that were not before.
function madeWritable(mapped: Mapped, operation: Operation): [number, number][] {
  const { kind, prot } = operation
  if (operation.errno !== 0 || operation.inferred) return []
  if (kind === 'mmap') return (prot & WRITE) !== 0 ? changedPages(operation) : []
  if (kind === 'brk') return operation.length > 0 ? changedPages(operation) : []
  if (kind !== 'mprotect' || (prot & WRITE) === 0) return []
  const out: [number, number][] = []
  const [range] = changedPages(operation)
  if (range) {
    visitRanges(mapped.spaces[operation.space]!, range[0], range[1], (from, to, before) => {
      if (before === undefined || (before & WRITE) !== 0) return
      const last = out[out.length - 1]
      if (last && last[1] === from) last[1] = to
      else out.push([from, to])
    })
  }
  return out
}

function pagesOf(policy: TouchPolicy, start: number, end: number): { count: number; page: (at: number) => number } {
  const size = end - start
  if (size <= 0 || policy === 'none') return { count: 0, page: () => start }
  if (policy === 'first') return { count: 1, page: () => start }
  if (policy === 'all') return { count: size, page: (at) => start + at }
  const count = Math.min(size, Number(policy.slice('sample:'.length)))
  return { count, page: (at) => start + Math.floor((at * size) / count) }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at)
}
