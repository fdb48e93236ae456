// The one shape of a spinlock's fast path, `if (cmpxchg(lock, 0, 1) !== 0) slow(lock)`, where `slow` does nothing but look
// until the word is 0 and try again. Executors may take such a `cmpxchg` as one step that waits until it can succeed: what
// lies between changes nothing (statistics aside, which plain code around the loop may keep).
import type { CallExpression, Function as FunctionNode, Node, Statement } from 'oxc-parser'
import { walk } from 'oxc-walker'
import { ANNOTATIONS_MODULE, INSTRUCTIONS_MODULE, type Module } from './module.ts'
import { callSteps, type Program } from './program.ts'
import { bare } from './source.ts'

/** The `cmpxchg` calls of `fn` that only wait where they fail. */
export function waitingTries(program: Program, module: Module, fn: FunctionNode): ReadonlySet<CallExpression> {
  const calls = (node: Node | undefined, path: string, name: string): node is CallExpression => {
    if (node?.type !== 'CallExpression' || node.callee.type !== 'Identifier') return false
    const target = program.resolve(module, node.callee.name)
    return target?.path === path && target.name === name
  }
  const isInstruction = (node: Node | undefined, name: string): node is CallExpression => calls(node, INSTRUCTIONS_MODULE, name)
  const isMark = (node: Node): boolean => calls(node, ANNOTATIONS_MODULE, 'reached')
  /** Marks change nothing. */
  const unmarked = (test: Node): Node => {
    const node = bare(test)
    return node.type === 'LogicalExpression' && isMark(node.left) ? bare(node.right) : node
  }
  /** A statement, or the only one of a block. */
  const only = (statement: Statement): Statement | undefined => {
    if (statement.type !== 'BlockStatement') return statement
    const rest = statement.body.filter((one) => one.type !== 'ExpressionStatement' || !isMark(one.expression))
    return rest.length === 1 ? rest[0] : undefined
  }
  const steps = (node: Node): boolean => {
    let found = false
    walk(node, {
      enter(inner) {
        if (inner.type === 'CallExpression' && callSteps(program.resolve, module, inner)) found = true
      },
    })
    return found
  }
  /** `call(word, …) !== free`, as that call, the word's name and what it is compared with. */
  const comparison = (test: Node, name: string): { call: CallExpression; word: string; free: unknown } | null => {
    const node = unmarked(test)
    if (node.type !== 'BinaryExpression' || node.operator !== '!==') return null
    const call = bare(node.left)
    const free = bare(node.right)
    const word = isInstruction(call, name) ? call.arguments[0] : undefined
    if (!isInstruction(call, name) || word?.type !== 'Identifier' || free.type !== 'Literal') return null
    return { call, word: word.name, free: free.value }
  }
  /** Literal operands of a `cmpxchg`, if the first is `free`. */
  const operands = (call: CallExpression, free: unknown): string | null => {
    const [, expected, value] = call.arguments
    return expected?.type === 'Literal' && value?.type === 'Literal' && expected.value === free ? `${expected.raw} ${value.raw}` : null
  }
  const onlyTriesAgain = (slow: FunctionNode, tried: string): boolean => {
    const param = slow.params[0]
    if (slow.params.length !== 1 || param?.type !== 'Identifier') return false
    const stepping = (slow.body?.body ?? []).filter((statement) => steps(statement))
    const [loop] = stepping
    if (stepping.length !== 1 || loop?.type !== 'DoWhileStatement') return false
    const again = comparison(loop.test, 'cmpxchg')
    if (again === null || again.word !== param.name || operands(again.call, again.free) !== tried) return false
    const wait = only(loop.body)
    if (wait?.type !== 'WhileStatement') return false
    const look = comparison(wait.test, 'readOnce')
    const rest = only(wait.body)
    return (
      look !== null &&
      look.word === param.name &&
      look.free === again.free &&
      rest?.type === 'ExpressionStatement' &&
      isInstruction(rest.expression, 'relax')
    )
  }

  const found = new Set<CallExpression>()
  walk(fn.body as Node, {
    enter(node) {
      if (node.type !== 'IfStatement' || node.alternate !== null) return
      const first = comparison(node.test, 'cmpxchg')
      const tried = first === null ? null : operands(first.call, first.free)
      const then = only(node.consequent)
      if (first === null || tried === null || then?.type !== 'ExpressionStatement') return
      const { expression } = then
      if (expression.type !== 'CallExpression' || expression.callee.type !== 'Identifier' || expression.arguments.length !== 1) return
      const [word] = expression.arguments
      const slow = module.functions.get(expression.callee.name)
      if (word?.type === 'Identifier' && word.name === first.word && slow !== undefined && onlyTriesAgain(slow.node, tried)) {
        found.add(first.call)
      }
    },
  })
  return found
}
