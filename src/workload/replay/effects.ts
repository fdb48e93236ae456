// The mappings that a range may have after operations that raced, whichever came first: the closure of what is there under what
// each of them does. A superset of what the orders allow: it holds what is there as well.

import { MapFlag } from '../../abi/constants.ts'
import type { MapsLine } from '../../oracle/oracle.ts'
import { comparePieces, describeMapping, expectedPieces, NOTHING } from './mappings.ts'
import type { MachineOperation } from './operations.ts'
import { rangesOf } from './races.ts'

/** A range of pages and what may be mapped there. */
export interface Possible {
  readonly start: number
  readonly end: number
  readonly mappings: ReadonlySet<string>
}

/** What an operation makes of a page's mapping. */
function effect({ kind, prot, flags, file, address, offset, newAddress }: MachineOperation, before: string, pageBytes: number): string[] {
  switch (kind) {
    case 'munmap':
      return [NOTHING]
    case 'mprotect':
      return before === NOTHING ? [before] : [describeMapping(prot, false, '', 0).slice(0, 3) + before.slice(3)]
    case 'mmap': {
      const shared = (flags & MapFlag.type) !== MapFlag.private
      if (file < 0 && shared) return ['*']
      const delta = (offset - address) / pageBytes
      return [describeMapping(prot, shared, file < 0 ? '' : `file ${file}`, delta)]
    }
    case 'brk':
      return address > newAddress ? [describeMapping(3, false, '', 0)] : [NOTHING]
    case 'mremap':
      return ['*']
    default:
      return []
  }
}

/** What may be mapped in `ranges` after `operations`, in any order, from what `lines` says is there now. */
export function mappingEffects(
  lines: readonly MapsLine[],
  ranges: readonly [number, number][],
  operations: readonly MachineOperation[],
  pageBytes: number,
): Possible[] {
  const out: Possible[] = []
  const now = expectedPieces(lines, pageBytes)
  for (const [start, end] of ranges) {
    // Against one piece over the whole range, so that gaps are visited too.
    comparePieces(now, [{ start, end, what: '' }], (from, to, before, inside) => {
      if (inside === NOTHING) return
      const cuts = new Set([from, to])
      for (const operation of operations) {
        for (const range of rangesOf(operation, pageBytes)) {
          for (const byte of range) if (byte / pageBytes > from && byte / pageBytes < to) cuts.add(byte / pageBytes)
        }
      }
      const sorted = [...cuts].sort((a, b) => a - b)
      for (let at = 0; at + 1 < sorted.length; at++) {
        out.push({ start: sorted[at]!, end: sorted[at + 1]!, mappings: closure(before, operations, sorted[at]!, pageBytes) })
      }
    })
  }
  return out
}

function closure(before: string, operations: readonly MachineOperation[], page: number, pageBytes: number): Set<string> {
  const set = new Set([before])
  // A set that grows while it is gone through: what is added is visited too.
  for (const what of set) {
    for (const operation of operations) {
      const covers = rangesOf(operation, pageBytes).some(([start, end]) => start / pageBytes <= page && page < end / pageBytes)
      if (covers && what !== '*') for (const after of effect(operation, what, pageBytes)) set.add(after)
    }
  }
  return set
}
