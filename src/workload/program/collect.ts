// First pass: events become operations with a beginning and an end on one line of points, and tasks with what the recording
// says about their origin. Nothing is ordered or interpreted yet: a thread is told from a process only when all is read.
import type { EventPlace, FaultEvent, ForkEvent, LockEvent, Recording, SyscallEvent, TraceEvent } from '../../trace/events.ts'
import { callOperation, descriptorCall, isClone, matches } from './call.ts'
import { copyDescriptors, createFiles } from './files.ts'
import { emptyOperation, emptyProgramReport } from './program.ts'
import {
  addOperation,
  addPoint,
  addTask,
  beginOperation,
  type Collected,
  type Collector,
  LOCKING,
  liveTask,
  type RawTask,
  taskOf,
} from './raw.ts'

const CLONE_FILES = 0x400
const CLONE_THREAD = 0x1_0000
const MAP_FIXED = 0x10

/** Consumes a recording. */
export async function collect(recording: Recording): Promise<Collected> {
  const to: Collector = {
    name: recording.report.name,
    tasks: [],
    operations: [],
    points: [],
    starts: [],
    ends: [],
    forkCalls: new Map(),
    early: new Set(),
    files: createFiles(),
    complete: true,
    report: emptyProgramReport(),
    byTid: new Map(),
    times: [],
    timed: recording.report.format === 'strace',
    now: Number.NEGATIVE_INFINITY,
    epoch: Number.NaN,
    held: new Map(),
  }
  for await (const batch of recording.batches) for (const event of batch) take(to, event)
  for (const task of to.tasks) {
    const open = task.open >= 0 ? to.operations[task.open]!.kind : ''
    if (LOCKING.has(open) || open === 'madvise') to.report.beginningsOnly++
  }
  if (to.timed && recording.report.clock === 'exact') sortPoints(to)
  placePoints(to)
  to.complete = recording.report.lost === 0 && Object.keys(to.report.notReplayed).length === 0
  return to
}

function take(to: Collector, event: TraceEvent): void {
  if (!(event.task >= 0)) return
  if (event.time > to.now) to.now = event.time
  if (Number.isNaN(to.epoch)) to.epoch = event.time
  switch (event.kind) {
    case 'fault':
      takeFault(to, event)
      return
    case 'syscall':
      if (event.phase === 'exit') takeReturn(to, event)
      else takeCall(to, event)
      return
    // strace's clone and execve calls say what fork and exec events say
    case 'fork':
      if (!to.timed) takeFork(to, event)
      return
    case 'exec':
      if (!to.timed) takeExec(to, event.oldTask === event.task ? taskOf(to, event) : renameTask(to, event), event)
      return
    case 'exit':
      takeExit(to, to.byTid.get(event.task), event.time, event.last)
      return
    case 'lock':
      takeLock(to, event)
      return
  }
}

function takeFault(to: Collector, event: FaultEvent): void {
  const task = liveTask(to, event)
  if (!task) return
  if (event.user) endUnfinished(to, task)
  const touch = emptyOperation('touch', task.index)
  touch.address = event.address
  touch.length = 1
  touch.write = event.write
  touch.exec = event.exec
  touch.user = event.user
  touch.present = event.present
  if (event.write && event.present && task.bornBy >= 0 && task.execPoint < 0) task.copies = true
  if (event.user || !event.write) task.kernelWrites.length = 0
  else task.kernelWrites.push(to.operations.length)
  task.faulted = task.active = true
  addPoint(to, addOperation(to, touch, event.time) * 2, event.time)
}

function takeCall(to: Collector, event: SyscallEvent): void {
  const task = liveTask(to, event)
  if (!task) return
  endUnfinished(to, task)
  task.faulted = false
  if (event.name !== 'execve' && event.name !== 'execveat') task.active = true
  task.kernelWrites.length = 0
  const operation = callOperation(to, task, event)
  if (operation === undefined) {
    descriptorCall(task, event)
    return
  }
  task.open = beginOperation(to, task, operation, event.time)
  if (operation.kind === 'fork') to.forkCalls.set(task.open, event.name)
  if (event.phase === 'whole') finishCall(to, task, event, event.time + Math.max(0, event.duration || 0))
}

