// Threads, processes and vfork children: which task shares its parent's memory? Flags say it where they are recorded;
// otherwise process ids, the address space that its locks name, copy-on-write faults, and how it exits.
import type { Process, Task } from './program.ts'
import type { Collected, RawTask } from './raw.ts'

const CLONE_VM = 0x100
const CLONE_THREAD = 0x1_0000

/** How a task came to its memory. */
export type Kinship = 'thread' | 'vfork' | 'fork' | 'there before'

/** The tasks and processes of a program, and each task's kinship. */
export interface Kin {
  tasks: Task[]
  processes: Process[]
  kinship: Kinship[]
}

/** Decides for each collected task. Tasks that do nothing with memory (kernel threads, idle CPUs) belong to process -1. */
export function findKin(from: Collected): Kin {
  const { tasks: raw, report } = from
  const kinship: Kinship[] = []
  const processes: Process[] = []
  const tasks: Task[] = []
  const byPid = new Map<number, number>()
  const byMm = new Map<string, number>()
  let unexplained = 0 // the first task without an origin is no guess
  const laterPoint = parentPoints(from)
  for (const task of raw) {
    const parent = task.parent >= 0 ? tasks[task.parent]! : undefined
    let kind: Kinship = parent ? kinOf(task, raw[task.parent]!, laterPoint) : 'there before'
    let process = -1
    if (parent && parent.process < 0) kind = 'there before' // a kernel thread's child
    if (task.active) {
      if (kind === 'thread') process = parent!.process
      else if (kind === 'there before') {
        const same = task.pid >= 0 ? byPid.get(task.pid) : task.mm !== '' ? byMm.get(task.mm) : undefined
        if (same !== undefined) process = same
        else if (task.pid < 0 && task.mm === '' && unexplained++ > 0) report.guessedTasks++
      } else if (guessed(task, raw[task.parent]!)) report.guessedTasks++
      if (process < 0) {
        process = processes.length
        const forkedFrom = parent && parent.process >= 0 ? parent.process : -1
        const pid = task.pid >= 0 ? task.pid : task.tid
        processes.push({ index: process, pid, name: task.name, parent: forkedFrom, forkedAt: -1, tasks: [] })
      }
      processes[process]!.tasks.push(task.index)
      if (task.pid >= 0) byPid.set(task.pid, process)
      if (task.mm !== '' && kind === 'there before') byMm.set(task.mm, process)
    }
    kinship.push(kind)
    tasks.push({ index: task.index, tid: task.tid, process, name: task.name, parent: task.parent, startedAfter: -1 })
  }
  return { tasks, processes, kinship }
}

function kinOf(task: RawTask, parent: RawTask, laterPoint: (task: RawTask) => number): Kinship {
  if (task.flags >= 0) {
    if ((task.flags & CLONE_THREAD) !== 0) return 'thread'
    return (task.flags & CLONE_VM) !== 0 ? 'vfork' : 'fork'
  }
  const grouped = task.pid >= 0 && parent.pid >= 0
  if (grouped && task.pid === parent.pid && task.tid !== task.pid) return 'thread'
  if (task.mm !== '' && parent.mm !== '') return task.mm !== parent.mm ? 'fork' : grouped || task.execPoint >= 0 ? 'vfork' : 'thread'
  if (task.via === 'vfork') return 'vfork'
  if (task.via === 'fork' || task.copies) return 'fork'
  // A vfork child, or posix_spawn's: its parent stood still until it ran its program.
  if (task.execPoint >= 0 && laterPoint(task) > task.execPoint) return 'vfork'
  if (grouped || task.execPoint >= 0) return 'fork'
  return task.via === 'clone3' || task.lastOfGroup === false || task.active ? 'thread' : 'fork'
}

function guessed(task: RawTask, parent: RawTask): boolean {
  return (
    task.flags < 0 &&
    (task.pid < 0 || parent.pid < 0) &&
    (task.mm === '' || parent.mm === '') &&
    task.via !== 'vfork' &&
    task.via !== 'fork'
  )
}

// When did the parent go on after it had made this task?
function parentPoints(from: Collected): (task: RawTask) => number {
  const points: number[][] = from.tasks.map(() => [])
  for (let at = 0; at < from.points.length; at++) {
    const point = from.points[at]!
    if (point >= 0) points[from.operations[point >> 1]!.task]!.push(at)
  }
  return (task) => {
    const born = from.ends[task.bornBy]!
    const own = points[task.parent]!
    let low = 0
    let high = own.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (own[middle]! <= born) low = middle + 1
      else high = middle
    }
    return low < own.length ? own[low]! : Number.POSITIVE_INFINITY
  }
}
