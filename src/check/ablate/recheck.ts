// Checks that ask whether something changed, forced to "unchanged". A check is one comparison (or call) inside a condition:
// of if, while, do, ?:, of a returned truth value, or of a local truth value that is tested later. It counts when it
//  - looks at what an atomic found, or at a map that may fail; or
//  - looks at a marked read and is no mere test for "nothing there" (with 0, pteNone, upperNone, …); or
//  - is such a test, but the function has read the same word above, or holds a lock or section by then, and the test does
//    not belong to a walk (a for loop with a step, over entries); or
//  - stands in `PLAIN`: checks of words that a lock just taken protects, which are read plain.
// The look itself stays: `c` becomes `(c || true)` or `(c && false)`.
import type { Node } from 'oxc-parser'
import { walk } from 'oxc-walker'
import { bare } from '../../compile/source.ts'
import { type Condition, unchangedOutcome } from './direction.ts'
import { type FunctionText, type KernelText, replace, siteAt, textOf } from './kernel-text.ts'
import { readers, type SharedReads, sharedReads } from './shared-reads.ts'
import type { UnnamedSite, Variant } from './site.ts'

/** Checks whose words are read plain, or counted: `file#function: text` → what "unchanged" makes of it. */
export const PLAIN: Readonly<Record<string, boolean>> = Object.freeze({
  'design/vma-lock.ts#vmaStartRead: owner !== mm': false,
  'design/vma-lock.ts#lockVmaUnderRcu: vpn >= load(vma + Vma.start)': true,
  'design/vma-lock.ts#lockVmaUnderRcu: vpn < load(vma + Vma.end)': true,
  'design/vma-lock-seq.ts#findAndLockVma: load(vma + Vma.detached) === 0': true,
  'design/vma-lock-seq.ts#isSuitable: vpn < load(vma + Vma.start)': false,
  'design/vma-lock-seq.ts#isSuitable: vpn >= load(vma + Vma.end)': false,
  'design/speculative.ts#mapLockSpeculatively: readSeqcountRetry(mm + Mm.mmLockSeq, seq) !== 0': false,
  'design/rcu-fault.ts#faultOnVma: readOnce(vma + Vma.refcnt) === 0': false,
  'design/rcu-fault.ts#faultOnVma: vpn < load(copy + Vma.start)': false,
  'vma/anon-vma.ts#anonVmaPrepare: load(vma + Vma.anonVma) === 0': true,
  'pagetable/table-alloc.ts#pteFragmentFromFreshPage: load(mm + Mm.pteFragment) === 0': true,
  'pagetable/move-page-tables.ts#movePtes: newPtl !== oldPtl': true,
  'memory/page-cache.ts#filemapAddPage: page === 0': true,
  'sync/srcu.ts#driveSrcu: load(domain + Srcu.phase) === 0': false,
  'sync/rcu.ts#driveGracePeriod: waiting === 0': true,
  'design/vma-lock.ts#enterLocked: count === 0': false,
  'sync/refcount.ts#refcountIncNotZero: old === 0': false,
  'sync/rwsem.ts#grant: (count & ~WAITERS) !== 0': false,
  'sync/rwsem.ts#grant: (count & WRITER) !== 0': false,
})

/** Flags of an entry that say what it is, not whether it is still the one. */
const FACTS = /Pte\.(special|dirty)/

const NOTHING_THERE = new Set(['pteNone', 'ptePresent', 'upperNone', 'upperIsTable'])

/** The sites of checks. */
export function recheckSites(kernel: KernelText): UnnamedSite[] {
  const known = readers(kernel)
  return kernel.functions.flatMap((fn) => {
    const reads = sharedReads(fn, known)
    const check = (condition: Condition, node: Node): UnnamedSite => {
      const plain = PLAIN[keyOf(fn, node)]
      const outcome = plain ?? unchangedOutcome(kernel, fn, condition, node, reads.looks(node).look)
      const explanation = outcome === null ? 'the check is not heeded, one way or the other' : `the check is taken to be ${outcome}`
      const variants = outcome === null ? [forced(fn, node, true), forced(fn, node, false)] : [{ ...forced(fn, node, outcome), name: '' }]
      return siteAt(fn, node, { operator: 'recheck', explanation, variants })
    }
    return conditions(kernel, fn).flatMap((condition) => {
      const checks = atoms(condition.test).filter((atom) => PLAIN[keyOf(fn, atom)] !== undefined || isCheck(kernel, fn, reads, atom))
      const sites = checks.map((atom) => check(condition, atom))
      // Parts of a condition may stand in for each other: so the whole is a site too.
      if (checks.length > 1 && bare(condition.test).type === 'LogicalExpression') sites.push(check(condition, bare(condition.test)))
      return sites
    })
  })
}

