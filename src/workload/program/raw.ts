// What the first pass collects: operations with a beginning and an end on one line of points, and tasks with what the
// recording says about their origin.
import type { EventPlace } from '../../trace/events.ts'
import { createDescriptors, type Descriptors, type FileTable } from './files.ts'
import type { Operation, ProgramReport } from './program.ts'

/** A task as collected. */
export interface RawTask {
  index: number
  tid: number
  /** Thread group id, -1 while no event has said it. */
  pid: number
  name: string
  parent: number
  /** The raw fork operation, -1 for a task that was there before the recording. */
  bornBy: number
  /** CLONE_* flags of its creation, -1 when unknown. */
  flags: number
  /** The system call that made it, '' when not recorded. */
  via: string
  exited: boolean
  /** What its exit said about its group, undefined when nothing. */
  lastOfGroup: boolean | undefined
  /** Where on the line of points it was first seen, and where it first ran another program; -1 for never. */
  firstPoint: number
  execPoint: number
  /** The address space its locks were seen to belong to, before its first exec. '' when not recorded. */
  mm: string
  /** It wrote to pages that were present before it did anything else: copy-on-write after a fork. */
  copies: boolean
  /** It did something to memory. */
  active: boolean
  descriptors: Descriptors
  /** Operation being executed, -1 for none; and the kernel's own writes since the task last ran. */
  open: number
  kernelWrites: number[]
  faulted: boolean
}

/** The whole recording, collected. */
export interface Collected {
  name: string
  tasks: RawTask[]
  operations: Operation[]
  /** Operation × 2, + 1 for its end, in recorded order. A touch has one point. */
  points: number[]
  /**
   * Each operation's beginning and end as indices in `points`, -1 for none, narrowed to where it held mmap_lock when that is
   * recorded. Without an end it never happened, as far as the recording tells.
   */
  starts: number[]
  ends: number[]
  /** The system call behind each fork operation, where recorded. */
  forkCalls: Map<number, string>
  /** Forks whose child was seen before the parent's call returned: they count from their beginning. */
  early: Set<number>
  files: FileTable
  report: ProgramReport
  /** Nothing was lost, and all calls that map memory can be replayed. */
  complete: boolean
}

/** Calls that take mmap_lock for writing. */
export const LOCKING: ReadonlySet<string> = new Set(['mmap', 'munmap', 'mprotect', 'mremap', 'brk'])

/** A collection in progress. */
export interface Collector extends Collected {
  byTid: Map<number, RawTask>
  /** Times of the points, for recordings whose lines tell durations; empty when the order of lines is the order. */
  times: number[]
  timed: boolean
  now: number
  epoch: number
  /** Points between which an operation held mmap_lock for writing. */
  held: Map<number, { from: number; to: number }>
}

/** The task of an event, undefined when it has exited. */
export function liveTask(to: Collector, event: EventPlace): RawTask | undefined {
  const known = to.byTid.get(event.task)
  if (known?.exited) {
    to.report.afterExit++
    return undefined
  }
  return taskOf(to, event)
}

/** The task of an event, made when it is new. */
export function taskOf(to: Collector, event: EventPlace): RawTask {
  let task = to.byTid.get(event.task)
  if (task === undefined) {
    task = addTask(to, event.task, event.process, event.comm)
    task.firstPoint = to.points.length
  }
  if (task.firstPoint < 0) task.firstPoint = to.points.length
  if (event.process >= 0) task.pid = event.process
  if (event.comm !== '') task.name = event.comm
  return task
}

/** A new task; a number that was used before now means this one. */
export function addTask(to: Collector, tid: number, pid: number, name: string): RawTask {
  const task: RawTask = {
    index: to.tasks.length,
    tid,
    pid,
    name,
    parent: -1,
    bornBy: -1,
    flags: -1,
    via: '',
    exited: false,
    lastOfGroup: undefined,
    execPoint: -1,
    firstPoint: -1,
    mm: '',
    copies: false,
    active: false,
    descriptors: createDescriptors(),
    open: -1,
    kernelWrites: [],
    faulted: false,
  }
  to.tasks.push(task)
  to.byTid.set(tid, task)
  return task
}

/** Adds an operation without a place. */
export function addOperation(to: Collector, operation: Operation, time: number): number {
  operation.time = time - to.epoch
  to.starts.push(-1)
  to.ends.push(-1)
  return to.operations.push(operation) - 1
}

/** Adds an operation that begins now. */
export function beginOperation(to: Collector, task: RawTask, operation: Operation, time: number): number {
  const index = addOperation(to, operation, time)
  if (task.firstPoint < 0) task.firstPoint = to.points.length
  addPoint(to, index * 2, time)
  return index
}

/** Adds a point: operation × 2, + 1 for its end. */
export function addPoint(to: Collector, point: number, time: number): void {
  if ((point & 1) === 0) to.starts[point >> 1] = to.points.length
  to.points.push(point)
  if (to.timed) to.times.push(Number.isNaN(time) ? to.now : time)
}
