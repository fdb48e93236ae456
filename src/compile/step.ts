// The transformation: one pass of edits over a module's text. Types go; a function that can reach a step becomes a
// generator; `readOnce(p)` becomes `(yield readOnce(p, place))` and a call of a stepping function `(yield* f(x))`.
// JavaScript evaluates operands from left to right in generators as anywhere, so nothing else has to move. Where a frame can
// stop it hashes what makes up its state on top of its caller's hash: `readOnce(p, $keep1($0, $1, place, x))` (frames.ts).
import MagicString from 'magic-string'
import type { CallExpression, Function as FunctionNode, Node } from 'oxc-parser'
import { walk } from 'oxc-walker'
import { eraseNode, type Respecify, skipsType } from './erase.ts'
import { type FramePlan, planFrame } from './frames.ts'
import type { Module } from './module.ts'
import { callSteps, isReplaced, type Program } from './program.ts'
import type { Site } from './sites.ts'
import { position, type Refusal, SourceRefused } from './source.ts'
import { isPlaced, isStep } from './stepped/ops.ts'

/** JavaScript made from one module. */
export interface SteppedCode {
  readonly code: string
  /** Source map, as JSON. */
  readonly map: string
  /** Places, of which the first has the number that was asked for. */
  readonly sites: readonly Site[]
  /** Numbers of its calls of stepping functions, which are no places. No two of a kernel are the same. */
  readonly calls: readonly number[]
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

/** Values that one call of a hashing function takes (`keep4`, `also4` in stepped/announce.ts). */
const AT_ONCE = 4

/** Turns `module` of `program` into stepped JavaScript. Throws `SourceRefused`. */
export function stepModule(program: Program, module: Module, options: StepOptions): SteppedCode {
  const { source } = module
  const edit = new MagicString(source.text)
  const refusals: Refusal[] = []
  const sites: Site[] = []
  const helpers = new Set<string>()
  const stepping: string[] = []
  const calls: number[] = []
  let inFunction = ''
  let plan: FramePlan | null = null

  const helper = (name: string): string => {
    helpers.add(name)
    return `$${name}`
  }

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
      if (program.steps(module, inFunction)) beginFunction(node)
    }
    return false
  }

  const beginFunction = (fn: FunctionNode): void => {
    stepping.push(inFunction)
    edit.appendLeft(source.text.indexOf('function', fn.start) + 'function'.length, '*')
    plan = planFrame(program, module, fn, refusals)
    const names = [...plan.temporaries.values()].map((name) => `, ${name}`).join('')
    if (plan.needed.size > 0) edit.appendLeft((fn.body as Node).start + 1, ` let $0 = ${helper('hash0')}, $1 = ${helper('hash1')}${names};`)
  }

  // Children are done by the time their call is left, so what they append at the same offset comes first.
  const leave = (node: Node, parent: Node | null): void => {
    if (node.type === 'CallExpression') editCall(node, parent)
    if (plan !== null) editFrame(node, plan)
    if (node.type === 'FunctionDeclaration') {
      inFunction = ''
      plan = null
    }
  }

  const editCall = (call: CallExpression, parent: Node | null): void => {
    const target = call.callee.type === 'Identifier' ? program.resolve(module, call.callee.name) : null
    const isInstruction = target !== null && isReplaced(target.path)
    const stops = callSteps(program.resolve, module, call)
    if (isInstruction && isPlaced(target.name)) {
      const number = options.firstSite + sites.length
      const waits = plan?.waiting.has(call) === true ? ({ waits: true } as const) : {}
      sites.push({ ...position(source, call.start), function: inFunction, instruction: target.name, ...waits })
      addArgument(call, isStep(target.name) ? hashed(call, number) : String(number))
    } else if (stops) {
      const number = callNumber(source.path, call.start)
      calls.push(number)
      addArgument(call, hashed(call, number))
    }
    if (!stops) return
    // A statement of its own needs no parentheses, and must not begin with one: the line before has no semicolon.
    const alone = parent?.type === 'ExpressionStatement'
    edit.prependRight(call.start, `${alone ? '' : '('}yield${isInstruction ? '' : '*'} `)
    if (!alone) edit.appendLeft(call.end, ')')
  }

  const addArgument = (call: CallExpression, text: string): void => {
    const last = call.arguments.at(-1)
    if (last === undefined) edit.appendLeft(call.end - 1, text)
    else edit.appendLeft(last.end, `, ${text}`)
  }

  /** The expression that hashes the frame where `call` stops; its value is `place`. */
  const hashed = (call: CallExpression, place: number): string => {
    const names = plan?.needed.get(call) ?? []
    let text = ''
    for (let i = 0; i === 0 || i < names.length; i += AT_ONCE) {
      const some = names.slice(i, i + AT_ONCE)
      const args = some.map((name) => `, ${name}`).join('')
      text = i === 0 ? `${helper(`keep${some.length}`)}($0, $1, ${place}${args})` : `${helper(`also${some.length}`)}(${text}${args})`
    }
    return text
  }

  const editFrame = (node: Node, { temporaries, spins }: FramePlan): void => {
    const temporary = temporaries.get(node)
    if (temporary !== undefined) {
      edit.prependRight(node.start, `(${temporary} = `)
      edit.appendLeft(node.end, ')')
    }
    const whole = spins.whole.get(node)
    if (whole !== undefined) {
      edit.prependRight(node.start, `{ ${helper('spinBegins')}(${whole ? 1 : 0}); `)
      edit.appendLeft(node.end, `; ${helper('spinEnds')}(0) }`)
    }
    const left = spins.leaving.get(node) ?? 0
    if (left === 0) return
    if (node.type === 'ReturnStatement' && node.argument !== null) {
      edit.prependRight(node.argument.start, `${helper('spinEnds')}(`.repeat(left))
      edit.appendLeft(node.argument.end, ')'.repeat(left))
    } else {
      edit.prependRight(node.start, `{ ${`${helper('spinEnds')}(0); `.repeat(left)}`)
      edit.appendLeft(node.end, ' }')
    }
  }

  walk(source.program, {
    enter(node, parent) {
      if (enter(node, parent)) this.skip()
    },
    leave,
  })
  if (refusals.length > 0) throw new SourceRefused(refusals)
  if (stepping.length > 0) {
    edit.append(`${source.text.endsWith('\n') ? '' : '\n'}${helper('compiled')}(${stepping.join(', ')})`)
    const up = module.source.path.includes('/') ? '../'.repeat(module.source.path.split('/').length - 1) : './'
    for (const file of ['frame-hash', 'announce']) {
      const names = [...helpers].filter((name) => name.startsWith('spin') === (file === 'announce'))
      const specifier = `${up}machine/${file}.ts`
      const list = names.map((name) => `${name} as $${name}`).join(', ')
      if (list !== '') edit.prepend(`import { ${list} } from '${options.respecify(specifier) ?? specifier}'; `)
    }
  }
  const map = edit.generateMap({ source: options.mapSource, includeContent: true, hires: 'boundary' })
  return { code: edit.toString(), map: map.toString(), sites, calls }
}

/** A number for the call at offset `at` of a file: different for each of the file, and as good as always for two files. */
function callNumber(path: string, at: number): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < path.length; i++) hash = Math.imul(hash ^ path.charCodeAt(i), 0x01000193)
  return Math.imul(hash ^ at, 0x9e3779b1)
}
