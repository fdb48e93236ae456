// Was everything right? The log's operations are performed once more, one after the other in the observed order, on a plain
// model; what each of them saw, what every page held at the end of its address space, and every counter must agree. What raced
// is compared with what either order allows.
import { Madvise } from '../../abi/constants.ts'
import { copyDoubt, createDoubt, type Doubt, doubtMappings, mappingsDoubted, settleMappings, settleValues } from './doubt.ts'
import { mappingEffects } from './effects.ts'
import { createLedger, find, hex, type Verdict } from './findings.ts'
import { NO_SPACE, Op, Result } from './layout.ts'
import { createModel, type ExpectedTouch } from './model.ts'
import type { MachineOperation } from './operations.ts'
import { stampOf } from './perform.ts'
import { observeOrder, racersOf, rangesOf } from './races.ts'
import type { ReplayLog } from './replay.ts'
import { name, plausible, stampName, type Verification } from './verification.ts'
import { checkBalance, checkFiles, checkSpace } from './verify-end.ts'

const FAULT_NAMES = new Map([
  [0, 'success'],
  [1, 'SIGSEGV (nothing mapped)'],
  [2, 'SIGSEGV (not allowed)'],
  [4, 'SIGBUS'],
  [8, 'no memory'],
])
const OOM = 8
const ENOMEM = 12
const SLICE = 20_000

