// One operation as the machine is to perform it: byte addresses of the machine, successful mappings at the place where the
// recording put them. Both the encoder and the verification read these.
import type { Operation, OperationKind } from '../program/program.ts'

/** A machine operation. What a kind does not use is 0 or -1. */
export interface MachineOperation {
  /** Place in the buffers: tasks one after the other, each in its order. */
  id: number
  kind: OperationKind
  task: number
  space: number
  /** Bytes. For brk the wanted end of the heap. */
  address: number
  length: number
  prot: number
  flags: number
  advice: number
  file: number
  offset: number
  newLength: number
  /** mremap: 0 to stay in place. brk: the old end of the heap. */
  newAddress: number
  write: boolean
  exec: boolean
  child: number
  last: boolean
  /** Index in the program. */
  source: number
  /** What the recording says: 0, or an errno that must come again. */
  errno: number
  /** touch: the page of a file or of shared memory that it is about, as one number; -1 for private anonymous memory. */
  object: number
  /** touch: a write goes to that page itself, not to a private copy. */
  shared: boolean
}

/** What could not be replayed as recorded, by reason. */
export type Lost = Record<string, number>

/** Counts one more. */
export function lose(lost: Lost, reason: string, count = 1): void {
  if (count > 0) lost[reason] = (lost[reason] ?? 0) + count
}

/** A machine operation of `kind` for a recorded one. */
export function machineOperation(from: Operation, kind: OperationKind, address: number, length: number): MachineOperation {
  return {
    id: -1,
    kind,
    task: from.task,
    space: from.space,
    address,
    length,
    prot: from.prot & 7,
    flags: 0,
    advice: 0,
    file: -1,
    offset: 0,
    newLength: 0,
    newAddress: 0,
    write: from.write,
    exec: from.exec,
    child: -1,
    last: false,
    source: from.index,
    errno: 0,
    object: -1,
    shared: false,
  }
}
