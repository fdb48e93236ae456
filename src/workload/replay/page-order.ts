// When several recorded pages share a machine page, operations of different tasks meet that the recording need not order. Where
// what one of them maps is used by the other, the recorded order is kept: each touch waits for the last change of its page, each
// change for what went before.

import { createRanges, type RangeMap, setRange, visitRanges } from '../program/ranges.ts'
import type { MachineOperation } from './operations.ts'

/** An operation as the tasks that wait for it see it. */
interface Done {
  readonly task: number
  readonly count: number
}

/** Keeps the recorded order of all operations that share a machine page. */
export interface PageOrder {
  /** What `operation`, the `count`th of its task, must wait for: task and count alternate. */
  add(operation: MachineOperation, count: number, ranges: readonly [number, number][]): number[]
}

/** An order in which nothing has happened. */
export function createPageOrder(spaces: number, tasks: number): PageOrder {
  const changes: RangeMap<Done>[] = Array.from({ length: spaces }, () => createRanges<Done>())
  const touches: Map<number, Done[]>[] = Array.from({ length: spaces }, () => new Map())
  // For each task, how far each other one is known to have come.
  const known = Array.from({ length: tasks }, () => new Map<number, number>())

  const wait = (own: number, other: Done, out: number[]): void => {
    if (other.task === own || (known[own]!.get(other.task) ?? 0) >= other.count) return
    known[own]!.set(other.task, other.count)
    out.push(other.task, other.count)
  }
  const add = (operation: MachineOperation, count: number, ranges: readonly [number, number][]): number[] => {
    const { kind, task, space } = operation
    const out: number[] = []
    const me: Done = { task, count }
    const whole = kind === 'fork' || kind === 'exit' || kind === 'exec'
    for (const [start, end] of ranges) {
      visitRanges(changes[space]!, start, whole ? 2 ** 52 : end, (_from, _to, other) => other !== undefined && wait(task, other, out))
      if (kind === 'touch') {
        const list = touches[space]!.get(start) ?? []
        touches[space]!.set(start, [...list.filter((other) => other.task !== task), me])
        continue
      }
      const few = !whole && end - start < touches[space]!.size
      const pages = few ? Array.from({ length: end - start }, (_, at) => start + at) : touches[space]!.keys()
      for (const page of pages) {
        if (page < start || (page >= end && !whole)) continue
        for (const other of touches[space]!.get(page) ?? []) wait(task, other, out)
        if (!whole) touches[space]!.delete(page)
      }
      if (!whole) setRange(changes[space]!, start, end, me)
    }
    return out
  }
  return { add }
}