function takeReturn(to: Collector, event: SyscallEvent): void {
  const task = liveTask(to, event)
  if (!task) return
  if (task.open >= 0 && matches(to.operations[task.open]!, event.name)) finishCall(to, task, event, event.time)
  else if (isClone(event.name)) {
    // The child's own return is 0; its parent's names the child, in case nothing else does.
    if (event.result > 0 && !to.byTid.has(event.result)) takeFork(to, forkEvent(event, event.time))
  } else if (event.name.startsWith('execve')) {
    if (to.timed && event.result === 0) takeExec(to, task, event) // begun by another thread
  } else if (LOCKING.has(event.name) || event.name === 'madvise') to.report.endsOnly++
  else descriptorCall(task, event)
}

function finishCall(to: Collector, task: RawTask, event: SyscallEvent, time: number): void {
  const index = task.open
  const operation = to.operations[index]!
  operation.errno = event.errno
  operation.duration = event.duration >= 0 ? event.duration : time - to.epoch - operation.time
  if (operation.kind === 'fork') {
    if (event.result > 0 && operation.childTask < 0) takeFork(to, forkEvent(event, time))
    else if (event.errno !== 0) addPoint(to, index * 2 + 1, time)
    task.open = -1
    return
  }
  if (operation.kind === 'exec') {
    // Without an exec event before it, the call's return is all there is.
    if (event.errno !== 0) task.open = -1
    else if (event.result === 0) takeExec(to, task, { ...event, time })
    return
  }
  task.open = -1
  operation.result = event.result
  if (operation.kind === 'mmap' && event.result >= 0) operation.address = event.result
  if (Number.isNaN(event.result) && event.errno === 0) return void to.report.beginningsOnly++ // `= ?`: killed inside
  addPoint(to, index * 2 + 1, time)
}

function forkEvent(event: SyscallEvent, time: number): ForkEvent {
  const { task, process, comm, cpu, line } = event
  return { kind: 'fork', task, process, comm, cpu, line, time, child: event.result, childProcess: -1, flags: -1 }
}

// A call that never returns in the recording, because returns of its kind are not recorded or that one was lost: it ends when
// its task goes on. Where the result is needed and missing, it cannot be used.
function endUnfinished(to: Collector, task: RawTask): void {
  const index = task.open
  if (index < 0) return
  const operation = to.operations[index]!
  task.open = -1
  if (operation.kind === 'fork' || operation.kind === 'exec') return
  const fixed = operation.kind === 'mmap' && (operation.flags & MAP_FIXED) !== 0
  if (!fixed && (operation.kind === 'mmap' || operation.kind === 'mremap' || operation.kind === 'brk')) {
    to.report.beginningsOnly++
    return
  }
  to.report.unknownResults++
  addPoint(to, index * 2 + 1, to.now)
}

function takeFork(to: Collector, event: ForkEvent): void {
  const parent = taskOf(to, event)
  const open = parent.open >= 0 && to.operations[parent.open]!.kind === 'fork' ? parent.open : -1
  const known = to.byTid.get(event.child)
  if (known && !known.exited && known.parent === parent.index && (known.firstPoint < 0 || known.bornBy === open)) {
    // The same birth, told by another tracepoint.
    if (event.flags >= 0) known.flags = event.flags
    if (event.childProcess >= 0) known.pid = event.childProcess
    return
  }
  const begun = open >= 0 && to.operations[open]!.childTask < 0
  const early = begun && known !== undefined && !known.exited && known.bornBy < 0 && known.firstPoint >= to.starts[open]!
  const child = early ? known : addTask(to, event.child, event.childProcess, parent.name)
  const index = begun ? open : beginOperation(to, parent, emptyOperation('fork', parent.index), event.time)
  const operation = to.operations[index]!
  if (!begun) operation.flags = -1
  operation.childTask = child.index
  if (early) to.early.add(index)
  child.parent = parent.index
  child.bornBy = index
  child.flags = event.flags >= 0 ? event.flags : operation.flags
  child.via = to.forkCalls.get(index) ?? ''
  const shares = child.flags >= 0 && (child.flags & (CLONE_FILES | CLONE_THREAD)) !== 0
  if (!early) child.descriptors = shares ? parent.descriptors : copyDescriptors(parent.descriptors)
  addPoint(to, index * 2 + 1, event.time)
}