function keyOf(fn: FunctionText, atom: Node): string {
  return `${fn.module.source.path}#${fn.name}: ${textOf(fn, atom)}`
}

function forced(fn: FunctionText, node: Node, outcome: boolean): Variant {
  const text = node.type === 'LogicalExpression' ? `(${textOf(fn, node)})` : textOf(fn, node)
  return { name: String(outcome), edits: [replace(fn, node, outcome ? `(${text} || true)` : `(${text} && false)`)] }
}

function conditions(kernel: KernelText, fn: FunctionText): Condition[] {
  const found: Condition[] = []
  const truthValue = fn.fn.node.returnType?.typeAnnotation.type === 'TSBooleanKeyword'
  walk(fn.fn.node, {
    enter(node) {
      if (node.type === 'IfStatement' || node.type === 'DoWhileStatement' || node.type === 'ConditionalExpression') {
        if (node.type !== 'ConditionalExpression' || !isInTest(kernel, node)) found.push({ test: node.test, owner: node })
      } else if (node.type === 'WhileStatement') {
        if (!isWaiting(fn, node)) found.push({ test: node.test, owner: node })
      } else if (node.type === 'ReturnStatement' && node.argument !== null && truthValue) {
        if (bare(node.argument).type !== 'Literal') found.push({ test: node.argument, owner: node })
      } else if (node.type === 'VariableDeclarator' && node.init !== null && isTruth(kernel, node.init)) {
        found.push({ test: node.init, owner: node })
      }
    },
  })
  return found
}

/** A loop that gives the CPU away is a wait, not a check; see `callSites`. */
function isWaiting(fn: FunctionText, loop: Node): boolean {
  return fn.calls.some(({ name, node }) => (name === 'relax' || name === 'futexWait') && node.start >= loop.start && node.end <= loop.end)
}

/** A conditional inside a condition belongs to it. */
function isInTest(kernel: KernelText, node: Node): boolean {
  const parent = kernel.parent(node)
  return parent !== null && (parent.type === 'IfStatement' || parent.type === 'WhileStatement') && parent.test === node
}

const COMPARISONS = new Set(['===', '!==', '<', '<=', '>', '>='])

/** Whether an initialiser is a truth value. */
function isTruth(kernel: KernelText, init: Node): boolean {
  const node = bare(init)
  if (node.type === 'BinaryExpression') return COMPARISONS.has(node.operator)
  if (node.type === 'LogicalExpression' || (node.type === 'UnaryExpression' && node.operator === '!')) return true
  if (node.type !== 'CallExpression' || node.callee.type !== 'Identifier') return false
  const { name } = node.callee
  return kernel.functions.some((fn) => fn.name === name && fn.fn.node.returnType?.typeAnnotation.type === 'TSBooleanKeyword')
}

/** The comparisons and calls that a condition consists of. */
function atoms(test: Node): Node[] {
  const node = bare(test)
  if (node.type === 'LogicalExpression') return [...atoms(node.left), ...atoms(node.right)]
  if (node.type === 'UnaryExpression' && node.operator === '!') return atoms(node.argument)
  if (node.type === 'ConditionalExpression') return [...atoms(node.test), ...atoms(node.consequent), ...atoms(node.alternate)]
  if (node.type === 'BinaryExpression') return COMPARISONS.has(node.operator) ? [node] : []
  return node.type === 'CallExpression' ? [node] : []
}

function isCheck(kernel: KernelText, fn: FunctionText, reads: SharedReads, atom: Node): boolean {
  const { look, words } = reads.looks(atom)
  if (look === 'none' || FACTS.test(textOf(fn, atom))) return false
  if (look !== 'read' || !asksForNothing(atom)) return true
  return (reads.acquiredBefore(atom) || reads.readBefore(atom, words)) && !isInWalk(kernel, fn, atom)
}

/** A comparison with 0, or a predicate that says whether something is there. */
function asksForNothing(atom: Node): boolean {
  if (atom.type === 'CallExpression') return atom.callee.type === 'Identifier' && NOTHING_THERE.has(atom.callee.name)
  return atom.type === 'BinaryExpression' && atom.right.type === 'Literal' && atom.right.value === 0
}

/** Inside a for loop that counts, or a while loop that compares: the words differ from turn to turn. */
function isInWalk(kernel: KernelText, fn: FunctionText, atom: Node): boolean {
  for (let at: Node | null = atom; at !== null && at !== fn.fn.node; at = kernel.parent(at)) {
    if (at.type === 'ForStatement' && at.test !== null) return true
    if (at.type === 'WhileStatement') return true
  }
  return false
}
