// Which outcome of a check means "nothing has changed": the one under which the function goes on with its work. The other
// one leads to giving up, trying again, undoing or waiting. Null where the source does not tell.
import type { Node } from 'oxc-parser'
import { walk } from 'oxc-walker'
import { bare } from '../../compile/source.ts'
import { type FunctionText, type KernelText, textOf } from './kernel-text.ts'
import type { Look } from './shared-reads.ts'

/** A condition: its test, and the statement, conditional or local that it decides. */
export interface Condition {
  readonly test: Node
  readonly owner: Node
}

/** Functions whose result says so themselves: what they return when nothing has changed. */
const RESULTS: Readonly<Record<string, boolean>> = Object.freeze({
  mteDeadNode: false,
  pmdSame: true,
  bankIdle: true,
  gracePeriodDone: true,
  readSeqcountRetry: false,
  ptepTryReplace: true,
  pageUptodate: true,
  mayReuse: true,
  mustCopy: false,
  pageMaybePinned: false,
  exclusiveAndDirty: true,
  populated: true,
})

/** Where neither the function nor the branches tell: `file#function: text` → outcome, with the reason. */
export const DECIDED: Readonly<Record<string, boolean>> = Object.freeze({
  'design/vma-lock.ts#lockVmaUnderRcu: got === AGAIN': false,
  'design/vma-lock.ts#lockVmaUnderRcu: got === BUSY': false,
  'fault/copy-on-write.ts#ptepSetAccess: ptepGet(ptep) === pte': true,
  'memory/page-cache.ts#waitOnPageLocked: (flags & PageFlag.locked) === 0': true,
  'pagetable/table-alloc.ts#freeTablePage: (atomicAnd(page + Page.flags, ~PageFlag.active) & PageFlag.active) !== 0': false,
  'sync/rcu.ts#visit: contextMode(context) === Mode.kernel': false,
  'sync/rcu.ts#driveGracePeriod: load(snapshots + i) === reader': false,
  'pagetable/pte-free-defer-drafts.ts#pteFreeDeferIncrements: count < 2 * DEFERRED': true,
  'proc/smaps.ts#mapTable: upperIsTable(pmdval)': true,
  'syscall/gup.ts#followPage: (pte & want) === want': true,
})

/** What `atom` of `condition` is when nothing has changed, or null. */
export function unchangedOutcome(kernel: KernelText, fn: FunctionText, condition: Condition, atom: Node, look: Look): boolean | null {
  const decided = DECIDED[`${fn.module.source.path}#${fn.name}: ${textOf(fn, atom)}`]
  if (decided !== undefined) return decided
  if (atom.type === 'CallExpression' && atom.callee.type === 'Identifier' && RESULTS[atom.callee.name] !== undefined)
    return RESULTS[atom.callee.name] as boolean
  const text = textOf(fn, atom)
  const equal =
    atom.type === 'BinaryExpression' && atom.operator === '==='
      ? true
      : atom.type === 'BinaryExpression' && atom.operator === '!=='
        ? false
        : null
  if (equal !== null) {
    // A map that may fail: what was mapped is still there.
    if (look === 'map' && text.endsWith(' 0')) return !equal
    // The last reference: nobody else has one.
    if (/^atomicAdd\(.*\) [!=]== 0$/.test(text)) return equal
    if (/^refcountDecAndTest\(.*\) [!=]== 0$/.test(text)) return !equal
    // A compare-and-exchange found what was expected.
    if (/^(cmpxchg\(.*\)) [!=]== /.test(text) || /^seen [!=]== [a-z]/.test(text)) return equal
  }
  const whole = wholeOutcome(fn, condition)
  return whole === null ? null : whole !== isNegated(kernel, condition.test, atom)
}

