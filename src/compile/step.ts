// The transformation: one pass of edits over a module's text. Types go; a function that can reach a step becomes a
// generator; `readOnce(p)` becomes `(yield readOnce(p, place))` and a call of a stepping function `(yield* f(x))`.
// JavaScript evaluates operands from left to right in generators as anywhere, so nothing else has to move.
import MagicString from 'magic-string'
import type { CallExpression, Node } from 'oxc-parser'
import { walk } from 'oxc-walker'
import { eraseNode, type Respecify, skipsType } from './erase.ts'
import type { Module } from './module.ts'
import { callSteps, isReplaced, type Program } from './program.ts'
import type { Site } from './sites.ts'
import { position, type Refusal, SourceRefused } from './source.ts'
import { isPlaced } from './stepped/ops.ts'

/** JavaScript made from one module. */
export interface SteppedCode {
  readonly code: string
  /** Source map, as JSON. */
  readonly map: string
  /** Places, of which the first has the number that was asked for. */
  readonly sites: readonly Site[]
}

/** How to turn a module. */
export interface StepOptions {
  /** Number of the module's first place. */
  readonly firstSite: number
  /** Rewrites import specifiers. */
  readonly respecify: Respecify
  /** How the source is called in the map (a path or a URL). */
  readonly mapSource: string
}

/** Turns `module` of `program` into stepped JavaScript. Throws `SourceRefused`. */
export function stepModule(program: Program, module: Module, options: StepOptions): SteppedCode {
  const { source } = module
  const edit = new MagicString(source.text)
  const refusals: Refusal[] = []
  const sites: Site[] = []
  let inFunction = ''

  // Returns whether the node's children are dealt with.
  const enter = (node: Node, parent: Node | null): boolean => {
    if (skipsType(node, parent)) return true
    const erased = eraseNode(source, edit, node, options.respecify)
    if (erased === 'gone') return true
    if (typeof erased !== 'string') {
      refusals.push(erased)
      return true
    }
    if (node.type === 'FunctionDeclaration' && parent?.type !== 'BlockStatement' && node.id !== null) {
      inFunction = node.id.name
      if (program.steps(module, inFunction)) edit.appendLeft(source.text.indexOf('function', node.start) + 'function'.length, '*')
    }
    return false
  }

  // Children are done by the time their call is left, so what they append at the same offset comes first.
  const leave = (node: Node, parent: Node | null): void => {
    if (node.type === 'FunctionDeclaration') inFunction = ''
    if (node.type === 'CallExpression') editCall(node, parent)
  }

  const editCall = (call: CallExpression, parent: Node | null): void => {
    const target = call.callee.type === 'Identifier' ? program.resolve(module, call.callee.name) : null
    const isInstruction = target !== null && isReplaced(target.path)
    if (isInstruction && isPlaced(target.name)) {
      const number = options.firstSite + sites.length
      sites.push({ ...position(source, call.start), function: inFunction, instruction: target.name })
      const last = call.arguments.at(-1)
      if (last === undefined) edit.appendLeft(call.end - 1, String(number))
      else edit.appendLeft(last.end, `, ${number}`)
    }
    if (!callSteps(program.resolve, module, call)) return
    // A statement of its own needs no parentheses, and must not begin with one: the line before has no semicolon.
    const alone = parent?.type === 'ExpressionStatement'
    edit.prependRight(call.start, `${alone ? '' : '('}yield${isInstruction ? '' : '*'} `)
    if (!alone) edit.appendLeft(call.end, ')')
  }

  walk(source.program, {
    enter(node, parent) {
      if (enter(node, parent)) this.skip()
    },
    leave,
  })
  if (refusals.length > 0) throw new SourceRefused(refusals)
  const map = edit.generateMap({ source: options.mapSource, includeContent: true, hires: 'boundary' })
  return { code: edit.toString(), map: map.toString(), sites }
}
