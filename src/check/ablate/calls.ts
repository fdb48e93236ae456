// What is taken away as one call: flushes and IPIs, waits and wake-ups, the hooks by which a design keeps readers out,
// stores that tell others something; and instructions whose ordering or atomicity is weakened.
import type { Node } from 'oxc-parser'
import { INSTRUCTIONS_MODULE } from '../../compile/module.ts'
import {
  appended,
  argument,
  type Call,
  type Change,
  type FunctionText,
  imported,
  instructions,
  isStatement,
  type KernelText,
  only,
  replace,
  siteAt,
  textOf,
} from './kernel-text.ts'
import type { Operator, UnnamedSite } from './site.ts'

/** Calls that are left out where they are statements: name → operator and what that means. */
export const LEFT_OUT: Readonly<Record<string, readonly [Operator, string]>> = Object.freeze({
  flushTlbMmRange: ['flush', 'the flush is skipped'],
  localFlush: ['flush', 'the flush of this CPU is skipped'],
  tlbAddRange: ['flush', 'the range is not added to the flush'],
  tlbFlushMmu: ['flush', 'the flush is skipped'],
  tlbCatchUp: ['flush', 'what others asked this TLB to forget is not forgotten'],
  shootDown: ['flush', 'the CPU is not told to flush'],
  tlbRemoveTableSyncOne: ['ipi', 'nobody who walks with interrupts off is waited for'],
  pmdpGetLocklessSync: ['ipi', 'nobody who reads an entry of two halves is waited for'],
  beforeTablesAreFreed: ['ipi', 'nobody who walks with interrupts off is waited for'],
  ipiAndWait: ['ipi', 'no IPI is sent and none is waited for'],
  waitForGrant: ['wait', 'goes on without having been granted the lock'],
  waitOnPageLocked: ['wait', 'the page is not waited for'],
  synchronizeRcu: ['wait', 'no grace period is waited for'],
  synchronizeSrcu: ['wait', 'no grace period is waited for'],
  rcuBarrier: ['wait', 'callbacks are not waited for'],
  spinLockSlow: ['wait', 'goes on although the lock is held'],
  futexWake: ['wake', 'the sleeper is not woken'],
  grant: ['wake', 'waiters are not granted the lock'],
  handOver: ['wake', 'waiters are not granted the lock'],
  'design.mmapWriteLocked': ['exclusion', 'the design is not told that a writer begins'],
  'design.mmapWriteUnlocking': ['exclusion', 'the design is not told that a writer ends'],
  'design.vmaStartWrite': ['exclusion', 'readers of the VMA are neither kept out nor waited for'],
  'design.vmaDetach': ['exclusion', 'readers of the detached VMA are not waited for'],
  'design.vmaAttach': ['publish', 'the VMA is not marked attached'],
  writeSeqcountBegin: ['exclusion', 'the sequence count does not say that a writer begins'],
  writeSeqcountEnd: ['exclusion', 'the sequence count does not say that a writer ends'],
  enterLocked: ['exclusion', 'readers of the VMA are neither kept out nor waited for'],
  masUpdateGap: ['publish', 'the gap is not told to the nodes above'],
  bury: ['publish', 'the replaced node is neither marked dead nor freed'],
  setContext: ['publish', 'the change of mode is not published'],
  writeOnce: ['publish', 'the store is left out'],
  smpStoreRelease: ['publish', 'the store is left out'],
  rcuAssignPointer: ['publish', 'the store is left out'],
  atomicAdd: ['publish', 'the update is left out'],
  atomicOr: ['publish', 'the update is left out'],
  atomicAnd: ['publish', 'the update is left out'],
})

/** Ordered instructions and what is left of them without the order; fences: nothing. */
const RELAXED: Readonly<Record<string, string>> = Object.freeze({
  smpLoadAcquire: 'readOnce',
  rcuDereference: 'readOnce',
  smpStoreRelease: 'writeOnce',
  rcuAssignPointer: 'writeOnce',
  smpMb: '',
  smpWmb: '',
  smpRmb: '',
})

/** Read-modify-writes in two steps, as kernel code: parameters, and the value stored and returned after `found` was read. */
const IN_TWO_STEPS: Readonly<Record<string, readonly [parameters: string, body: string]>> = Object.freeze({
  atomicAdd: ['delta: number', 'writeOnce(p, (found + delta) | 0); return (found + delta) | 0'],
  atomicOr: ['bits: number', 'writeOnce(p, found | bits); return found'],
  atomicAnd: ['bits: number', 'writeOnce(p, found & bits); return found'],
  xchg: ['value: number', 'writeOnce(p, value); return found'],
  cmpxchg: ['expected: number, value: number', 'if (found === expected) writeOnce(p, value); return found'],
})

/** A callback of `call_rcu`: its name, its module, and arguments besides the head. */
type Callback = readonly [name: string, path: string, rest: string]

