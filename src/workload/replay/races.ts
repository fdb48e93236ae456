// The observed order. Each operation drew a ticket before and one after: one that ended before another began came first; two
// that overlap, in pages that both are about, raced.
import { trackBacking } from './backing.ts'
import { Control, Result, type Shared } from './layout.ts'
import type { MachineOperation } from './operations.ts'

/** The executed operations in the order in which they began, and what each of them raced with. */
export interface ObservedOrder {
  readonly order: Int32Array
  readonly racers: ReadonlyMap<number, readonly number[]>
  readonly pairs: number
  /** Changes raced where files, shared memory or moved pages are: which page of them an address means is not certain. */
  readonly tangled: boolean
}

const NOBODY: readonly number[] = Object.freeze([])

/** What operation `id` raced with. */
export function racersOf({ racers }: ObservedOrder, id: number): readonly number[] {
  return racers.get(id) ?? NOBODY
}

/** The byte ranges that an operation is about; fork, exec and exit are about everything. */
export function rangesOf(operation: MachineOperation, pageBytes: number): [number, number][] {
  const { kind, address, length, newLength, newAddress } = operation
  const up = (bytes: number): number => Math.ceil(bytes / pageBytes) * pageBytes
  if (kind === 'brk') {
    const [low, high] = newAddress < address ? [newAddress, address] : [address, newAddress]
    return [[Math.floor(low / pageBytes) * pageBytes, up(high) + pageBytes]]
  }
  if (kind === 'mremap' && newAddress > 0) {
    return [
      [address, address + up(length)],
      [newAddress, newAddress + up(newLength)],
    ]
  }
  if (kind === 'mremap') return [[address, address + up(Math.max(length, newLength))]]
  if (kind === 'touch') return [[address, address + pageBytes]]
  if (kind === 'fork' || kind === 'exec' || kind === 'exit') return [[0, Number.MAX_SAFE_INTEGER]]
  return [[address, address + up(length)]]
}

/** Whether the outcome of either may depend on which came first. */
function conflict(a: MachineOperation, b: MachineOperation, pageBytes: number): boolean {
  const aTouch = a.kind === 'touch'
  const bTouch = b.kind === 'touch'
  if (aTouch && bTouch) {
    if (!a.write && !b.write) return false
    if (a.space === b.space && a.address === b.address) return true
    return a.object >= 0 && a.object === b.object && ((a.write && a.shared) || (b.write && b.shared))
  }
  // The last look at an address space sees what others store in shared memory at that moment.
  if (aTouch && b.last && a.write && a.shared) return true
  if (bTouch && a.last && b.write && b.shared) return true
  if (a.space !== b.space) return false
  if (aTouch && b.kind === 'fork') return a.write
  if (bTouch && a.kind === 'fork') return b.write
  const others = rangesOf(b, pageBytes)
  return rangesOf(a, pageBytes).some(([start, end]) => others.some(([from, to]) => from < end && start < to))
}

/** Whether a race with this change makes it uncertain which object an address means. */
function entangles({ kind, file, flags }: MachineOperation): boolean {
  return kind === 'mremap' || (kind === 'mmap' && (file >= 0 || (flags & 3) === 1))
}

/** Sorts what was executed and finds what raced. */
export function observeOrder(operations: readonly MachineOperation[], shared: Shared, pageBytes: number): ObservedOrder {
  const { results, control } = shared
  const byTicket = new Int32Array(control[Control.ticket]!).fill(-1)
  let count = 0
  for (let id = 0; id < operations.length; id++) {
    if (results[id * Result.size + Result.after] === 0) continue
    byTicket[results[id * Result.size + Result.before]!] = id
    count++
  }
  backInOrder(operations, byTicket, shared, pageBytes)
  const order = new Int32Array(count)
  const racers = new Map<number, number[]>()
  let at = 0
  let pairs = 0
  let tangled = false
  let active: number[] = []
  for (const id of byTicket) {
    if (id < 0) continue
    order[at++] = id
    const began = results[id * Result.size + Result.before]!
    active = active.filter((other) => results[other * Result.size + Result.after]! > began)
    for (const other of active) {
      if (!conflict(operations[id]!, operations[other]!, pageBytes)) continue
      pairs++
      tangled ||= entangles(operations[id]!) || entangles(operations[other]!)
      add(racers, id, other)
      add(racers, other, id)
    }
    active.push(id)
  }
  return { order: order.subarray(0, at), racers, pairs, tangled }
}

/** Which page of which object each touch met: as the observed order says, no longer the recorded one. */
function backInOrder(operations: readonly MachineOperation[], order: Int32Array, { results }: Shared, pageBytes: number): void {
  let spaces = 0
  let files = 0
  for (const { space, child, file } of operations) {
    spaces = Math.max(spaces, space + 1, child + 1)
    files = Math.max(files, file + 1)
  }
  const tracker = trackBacking(spaces, files, pageBytes, 9)
  for (const id of order) {
    if (id < 0) continue
    const operation = operations[id]!
    operation.object = -1
    operation.shared = false
    if (results[id * Result.size + Result.result]! >= 0) tracker.see(operation)
  }
}

function add(to: Map<number, number[]>, id: number, other: number): void {
  const list = to.get(id)
  if (list === undefined) to.set(id, [other])
  else list.push(other)
}