/** Options of {@link verify}. */
export interface VerifyOptions {
  readonly progress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

/** Verifies a log. */
export async function verify(log: ReplayLog, options: VerifyOptions = {}): Promise<Verdict> {
  const began = performance.now()
  const { translation, shared } = log
  const { operations, program, pageBytes } = translation
  const by: Verification = {
    log,
    model: createModel(log),
    observed: observeOrder(operations, shared, pageBytes),
    ledger: createLedger(),
    doubts: new Map(),
    objectDoubts: new Map(),
    before: new Map(),
    written: new Map(),
    ends: new Map(log.ends.map((end) => [end.space, end])),
    moves: operations.some(({ kind }) => kind === 'mremap'),
  }
  for (const { index, madeBy } of program.spaces) if (madeBy < 0) begin(by, index)
  const { order } = by.observed
  for (let at = 0; at < order.length; at++) {
    if (at % SLICE === 0) {
      options.progress?.(at, order.length)
      await new Promise((resolve) => setImmediate(resolve))
      options.signal?.throwIfAborted()
    }
    step(by, order[at]!)
  }
  for (const { index } of program.spaces) if (by.model.alive(index)) checkSpace(by, index, [])
  checkFiles(by)
  checkBalance(by)
  options.progress?.(order.length, order.length)
  const { ledger } = by
  return {
    ...ledger,
    verified: ledger.count === 0,
    raced: by.observed.pairs,
    tangled: by.observed.tangled,
    time: performance.now() - began,
  }
}

function begin(by: Verification, space: number): void {
  by.model.begin(space)
  by.doubts.set(space, createDoubt())
  by.written.set(space, new Set())
}

function step(by: Verification, id: number): void {
  const { log, ledger, model } = by
  const operation = log.translation.operations[id]!
  const result = log.shared.results[id * Result.size + Result.result]!
  ledger.operations++
  if (result === NO_SPACE) {
    ledger.outOfMemory++
    return
  }
  if (operation.kind !== 'exec' && !model.alive(operation.space)) {
    find(ledger, 'result', `${name(by, operation)} ran in an address space that had ended`)
    return
  }
  if (operation.kind === 'touch') touch(by, id, operation, result)
  else if (operation.kind === 'fork') fork(by, operation, result)
  else if (operation.kind === 'exec' || operation.kind === 'exit') {
    if (operation.last && model.alive(operation.space)) {
      checkSpace(by, operation.space, racersOf(by.observed, id))
      model.end(operation.space)
    }
    if (operation.kind === 'exec' && result === 0) begin(by, operation.child)
    else if (result < 0) ledger.outOfMemory++
  } else call(by, id, operation, result)
}

function touch(by: Verification, id: number, operation: MachineOperation, result: number): void {
  const { ledger, model, log } = by
  const { pageBytes, operations, program } = log.translation
  const { space, address, write } = operation
  const page = address / pageBytes
  const doubt = by.doubts.get(space)!
  if (program.operations[operation.source]!.denied !== result < 0) ledger.differing++
  if (-result === OOM) {
    ledger.outOfMemory++
    return
  }
  const racers = racersOf(by.observed, id)
  const changed = racers.some((other) => operations[other]!.kind !== 'touch' && operations[other]!.kind !== 'fork')
  const uncertain = changed || mappingsDoubted(doubt, page, page + 1)
  if (write && racers.length > 0) remember(by, operation)
  const expected = model.touch(operation, stampOf(id))
  // The model does not tell fetches from reads.
  if (operation.exec && result === -2 && expected.fault === 0 && !executable(by, space, address)) return
  if (expected.fault !== -result) {
    if (uncertain) ledger.explained++
    else {
      const what = `expected ${FAULT_NAMES.get(expected.fault)}, found ${FAULT_NAMES.get(-result) ?? result}`
      find(ledger, 'fault', `${name(by, operation)}: ${what}`)
    }
  } else if (result === 0 && !write) read(by, id, operation, expected, racers, uncertain)
  if (changed) doubt.values.set(page, 'any')
  if (write && result === 0) wrote(by, id, operation, racers, changed)
}

/** A read saw what it was allowed to see. */
function read(
  by: Verification,
  id: number,
  operation: MachineOperation,
  expected: ExpectedTouch,
  racers: readonly number[],
  uncertain: boolean,
): void {
  const { ledger, log } = by
  const page = operation.address / log.translation.pageBytes
  const seen = log.shared.results[id * Result.size + Result.seen]!
  const doubt = by.doubts.get(operation.space)!
  ledger.reads++
  const own = doubt.values.get(page)
  const shared = operation.object >= 0 ? by.objectDoubts.get(operation.object) : undefined
  const asExpected = seen === expected.stamp || seen === expected.otherwise
  if (!asExpected) {
    const allowed =
      (own !== undefined && own !== 'any' && own.has(seen)) ||
      (shared !== undefined && shared !== 'any' && shared.has(seen)) ||
      racers.some((other) => stampOf(other) === seen || by.before.get(other)?.has(seen)) ||
      ((own === 'any' || shared === 'any' || uncertain || by.observed.tangled) && plausible(by, operation.space, page, seen))
    if (!allowed) {
      find(ledger, 'value', `${name(by, operation)}: expected ${stampName(by, expected.stamp)}, found ${stampName(by, seen)}`)
      return
    }
    ledger.explained++
  }
  // Without a race, what was seen is what is there.
  if (racers.length > 0) return
  if (own !== undefined) doubt.values.set(page, new Set([seen]))
  if (shared !== undefined) by.objectDoubts.set(operation.object, new Set([seen]))
}

function remember(by: Verification, { id, space, address, object, shared }: MachineOperation): void {
  const { stamp, otherwise } = by.model.peek(space, address)
  const doubted = shared ? by.objectDoubts.get(object) : by.doubts.get(space)!.values.get(address / by.log.translation.pageBytes)
  const values = new Set(doubted === 'any' ? [] : doubted)
  values.add(stamp)
  if (otherwise !== undefined) values.add(otherwise)
  by.before.set(id, values)
}

function wrote(by: Verification, id: number, operation: MachineOperation, racers: readonly number[], changed: boolean): void {
  const { operations, pageBytes } = by.log.translation
  const page = operation.address / pageBytes
  const doubt = by.doubts.get(operation.space)!
  const others = racers.filter((other) => operations[other]!.kind === 'touch' && operations[other]!.write)
  const values = others.length > 0 ? new Set([stampOf(id), ...others.map(stampOf)]) : undefined
  if (operation.shared) {
    if (values !== undefined) by.objectDoubts.set(operation.object, values)
    else by.objectDoubts.delete(operation.object)
    return
  }
  by.written.get(operation.space)!.add(page)
  if (changed) return
  if (values !== undefined) doubt.values.set(page, values)
  else doubt.values.delete(page)
}

function fork(by: Verification, operation: MachineOperation, result: number): void {
  const { ledger, model, log } = by
  if (result < 0) {
    ledger.outOfMemory++
    return
  }
  const { space, child } = operation
  const { pageBytes, operations } = log.translation
  model.fork(space, child)
  const doubt = copyDoubt(by.doubts.get(space)!)
  by.doubts.set(child, doubt)
  by.written.set(child, new Set(by.written.get(space)!))
  // The child may have either side of what happened meanwhile.
  for (const other of racersOf(by.observed, operation.id)) {
    for (const [start, end] of rangesOf(operations[other]!, pageBytes)) {
      const from = start / pageBytes
      const to = Math.min(end / pageBytes, from + 2 ** 22)
      for (let page = from; page < to; page++) doubt.values.set(page, 'any')
      if (operations[other]!.kind !== 'touch') doubtMappings(doubt, from, to, new Set(['*']))
    }
  }
}

function call(by: Verification, id: number, operation: MachineOperation, result: number): void {
  const { ledger, model, log, observed } = by
  const { pageBytes, operations } = log.translation
  const doubt = by.doubts.get(operation.space)!
  const ranges = rangesOf(operation, pageBytes).map(([start, end]): [number, number] => [start / pageBytes, end / pageBytes])
  const racers = racersOf(observed, id).filter((other) => operations[other]!.kind !== 'fork')
  const changers = racers.filter((other) => operations[other]!.kind !== 'touch').map((other) => operations[other]!)
  const doubted = ranges.some(([start, end]) => mappingsDoubted(doubt, start, end))
  const possible = changers.length > 0 ? mappingEffects(model.maps(operation.space), ranges, [operation, ...changers], pageBytes) : []
  const expected = model.call(operation)
  const found = foundResult(log, id, operation, result)
  if (result >= 0 ? operation.errno !== 0 : operation.errno !== -result) ledger.differing++
  let short = false
  if (found !== expected) {
    if (found === -ENOMEM) {
      short = true
      ledger.outOfMemory++
    } else if (doubted || changers.length > 0) ledger.explained++
    else find(ledger, 'result', `${name(by, operation)}: expected ${resultName(expected)}, found ${resultName(found)}`)
  }
  settle(by, operation, doubt, ranges)
  if (operation.kind === 'mremap' && (racers.length > 0 || doubted || doubt.values.size > 0)) {
    for (const [start, end] of ranges) for (let page = start; page < Math.min(end, start + 2 ** 20); page++) doubt.values.set(page, 'any')
  }
  for (const { start, end, mappings } of possible) {
    doubtMappings(doubt, start, end, mappings)
    markAny(by, operation.space, doubt, start, end)
  }
  if (short) {
    for (const [start, end] of ranges) {
      doubtMappings(doubt, start, end, new Set(['*']))
      markAny(by, operation.space, doubt, start, end)
    }
  }
  for (const other of racers) {
    const { kind, address } = operations[other]!
    if (kind === 'touch') doubt.values.set(address / pageBytes, 'any')
  }
}

/** What this operation leaves certain, and what it moves. */
function settle(by: Verification, operation: MachineOperation, doubt: Doubt, ranges: [number, number][]): void {
  const { kind, advice } = operation
  const written = by.written.get(operation.space)!
  if (kind === 'mprotect' || (kind === 'madvise' && advice !== Madvise.dontneed)) return
  const doubted = ranges.some(([start, end]) => mappingsDoubted(doubt, start, end))
  for (const [start, end] of ranges) {
    if (kind === 'mremap') {
      if (doubted) doubtMappings(doubt, start, end, new Set(['*']))
      continue
    }
    settleValues(doubt, start, end)
    if (kind === 'mmap' || kind === 'munmap') settleMappings(doubt, start, end)
    if (end - start < written.size) for (let page = start; page < end; page++) written.delete(page)
    else for (const page of written) if (page >= start && page < end) written.delete(page)
  }
  if (kind !== 'mremap' || operation.newAddress === 0) return
  const [[start, end], [target]] = ranges as [[number, number], [number, number]]
  for (const page of [...written].filter((page) => page >= start && page < end)) {
    written.delete(page)
    written.add(page - start + target)
  }
  for (const [page, values] of [...doubt.values].filter(([page]) => page >= start && page < end)) {
    doubt.values.delete(page)
    doubt.values.set(page - start + target, values)
  }
}

function markAny(by: Verification, space: number, doubt: Doubt, start: number, end: number): void {
  for (const page of by.written.get(space)!) if (page >= start && page < end) doubt.values.set(page, 'any')
}

function executable(by: Verification, space: number, address: number): boolean {
  return by.model.maps(space).some((line) => line.start <= address && address < line.end && line.execute)
}

/** The result as the model says it: addresses in bytes. */
function foundResult(log: ReplayLog, id: number, operation: MachineOperation, result: number): number {
  if (result < 0 || (operation.kind !== 'mmap' && operation.kind !== 'mremap')) return result
  const moved = operation.kind === 'mremap' && operation.newAddress > 0
  const wanted = log.shared.ops[id * Op.size + Op.args + (moved ? 4 : 0)]!
  return result === wanted ? (moved ? operation.newAddress : operation.address) : -1_000_000 - result
}

function resultName(result: number): string {
  if (result >= 0) return result === 0 ? '0' : hex(result)
  return result <= -1_000_000 ? `machine page ${hex(-result - 1_000_000)}` : `errno ${-result}`
}
