// What a verification under way knows, and how it names what it finds.
import type { Doubt, Values } from './doubt.ts'
import { hex, type Ledger } from './findings.ts'
import type { Model } from './model.ts'
import type { MachineOperation } from './operations.ts'
import { writerOf } from './perform.ts'
import type { ObservedOrder } from './races.ts'
import type { ReplayLog } from './replay.ts'
import type { SpaceEnd } from './snapshot.ts'

/** A verification under way. */
export interface Verification {
  readonly log: ReplayLog
  readonly model: Model
  readonly observed: ObservedOrder
  readonly ledger: Ledger
  readonly doubts: Map<number, Doubt>
  /** What pages of shared objects may hold, by their number; see `MachineOperation.object`. */
  readonly objectDoubts: Map<number, Values>
  /** What pages held before writes that raced, by operation: what those who raced with it may have seen. */
  readonly before: Map<number, ReadonlySet<number>>
  /** Pages that were written, by address space. */
  readonly written: Map<number, Set<number>>
  readonly ends: Map<number, SpaceEnd>
  /** Some page may have moved: a stamp need not have been written where it is found. */
  readonly moves: boolean
}

/** Whether `seen` is something that a page here could hold in any order: nothing, its file's content, or a write to it. */
export function plausible(by: Verification, space: number, page: number, seen: number): boolean {
  const { operations, roots, pageBytes } = by.log.translation
  if (seen === 0) return true
  const writer = operations[writerOf(seen)]
  if (writer === undefined || writer.kind !== 'touch') return true // a disk's content is no small number
  if (!writer.write) return false
  if (writer.object >= 0 || by.observed.tangled) return true
  return roots[writer.space] === roots[space] && (by.moves || writer.address / pageBytes === page)
}

/** A stamp in words. */
export function stampName(by: Verification, stamp: number): string {
  const writer = by.log.translation.operations[writerOf(stamp)]
  if (stamp === 0) return 'zeroes'
  if (writer === undefined || !writer.write) return `${hex(stamp >>> 0)}, which no operation wrote`
  return `the stamp of operation ${writer.source} (task ${writer.task}, a write to ${hex(writer.address)})`
}

/** An operation in words. */
export function name(by: Verification, operation: MachineOperation): string {
  const { kind, task, source, address, length } = operation
  const what = kind === 'touch' ? (operation.write ? 'write to' : operation.exec ? 'fetch from' : 'read of') : kind
  const range = kind === 'touch' || kind === 'brk' ? hex(address) : `${hex(address)}+${hex(length)}`
  return `operation ${source} of task ${by.log.translation.program.tasks[task]!.tid}, ${what} ${range}`
}
