// The rules inside a function of the kernel: numbers in, numbers out, locals that are numbers, calls by name. It is a
// list of what is allowed; everything else is refused, with its own reason where one helps.
import type { Function as FunctionNode, Node } from 'oxc-parser'
import { walk } from 'oxc-walker'
import { designMember, type Module } from './module.ts'

type Say = (node: { start: number }, reason: string) => void

/** Why a kind of node is refused. */
export const FORBIDDEN: Readonly<Record<string, string>> = Object.freeze({
  ArrowFunctionExpression: 'a closure (arrow function)',
  FunctionExpression: 'a closure (function expression)',
  FunctionDeclaration: 'a function inside a function',
  ClassDeclaration: 'a class',
  ClassExpression: 'a class',
  AwaitExpression: 'await',
  YieldExpression: 'yield: the stepped build makes the generators',
  TryStatement: 'try: errors are errno numbers',
  ThrowStatement: 'throw: errors are errno numbers',
  SpreadElement: 'spread',
  RestElement: 'a rest parameter',
  ObjectPattern: 'destructuring',
  ArrayPattern: 'destructuring',
  ObjectExpression: 'an object literal inside a function',
  ArrayExpression: 'an array literal inside a function',
  TemplateLiteral: 'a template literal',
  TaggedTemplateExpression: 'a template literal',
  ForOfStatement: 'for-of',
  ForInStatement: 'for-in',
  NewExpression: 'new',
  ChainExpression: 'optional chaining',
  ThisExpression: 'this',
  Super: 'super',
  MetaProperty: 'import.meta or new.target',
  SequenceExpression: 'a comma expression',
  AssignmentPattern: 'a default parameter',
  ImportExpression: 'a dynamic import',
  DebuggerStatement: 'debugger',
})

const ALLOWED = new Set([
  ...[
    'BlockStatement',
    'VariableDeclaration',
    'VariableDeclarator',
    'ExpressionStatement',
    'IfStatement',
    'ForStatement',
    'WhileStatement',
  ],
  ...['DoWhileStatement', 'ReturnStatement', 'BreakStatement', 'ContinueStatement', 'LabeledStatement', 'SwitchStatement', 'SwitchCase'],
  ...['EmptyStatement', 'Identifier', 'Literal', 'UnaryExpression', 'BinaryExpression', 'LogicalExpression', 'ConditionalExpression'],
  ...['AssignmentExpression', 'UpdateExpression', 'CallExpression', 'MemberExpression', 'ParenthesizedExpression', 'TSAsExpression'],
  ...['TSNumberKeyword', 'TSTypeAnnotation'],
])

const MATH = new Set(['clz32', 'imul', 'min', 'max', 'trunc', 'floor', 'ceil', 'abs', 'sign'])
const OPERATORS = new Set(['=', '+=', '-=', '*=', '/=', '%=', '&=', '|=', '^=', '<<=', '>>=', '>>>=', '**='])

/** Checks a module-level function. */
export function checkFunction(module: Module, fn: FunctionNode, say: Say): void {
  const name = fn.id?.name ?? '(unnamed)'
  if (fn.async) say(fn, `async function ${name}`)
  if (fn.generator) say(fn, `generator ${name}: the stepped build makes the generators`)
  if (fn.typeParameters !== null && fn.typeParameters !== undefined) say(fn.typeParameters, `type parameters of ${name}`)
  if (fn.body === null) {
    say(fn, `function ${name} without a body`)
    return
  }
  const locals = new Set<string>()
  const declare = (node: Node & { type: 'Identifier' }): void => {
    if (module.kinds.has(node.name) || module.imports.has(node.name)) say(node, `'${node.name}' hides a module-level name`)
    locals.add(node.name)
  }
  for (const param of fn.params) {
    if (param.type !== 'Identifier') say(param, FORBIDDEN[param.type] ?? 'a parameter that is not a plain name')
    else {
      declare(param)
      if ('optional' in param && (param.optional as boolean)) say(param, 'an optional parameter')
      else if (!isNumeric(param.typeAnnotation?.typeAnnotation.type))
        say(param, `parameter '${param.name}' is not ': number' or ': boolean'`)
    }
  }
  const returns = fn.returnType?.typeAnnotation.type
  if (returns !== 'TSNumberKeyword' && returns !== 'TSBooleanKeyword' && returns !== 'TSVoidKeyword') {
    say(fn, `${name} does not declare that it returns number, boolean or void`)
  }
  walk(fn.body, {
    enter: (node) => void (node.type === 'VariableDeclarator' && node.id.type === 'Identifier' && declare(node.id)),
  })
  walk(fn.body, {
    enter(node, parent, { key }) {
      const reason = FORBIDDEN[node.type]
      if (reason !== undefined) {
        say(node, reason)
        return this.skip()
      }
      if (!ALLOWED.has(node.type)) {
        say(node, `${node.type} is not kernel code`)
        return this.skip()
      }
      if (node.type === 'TSTypeAnnotation') return this.skip()
      checkNode(module, locals, node, parent, key, say)
      return undefined
    },
  })
}

