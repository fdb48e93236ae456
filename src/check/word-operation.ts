// What an operation on one shared word does to it: the one place where stepped CPUs say so, whoever schedules them.
import { Op } from '../compile/stepped/ops.ts'

/** Whether `op` reads or writes exactly the word that is its first operand. */
export function onWord(op: number): boolean {
  switch (op) {
    case Op.readOnce:
    case Op.smpLoadAcquire:
    case Op.rcuDereference:
    case Op.writeOnce:
    case Op.smpStoreRelease:
    case Op.rcuAssignPointer:
    case Op.cmpxchg:
    case Op.xchg:
    case Op.atomicAdd:
    case Op.atomicOr:
    case Op.atomicAnd:
      return true
    default:
      return false
  }
}

/** Whether `op` is what the hardware does to the two words of an entry in one go: the one that is its first operand and the next. */
export function onEntry(op: number): boolean {
  return op === Op.readEntryWhole || op === Op.orEntryWhole
}

/** The bits of both words of the entry at `p`, as such an operation sees them. */
export function entryAt(valueAt: (p: number) => number, p: number): number {
  return valueAt(p) | valueAt(p + 1)
}

/** Whether `op`, an operation on an entry, stores to its first word, when the entry is `old`. */
export function storesEntry(op: number, old: number, b: number): boolean {
  return op === Op.orEntryWhole && old === b
}

/** What it returns. */
export function entryResult(op: number, old: number, b: number): number {
  return op === Op.readEntryWhole ? old : old === b ? 1 : 0
}

/** Whether `op` stores to its word, which holds `old`: a read does not, nor does a compare-and-exchange that fails. */
export function storesWord(op: number, old: number, b: number): boolean {
  if (op === Op.cmpxchg) return old === b
  return op !== Op.readOnce && op !== Op.smpLoadAcquire && op !== Op.rcuDereference
}

/** What the word holds after `op` has stored to it; `b` and `c` are its second and third operand. */
export function wordAfter(op: number, old: number, b: number, c: number): number {
  switch (op) {
    case Op.cmpxchg:
      return c
    case Op.atomicAdd:
      return (old + b) | 0
    case Op.atomicOr:
      return old | b
    case Op.atomicAnd:
      return old & b
    default:
      return b
  }
}

/** What `op` returns, when its word held `old` before and holds `now`. */
export function resultOf(op: number, old: number, now: number): number {
  if (op === Op.atomicAdd) return now
  return op === Op.writeOnce || op === Op.smpStoreRelease || op === Op.rcuAssignPointer ? 0 : old
}
