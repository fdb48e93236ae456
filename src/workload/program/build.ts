// A recording becomes a Program: collected, kin found, ordered, completed with what must have been there, numbered.
import { TraceError } from '../../trace/errors.ts'
import type { Recording } from '../../trace/events.ts'
import { warn } from '../../trace/reading-report.ts'
import { collect } from './collect.ts'
import { inferMappings } from './infer.ts'
import { findKin } from './kinship.ts'
import { orderOperations } from './order.ts'
import { NONE, type Operation, type Program, RECORDED_PAGE, type Space } from './program.ts'
import type { Ordered } from './sweep.ts'

/**
 * Reads a recording to its end and builds the program that it shows.
 *
 * Throws TraceError when the recording holds nothing that can be replayed.
 *
 * @example
 * const program = await buildProgram(await openRecording('threads.perf-script.gz'))
 * console.log(describeProgram(program).join('\n'))
 */
export async function buildProgram(recording: Recording): Promise<Program> {
  const from = await collect(recording)
  const kin = findKin(from)
  const ordered = orderOperations(from, kin)
  const { report } = from
  report.racingPairs = ordered.order.racingPairs
  const operations = number(from.operations, ordered, (inferred) => {
    report.inferredMappings += inferred.length
    for (const map of inferred) report.inferredPages += map.length / RECORDED_PAGE
  })
  if (operations.length === 0) throw new TraceError(nothing(recording))
  const index = (raw: number): number => (raw < 0 ? -1 : from.operations[raw]!.index)
  for (const task of kin.tasks) task.startedAfter = index(task.startedAfter)
  for (const process of kin.processes) process.forkedAt = index(process.forkedAt)
  const spaces = ordered.spaces.map(
    (space): Space => ({
      index: space.index,
      process: space.process,
      parent: space.parent,
      madeBy: index(space.madeBy),
      heapStart: space.heapStart,
    }),
  )
  if (report.beginningsOnly > 0 && report.beginningsOnly * 4 > operations.length)
    warn(recording.report, 'many system calls have no recorded result: record the sys_exit_* events as well')
  return { name: from.name, processes: kin.processes, tasks: kin.tasks, spaces, files: from.files.files, operations, report }
}

// Puts the inferred mappings before the first operation of their space, and numbers everything.
function number(raw: Operation[], ordered: Ordered, inferredMappings: (maps: Operation[]) => void): Operation[] {
  const firstIn = new Map<number, number>()
  const firstOf = new Map<number, number>()
  for (const index of ordered.committed) {
    const { space, task } = raw[index]!
    if (!firstIn.has(space)) firstIn.set(space, index)
    if (!firstOf.has(task)) firstOf.set(task, index)
  }
  const out: Operation[] = []
  const lastInferred: (Operation | undefined)[] = []
  for (const index of ordered.committed) {
    const operation = raw[index]!
    const space = ordered.spaces[operation.space]!
    if (firstIn.get(operation.space) === index && (space.model.unknown.size > 0 || space.model.claimed.length > 0)) {
      const maps = inferMappings(space.model, operation.task)
      for (const map of maps) {
        map.space = operation.space
        map.time = operation.time
        map.index = out.push(map) - 1
      }
      inferredMappings(maps)
      lastInferred[operation.space] = maps[maps.length - 1]
      // What the first operation waits for, its inferred mappings wait for as well.
      const [first] = maps
      if (first) first.after = operation.after
    }
    operation.index = out.push(operation) - 1
  }
  const numbers = (list: readonly number[]): number[] => list.map((other) => raw[other]!.index).sort((a, b) => a - b)
  for (const operation of out) {
    const rawIndexes = operation.after
    operation.after = rawIndexes.length > 0 ? numbers(rawIndexes) : NONE
  }
  for (const [index, others] of ordered.order.races) raw[index]!.races = numbers(others)
  // A task that was there before the recording, beside the one that makes the inferred mappings.
  for (const index of firstOf.values()) {
    const operation = raw[index]!
    const map = lastInferred[operation.space]
    if (map && map.task !== operation.task && operation.after.length === 0) operation.after = [map.index]
  }
  return out
}

function nothing(recording: Recording): string {
  const { name, format } = recording.report
  const what =
    format === 'strace'
      ? 'strace -f -ttt -T -e trace=memory,process'
      : 'perf record -e exceptions:page_fault_user -e syscalls:sys_enter_mmap …'
  return `${name} is ${format} output, but holds no page fault or memory system call; record with ${what}`
}