/** Whether an odd number of `!` lies between `atom` and the whole condition. */
function isNegated(kernel: KernelText, test: Node, atom: Node): boolean {
  let negated = false
  for (let at: Node | null = atom; at !== null; at = kernel.parent(at)) {
    if (at !== atom && at.type === 'UnaryExpression' && at.operator === '!') negated = !negated
    if (at === test) break
  }
  return negated
}

function wholeOutcome(fn: FunctionText, { owner }: Condition): boolean | null {
  if (owner.type === 'IfStatement') return branchOutcome(fn, owner.consequent, owner.alternate)
  // A loop goes on because something changed under it.
  if (owner.type === 'WhileStatement' || owner.type === 'DoWhileStatement') return false
  if (owner.type === 'ReturnStatement') return RESULTS[fn.name] ?? null
  if (owner.type === 'ConditionalExpression') return RESULTS[fn.name] ?? null
  if (owner.type === 'VariableDeclarator' && owner.id.type === 'Identifier') return localOutcome(fn, owner.id.name)
  return null
}

/** The outcome of a local truth value, from the first `if` that tests it alone. */
function localOutcome(fn: FunctionText, name: string): boolean | null {
  let outcome: boolean | null = null
  walk(fn.fn.node, {
    enter(node) {
      if (outcome !== null || node.type !== 'IfStatement') return
      const test = bare(node.test)
      const negated = test.type === 'UnaryExpression' && test.operator === '!'
      const inner = negated ? bare(test.argument) : test
      if (inner.type !== 'Identifier' || inner.name !== name) return
      const branch = branchOutcome(fn, node.consequent, node.alternate)
      if (branch !== null) outcome = branch !== negated
    },
  })
  return outcome
}

/** Whether the condition of an `if` with these branches holds when nothing has changed. */
function branchOutcome(fn: FunctionText, consequent: Node, alternate: Node | null): boolean | null {
  const then = character(fn, consequent)
  if (then !== null) return then === 'work'
  const otherwise = alternate === null ? null : character(fn, alternate)
  return otherwise === null ? null : otherwise !== 'work'
}

const WORK = new Set(['setPte', 'rcuAssignPointer', 'store', 'addNewAnonRmap', 'pinPage', 'chainLink'])
const UNDO = new Set([
  ...['putPage', 'tableFree', 'kmemCacheFree', 'spinLockSlow', 'waitForGrant', 'handOver', 'futexWake', 'mmDrop', 'vmaRefcountPut'],
  ...['rcuReadUnlock', 'pteUnmap', 'tlbCatchUp', 'tlbAddRange', 'ipiAndWait', 'irqRestore', 'driveGracePeriod', 'waitOnPageLocked'],
  ...['relax', 'futexWait', 'refuse'],
])

/** What a branch does: the work itself, or what is done when something has changed. */
function character(fn: FunctionText, branch: Node): 'work' | 'changed' | null {
  const last = branch.type === 'BlockStatement' ? branch.body.at(-1) : branch
  if (last?.type === 'ContinueStatement') return 'changed'
  if (last?.type === 'ReturnStatement') {
    const value = last.argument === null ? null : bare(last.argument)
    if (value === null || isFailure(value)) return 'changed'
    if (value.type === 'Identifier' || (value.type === 'Literal' && value.value !== 0)) return 'work'
  }
  const names = new Set(fn.calls.filter(({ node }) => node.start >= branch.start && node.end <= branch.end).map(({ name }) => name))
  for (const name of names) if (UNDO.has(name)) return 'changed'
  for (const name of names) if (WORK.has(name)) return 'work'
  // Out of a loop without end: what it waited for is there.
  if (last?.type === 'BreakStatement') return 'work'
  return null
}

/** 0, a negated errno, a result called in capitals (AGAIN, BUSY) or a field of a table of results. */
function isFailure(value: Node): boolean {
  if (value.type === 'Literal') return value.value === 0 || value.value === false
  if (value.type === 'UnaryExpression') return value.operator === '-'
  if (value.type === 'MemberExpression') return true
  return value.type === 'Identifier' && value.name === value.name.toUpperCase()
}