function takeExec(to: Collector, task: RawTask, event: EventPlace): void {
  const open = task.open >= 0 && to.operations[task.open]!.kind === 'exec' ? task.open : -1
  const index = open >= 0 ? open : beginOperation(to, task, emptyOperation('exec', task.index), event.time)
  task.open = -1
  if (task.execPoint < 0) task.execPoint = to.points.length
  task.active = true
  addPoint(to, index * 2 + 1, event.time)
  // The loader fills the new stack and data before the event is recorded. Those writes belong to the new program.
  for (const write of task.kernelWrites) {
    to.points[to.starts[write]!] = -1
    addPoint(to, write * 2, event.time)
  }
  task.kernelWrites.length = 0
}

function takeExit(to: Collector, task: RawTask | undefined, time: number, last: boolean | undefined): void {
  if (!task || task.exited) return
  endUnfinished(to, task)
  task.exited = true
  task.lastOfGroup = last
  addPoint(to, beginOperation(to, task, emptyOperation('exit', task.index), time) * 2 + 1, time)
}

// exec by a thread that is not the leader: it takes over the leader's number.
function renameTask(to: Collector, event: EventPlace & { oldTask: number }): RawTask {
  const thread = to.byTid.get(event.oldTask)
  if (!thread) return taskOf(to, event)
  const leader = to.byTid.get(event.task)
  if (leader !== thread) takeExit(to, leader, event.time, false)
  to.byTid.delete(event.oldTask)
  to.byTid.set(event.task, thread)
  thread.tid = event.task
  return thread
}

// What waits for mmap_lock does not overlap with its holder: an operation is narrowed to where it held the lock.
function takeLock(to: Collector, event: LockEvent): void {
  const task = to.byTid.get(event.task)
  if (!task || task.exited || !event.success || event.action === 'start') return
  const kind = task.open >= 0 ? to.operations[task.open]!.kind : ''
  const changes = LOCKING.has(kind)
  if (task.mm === '' && task.execPoint < 0 && (changes || kind === 'madvise' || (kind === '' && task.faulted))) task.mm = event.mm
  if (!changes) return
  const held = to.held.get(task.open)
  if (held === undefined && event.action === 'acquired' && event.write) {
    to.held.set(task.open, { from: to.points.length - 0.5, to: -1 })
  } else if (held !== undefined && event.action === 'released') held.to = to.points.length - 0.5
}

// strace prints a call that no other line interrupts as one line, at its beginning. Where the lines of several tasks were merged
// afterwards, such calls may still overlap: their ends are put where their times say.
function sortPoints(to: Collector): void {
  let sorted = true
  for (let at = 1; at < to.times.length && sorted; at++) sorted = to.times[at]! >= to.times[at - 1]!
  if (sorted) return
  const order = Uint32Array.from(to.times, (_, at) => at)
  order.sort((a, b) => to.times[a]! - to.times[b]! || a - b)
  to.points = Array.from(order, (at) => to.points[at]!)
}

function placePoints(to: Collector): void {
  for (const task of to.tasks) task.firstPoint = task.execPoint = -1
  to.starts.fill(-1)
  to.ends.fill(-1)
  for (let at = 0; at < to.points.length; at++) {
    const point = to.points[at]!
    if (point < 0) continue
    const index = point >> 1
    const operation = to.operations[index]!
    const task = to.tasks[operation.task]!
    if (task.firstPoint < 0) task.firstPoint = at
    if ((point & 1) === 0) to.starts[index] = at
    if ((point & 1) === 1 || operation.kind === 'touch') to.ends[index] = at
    if ((point & 1) === 1 && operation.kind === 'exec' && task.execPoint < 0) task.execPoint = at
  }
  for (const [index, held] of to.held) {
    if (to.ends[index]! < 0 || held.to < held.from) continue
    to.starts[index] = held.from
    to.ends[index] = held.to
  }
}
