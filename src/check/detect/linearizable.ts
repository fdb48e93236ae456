// Results as if the calls had come one at a time: some order of the calls, in which whoever returned before another began comes
// first, gives a sequential model the same results and the same address space at the end.
import { VmFault } from '../../kernel/fault/fault.ts'
import { Errno } from '../../kernel/machine/errno.ts'
import type { CallDescription, CallRecord, Calls } from './calls.ts'
import type { Detector, Scene } from './scene.ts'

/** Calls that are compared at most: all orders are tried. */
const MAX_CALLS = 6

/** A sequential model of what the calls do. */
export interface Sequential {
  /** As the set-up left it. */
  create(): SequentialRun
  /** The machine's final state in the model's words. */
  state(words: Int32Array): string
  /** Whether the result that a call had is the one expected. Default: equal. */
  agrees?(call: CallDescription, expected: unknown, result: unknown): boolean
}

/** One sequence of calls. */
export interface SequentialRun {
  apply(call: CallDescription): unknown
  state(): string
}

/** The orders in which whoever returned before another began comes first, without those that begin in a way that `mayBegin` refuses. */
function* ordersOf(
  records: readonly CallRecord[],
  mayBegin: (order: readonly CallRecord[]) => boolean,
  begun: readonly CallRecord[] = [],
): Generator<readonly CallRecord[]> {
  if (!mayBegin(begun)) return
  const left = records.filter((record) => !begun.includes(record))
  if (left.length === 0) yield begun
  for (const next of left) {
    if (!left.some((other) => other !== next && other.returned <= next.began)) yield* ordersOf(records, mayBegin, [...begun, next])
  }
}

/** A call whose result is another when the calls come one at a time. */
interface Otherwise {
  readonly record: CallRecord
  readonly expected: unknown
}

/** Has `sequential` do the calls in `order`. Which have other results there, and how it ends. */
function inOrder(
  order: readonly CallRecord[],
  sequential: Sequential,
): { readonly differ: readonly Otherwise[]; readonly run: SequentialRun } {
  const { agrees = (_call, expected, result) => expected === result } = sequential
  const run = sequential.create()
  const differ = order.flatMap((record) => {
    if (record.description.nothingDone?.includes(record.result as number)) return []
    const expected = run.apply(record.description)
    return agrees(record.description, expected, record.result) ? [] : [{ record, expected }]
  })
  return { differ, run }
}

/** Searches an order of `records` that explains their results and the final state. Returns it, or null. */
export function explain(records: readonly CallRecord[], sequential: Sequential, state: string): readonly CallRecord[] | null {
  for (const order of ordersOf(records, (begun) => inOrder(begun, sequential).differ.length === 0)) {
    if (inOrder(order, sequential).run.state() === state) return order
  }
  return null
}

/** How near a sequential order comes: the calls whose results are others in it, with those, and its end, if that is another. */
export interface Nearest {
  readonly order: readonly CallRecord[]
  readonly differ: readonly Otherwise[]
  readonly end: string | null
}

/** Of all orders the one in which least is otherwise. */
export function nearest(records: readonly CallRecord[], sequential: Sequential, state: string): Nearest {
  const distance = ({ differ, end }: Nearest): number => differ.length + (end === null ? 0 : 1)
  return [...ordersOf(records, () => true)]
    .map((order): Nearest => {
      const { differ, run } = inOrder(order, sequential)
      const end = run.state()
      return { order, differ, end: end === state ? null : end }
    })
    .reduce((best, one) => (distance(one) < distance(best) ? one : best))
}

/** `write of 7 to page 0x10`, `munmap of pages 0x10 to 0x12` (the last one is not of them). */
function callText({ name, start, pages, stamp }: CallDescription): string {
  const what = name === 'write' && stamp !== undefined ? `${name} of ${stamp} to` : `${name} of`
  if (pages <= 0) return name
  return pages === 1 ? `${what} page ${page(start)}` : `${what} pages ${page(start)} to ${page(start + pages)}`
}

function page(number: number): string {
  return `0x${number.toString(16)}`
}

/** What a call came to. Results below 0 are errors, of accesses by users signals. */
function resultText({ name, unknown = false }: CallDescription, result: unknown): string {
  if (typeof result !== 'number' || unknown) return `returned ${String(result)}`
  if (result < 0 && ACCESSES.has(name)) return ENDS.has(-result) ? `ended in ${ENDS.get(-result)}` : `returned ${result}`
  if (result < 0) return `failed with ${errnoName(-result)}`
  if (name === 'fork' && result === 0) return 'failed for want of memory'
  if (name === 'read') return `found ${result}`
  return result === 0 ? 'succeeded' : `returned ${result}`
}

/** Calls that are accesses by users: their results are negated bits of `VmFault`. */
const ACCESSES: ReadonlySet<string> = new Set(['read', 'write', 'pin'])

/** How an access ends that finds nothing. */
const ENDS: ReadonlyMap<number, string> = new Map([
  [VmFault.sigsegvMaperr, 'SIGSEGV: no mapping'],
  [VmFault.sigsegvAccerr, 'SIGSEGV: no right'],
  [VmFault.sigbus, 'SIGBUS'],
  [VmFault.oom, 'want of memory'],
  [VmFault.userfault, 'a question to userfaultfd'],
])

function errnoName(value: number): string {
  return Object.entries(Errno).find(([, one]) => one === value)?.[0] ?? String(value)
}

/** That nothing explains `records`, and what the nearest order would have given. */
export function unexplained(records: readonly CallRecord[], state: string, { order, differ, end }: Nearest): string {
  const results = records.map(({ cpu, description, result }) => `CPU ${cpu}: ${callText(description)} ${resultText(description, result)}`)
  const owned = ({ cpu, description }: CallRecord): string => `CPU ${cpu}'s ${description.name}`
  const otherwise = differ.map(({ record, expected }) => `${owned(record)} would have ${resultText(record.description, expected)}`)
  if (end !== null) otherwise.push(`the end would have been ${end}`)
  return (
    `no order of the calls explains their results; ${results.join(', ')}; at the end ${state}. ` +
    `One after the other, the nearest is ${order.map(owned).join(', then ')}: ${otherwise.join(', and ')}`
  )
}

/** Judges the results of executions in which all calls returned, unless there is nothing to compare them with. */
export function detectNonlinearizable(scene: Scene, calls: Calls, compareWith: () => Sequential | null): Detector {
  return {
    finish: (blocked) => {
      const records = calls.records.filter(({ returned }) => returned >= 0)
      const sequential = compareWith()
      if (sequential === null || blocked !== 0 || records.length === 0 || records.length > MAX_CALLS) return
      const state = sequential.state(scene.words)
      if (explain(records, sequential, state) !== null) return
      scene.report({
        detector: 'linearizability',
        bookkeeping: false,
        message: unexplained(records, state, nearest(records, sequential, state)),
        agent: -1,
        objects: [],
        related: [],
      })
    },
  }
}
