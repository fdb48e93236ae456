// Loops that wait: those with a `relax` of their own. A CPU that comes round such a loop having only looked is where it was,
// and an executor may let it wait for a change of what it looked at. For that the stepped code says where a loop begins and
// ends, and whether its very first turn, too, is a whole one.
import type { CallExpression, Function as FunctionNode, Node, Statement } from 'oxc-parser'
import { walk } from 'oxc-walker'
import type { Names } from './liveness.ts'
import { assignedIn } from './pending.ts'

type Loop = Extract<Statement, { type: 'WhileStatement' | 'DoWhileStatement' | 'ForStatement' }>

/** The loops of one function that wait. */
export interface SpinLoops {
  /** The statement of each loop, labels included → whether its turns, the first included, begin and end in the same state. */
  readonly whole: ReadonlyMap<Node, boolean>
  /** `return`, `break label` and `continue label` inside them → how many they leave without passing their ends. */
  readonly leaving: ReadonlyMap<Node, number>
  /** `relax` outside any loop. */
  readonly stray: readonly CallExpression[]
}

/** Finds them in `fn`; `heads` are its loops' locals that are needed where a turn begins. */
export function findSpinLoops(fn: FunctionNode, isRelax: (call: CallExpression) => boolean, heads: ReadonlyMap<Node, Names>): SpinLoops {
  const around: Node[] = []
  const stray: CallExpression[] = []
  const relaxes = new Map<Loop, CallExpression[]>()
  const statementOf = new Map<Loop, Node>()
  const jumps: { node: Node; around: readonly Node[] }[] = []
  walk(fn.body as Node, {
    enter(node) {
      if (isLoop(node)) {
        let first = around.length
        while (around[first - 1]?.type === 'LabeledStatement') first--
        statementOf.set(node, around[first] ?? node)
      }
      around.push(node)
      if (node.type === 'CallExpression' && isRelax(node)) {
        const loop = around.filter(isLoop).at(-1)
        if (loop === undefined) stray.push(node)
        else relaxes.set(loop, [...(relaxes.get(loop) ?? []), node])
      }
      const isJump = node.type === 'ReturnStatement' || node.type === 'BreakStatement' || node.type === 'ContinueStatement'
      if (isJump) jumps.push({ node, around: [...around] })
    },
    leave: () => void around.pop(),
  })
  const whole = new Map<Node, boolean>()
  for (const [loop, calls] of relaxes) {
    whole.set(statementOf.get(loop) as Node, isWhole(loop, calls, heads.get(loop) ?? new Set()))
  }
  const leaving = new Map<Node, number>()
  for (const { node, around: path } of jumps) {
    const loops = path.filter((one): one is Loop => isLoop(one) && relaxes.has(one))
    if (loops.length === 0) continue
    const left = loops.filter((loop) => leaves(node, loop, path)).length
    if (left > 0) leaving.set(node, left)
  }
  return { whole, leaving, stray }
}

function isLoop(node: Node): node is Loop {
  return node.type === 'WhileStatement' || node.type === 'DoWhileStatement' || node.type === 'ForStatement'
}

/** Whether the jump `node` goes past the statement of `loop` without reaching its end. */
function leaves(node: Node, loop: Loop, path: readonly Node[]): boolean {
  if (node.type === 'ReturnStatement') return true
  if ((node.type !== 'BreakStatement' && node.type !== 'ContinueStatement') || node.label === null) return false
  const name = node.label.name
  const at = path.findIndex((one) => one.type === 'LabeledStatement' && one.label.name === name)
  // The label's own loop ends, or goes on, by itself.
  let target = at
  while (path[target]?.type === 'LabeledStatement') target++
  return path.indexOf(loop) > target
}

/**
 * Whether a turn that only looks comes back to where it began: what is executed between the last `relax` and the head of
 * the loop is nothing, and no local that is needed at the head is assigned in the loop.
 */
function isWhole(loop: Loop, relaxes: readonly CallExpression[], head: Names): boolean {
  if (loop.type === 'DoWhileStatement' || (loop.type === 'ForStatement' && loop.update !== null)) return false
  const last = tails(loop.body)
  if (!relaxes.every((call) => last.includes(call))) return false
  const assigned = assignedIn(loop.test === null ? [loop.body] : [loop.test, loop.body])
  return [...assigned].every((name) => !head.has(name))
}

/** The calls that can be the last thing that `statement` does. */
function tails(statement: Statement): Node[] {
  if (statement.type === 'ExpressionStatement') return [statement.expression]
  if (statement.type === 'IfStatement')
    return [statement.consequent, ...(statement.alternate === null ? [] : [statement.alternate])].flatMap(tails)
  const last = statement.type === 'BlockStatement' ? statement.body.at(-1) : undefined
  return last === undefined ? [] : tails(last)
}