function checkNode(module: Module, locals: ReadonlySet<string>, node: Node, parent: Node | null, key: unknown, say: Say): void {
  switch (node.type) {
    case 'Literal':
      if (typeof node.value !== 'number' && typeof node.value !== 'boolean') say(node, literalReason(node))
      break
    case 'VariableDeclaration':
      if (node.kind !== 'let' && node.kind !== 'const') say(node, `a local ${node.kind}`)
      break
    case 'VariableDeclarator': {
      if (node.id.type !== 'Identifier') break
      const type = node.id.typeAnnotation?.typeAnnotation.type
      if (type === undefined ? node.init === null : !isNumeric(type)) {
        say(node, `local '${node.id.name}' is not a number or boolean`)
      }
      break
    }
    case 'ExpressionStatement': {
      const { type } = node.expression
      // A line has no semicolon at its end, so that a statement must not begin with a parenthesis once it yields.
      if (type !== 'CallExpression' && type !== 'AssignmentExpression' && type !== 'UpdateExpression' && FORBIDDEN[type] === undefined) {
        say(node, 'a statement that is neither a call nor an assignment')
      }
      break
    }
    case 'UnaryExpression':
      if (node.operator === 'typeof' || node.operator === 'void' || node.operator === 'delete') say(node, node.operator)
      break
    case 'BinaryExpression':
      if (node.operator === 'in' || node.operator === 'instanceof') say(node, `'${node.operator}'`)
      break
    case 'LogicalExpression':
      if (node.operator === '??') say(node, `'??'`)
      break
    case 'AssignmentExpression':
    case 'UpdateExpression': {
      const left = node.type === 'AssignmentExpression' ? node.left : node.argument
      if (left.type !== 'Identifier' || !locals.has(left.name)) say(node, 'an assignment to something other than a local')
      if (node.type === 'AssignmentExpression' && !OPERATORS.has(node.operator)) say(node, `'${node.operator}'`)
      break
    }
    case 'CallExpression':
      checkCall(module, locals, node, say)
      break
    case 'MemberExpression':
      checkMember(module, locals, node, parent, key, say)
      break
    case 'TSAsExpression':
      if (node.typeAnnotation.type !== 'TSNumberKeyword') say(node, `'as' something other than number`)
      break
    case 'Identifier':
      checkName(module, locals, node, parent, key, say)
  }
}

function isNumeric(type: string | undefined): boolean {
  return type === 'TSNumberKeyword' || type === 'TSBooleanKeyword'
}

function literalReason(node: Node & { type: 'Literal' }): string {
  if ('bigint' in node) return 'a BigInt'
  if ('regex' in node) return 'a regular expression'
  return typeof node.value === 'string' ? 'a string inside a function' : `${node.raw} inside a function`
}

function checkCall(module: Module, locals: ReadonlySet<string>, node: Node & { type: 'CallExpression' }, say: Say): void {
  const { callee } = node
  if (callee.type === 'Identifier') {
    const kind = module.kinds.get(callee.name)
    const known = kind === 'function' || module.imports.has(callee.name)
    if (locals.has(callee.name) || (kind !== undefined && kind !== 'function')) say(node, `an indirect call (of '${callee.name}')`)
    else if (!known) say(node, `access to '${callee.name}', which is neither declared nor imported`)
  } else if (callee.type !== 'MemberExpression' || (designMember(module, callee) === null && !isMath(callee))) {
    say(node, 'an indirect call other than through the design')
  }
}

function isMath(node: Node & { type: 'MemberExpression' }): boolean {
  return (
    node.object.type === 'Identifier' && node.object.name === 'Math' && node.property.type === 'Identifier' && MATH.has(node.property.name)
  )
}

function checkMember(
  module: Module,
  locals: ReadonlySet<string>,
  node: Node & { type: 'MemberExpression' },
  parent: Node | null,
  key: unknown,
  say: Say,
): void {
  const called = parent?.type === 'CallExpression' && key === 'callee'
  if (node.object.type !== 'Identifier') say(node, 'a field of something other than a module-level table')
  else if (locals.has(node.object.name)) say(node, `a field of local '${node.object.name}'`)
  else if (node.object.name === 'Math') {
    if (!isMath(node)) say(node, 'a field of Math that is not arithmetic on numbers')
  } else if (
    !called &&
    designMember(module, node) === null &&
    !module.kinds.has(node.object.name) &&
    !module.imports.has(node.object.name)
  ) {
    say(node, `access to '${node.object.name}'`)
  }
}

function checkName(
  module: Module,
  locals: ReadonlySet<string>,
  node: Node & { type: 'Identifier' },
  parent: Node | null,
  key: unknown,
  say: Say,
): void {
  if (parent?.type === 'VariableDeclarator' && key === 'id') return
  if (parent?.type === 'MemberExpression' && (key === 'object' || (key === 'property' && !parent.computed))) return
  if (key === 'label') return
  if (parent?.type === 'CallExpression' && key === 'callee') return
  if (locals.has(node.name)) return
  const kind = module.kinds.get(node.name)
  if (kind === 'function') say(node, `function '${node.name}' as a value`)
  else if (kind === 'table' || kind === 'design-table') say(node, `table '${node.name}' as a value`)
  else if (kind === undefined && !module.imports.has(node.name))
    say(node, `access to '${node.name}', which is neither declared nor imported`)
}