/** The callbacks by what stands for them in a call of `call_rcu`, read from the dispatcher; the computed one is named here. */
function callbacks(kernel: KernelText): ReadonlyMap<string, Callback> {
  const found = new Map<string, Callback>([
    ['RcuFunc.tablePmd + level - Level.pmd', ['tableSlabFreeRcu', 'pagetable/pte-free-defer.ts', ', level']],
  ])
  const dispatcher = kernel.functions.find((fn) => fn.module.source.path === 'softirq.ts' && fn.name === 'invoke')
  for (const call of dispatcher?.calls ?? []) {
    const branch = kernel.parent(kernel.parent(call.node) ?? call.node)
    if (dispatcher === undefined || branch?.type !== 'IfStatement' || call.node.arguments.length !== 1) continue
    const func = /^func === (RcuFunc\.\w+)$/.exec(textOf(dispatcher, branch.test))?.[1]
    if (func !== undefined && kernel.parent(call.node) === branch.consequent) found.set(func, [call.name, call.path, ''])
  }
  return found
}

/** The sites of single calls and of loops that wait. */
export function callSites(kernel: KernelText): UnnamedSite[] {
  const sites: UnnamedSite[] = []
  const known = callbacks(kernel)
  for (const fn of kernel.functions) {
    for (const call of fn.calls) for (const change of callChanges(kernel, known, fn, call)) sites.push(siteAt(fn, call.node, change))
    for (const loop of waitingLoops(kernel, fn)) {
      const explanation = 'the loop that waits is left out'
      sites.push(siteAt(fn, headOf(fn, loop), { operator: 'wait', explanation, variants: only(replace(fn, loop, '{}')) }))
    }
  }
  return sites
}

function callChanges(kernel: KernelText, known: ReadonlyMap<string, Callback>, fn: FunctionText, call: Call): Change[] {
  const changes: Change[] = []
  const { name } = call
  const leftOut = LEFT_OUT[name]
  if (leftOut !== undefined) {
    const [operator, explanation] = leftOut
    // Who waits asks whether there was anything to wait for.
    if (isStatement(kernel, call)) changes.push({ operator, explanation, variants: only(replace(fn, call.node, '{}')) })
    else if (name === 'enterLocked') changes.push({ operator, explanation, variants: only(replace(fn, call.node, '0')) })
  }
  if (name === 'callRcu') changes.push(immediate(known, fn, call))
  if (call.path !== INSTRUCTIONS_MODULE) return changes
  if (name === 'sendIpi') {
    // Request 0 has been answered since boot.
    changes.push({ operator: 'ipi', explanation: 'the IPI is not sent', variants: only(replace(fn, call.node, '0')) })
  }
  const relaxed = RELAXED[name]
  if (relaxed !== undefined) changes.push(weakened(fn, call, relaxed))
  const split = IN_TWO_STEPS[name]
  if (split !== undefined) changes.push(inTwoSteps(fn, call, split))
  return changes
}

function immediate(known: ReadonlyMap<string, Callback>, fn: FunctionText, call: Call): Change {
  const explanation = 'freed at once, without a grace period'
  const callback = known.get(argument(fn, call, 1))
  if (callback === undefined) return { operator: 'wait', explanation, status: 'unpaired', reason: 'an unknown callback', variants: [] }
  const [name, path, rest] = callback
  const edits = [replace(fn, call.node, `${name}(${argument(fn, call)}${rest})`), ...imported(fn, name, path)]
  return { operator: 'wait', explanation, variants: only(...edits) }
}

function weakened(fn: FunctionText, call: Call, relaxed: string): Change {
  const args = call.node.arguments.map((node) => textOf(fn, node)).join(', ')
  return {
    operator: 'ordering',
    explanation: relaxed === '' ? `${call.name} is left out` : `${call.name} becomes ${relaxed}`,
    status: 'undecided under SC',
    reason: 'executions are sequentially consistent: every order that this asks for holds anyway',
    variants: only(
      replace(fn, call.node, relaxed === '' ? '{}' : `${relaxed}(${args})`),
      ...(relaxed === '' ? [] : instructions(fn, relaxed)),
    ),
  }
}

function inTwoSteps(fn: FunctionText, call: Call, [parameters, body]: readonly [string, string]): Change {
  const name = `${call.name}InTwoSteps`
  const helper = `function ${name}(p: number, ${parameters}): number { const found = readOnce(p); ${body} }`
  return {
    operator: 'atomicity',
    explanation: `${call.name} becomes a read and then a write`,
    variants: only(replace(fn, call.node.callee, name), ...instructions(fn, 'readOnce', 'writeOnce'), appended(fn, helper)),
  }
}

/** Loops that give the CPU away while they wait: those with a condition, innermost. */
function waitingLoops(kernel: KernelText, fn: FunctionText): Node[] {
  const waits = fn.calls.filter(({ name }) => name === 'relax' || name === 'futexWait')
  const loops = new Set<Node>()
  for (const { node } of waits) {
    let at = kernel.parent(node)
    while (at !== null && !isLoop(at)) at = kernel.parent(at)
    if (at?.type === 'WhileStatement') loops.add(at)
  }
  return [...loops]
}

function isLoop(node: Node): boolean {
  return node.type === 'WhileStatement' || node.type === 'DoWhileStatement' || node.type === 'ForStatement'
}

/** `while (condition)`, without the body. */
function headOf(fn: FunctionText, loop: Node): { start: number; end: number } {
  if (loop.type !== 'WhileStatement') return loop
  return { start: loop.start, end: fn.module.source.text.indexOf(')', loop.test.end) + 1 }
}
