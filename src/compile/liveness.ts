// Which locals a stepping function still needs at each call that can stop it: the classical backward analysis on the tree.
// A stopped frame is then its place and these values; what else its generator remembers can have no effect. Values that
// JavaScript keeps without a name (`a() + b()` holds a's result while b runs) are in pending.ts.
import type { CallExpression, Expression, ForStatement, Function as FunctionNode, Node, Statement } from 'oxc-parser'
import { assignedIn, type Pending, type Temporaries } from './pending.ts'

/** Names, in no order. */
export type Names = ReadonlySet<string>

const NONE: Names = new Set()

/** What is needed where in one function. */
export interface Liveness {
  /** For each call that can stop: the locals and temporaries that are needed once it returns. */
  readonly needed: ReadonlyMap<CallExpression, Names>
  /** For each loop: the locals that are needed when a turn begins. */
  readonly heads: ReadonlyMap<Node, Names>
}

/** Where control goes on after `break`, `continue` and labelled ones. */
interface Exits {
  readonly leave: Names
  readonly repeat: Names
  readonly labels: ReadonlyMap<string, { readonly leave: Names; readonly repeat: Names }>
}

/**
 * Analyses `fn`. `locals` are its parameters and variables, no two of which have one name in nested scopes; `stops` says which
 * calls can stop. Temporaries that are needed are asked of `temporaries`. Throws on syntax that kernel code does not have.
 */
export function analyseLiveness(
  fn: FunctionNode,
  locals: Names,
  stops: (call: CallExpression) => boolean,
  temporaries: Temporaries,
): Liveness {
  const needed = new Map<CallExpression, Names>()
  const heads = new Map<Node, Names>()

  /** `after`: what is needed after `node`; `pending`: operands to its left that wait for it. Returns what is needed before. */
  const expression = (node: Expression, after: Names, pending: readonly Pending[]): Names => {
    switch (node.type) {
      case 'Identifier':
        return locals.has(node.name) ? plus(after, node.name) : after
      case 'Literal':
        return after
      case 'ParenthesizedExpression':
      case 'TSAsExpression':
      case 'TSSatisfiesExpression':
      case 'TSNonNullExpression':
        return expression(node.expression, after, pending)
      case 'UnaryExpression':
        return expression(node.argument, after, pending)
      case 'UpdateExpression':
        return expression(node.argument as Expression, after, pending)
      case 'BinaryExpression':
        return operands([node.left as Expression, node.right], after, pending)
      case 'LogicalExpression':
        return expression(node.left, union(expression(node.right, after, pending), after), pending)
      case 'ConditionalExpression': {
        const branches = union(expression(node.consequent, after, pending), expression(node.alternate, after, pending))
        return expression(node.test, branches, pending)
      }
      case 'AssignmentExpression': {
        if (node.left.type !== 'Identifier') throw new Unknown(node, 'an assignment to something other than a local')
        const before = minus(after, node.left.name)
        if (node.operator === '=') return expression(node.right, before, pending)
        const own: Pending = { node: node.left, isTarget: true, changed: assignedIn([node.right]) }
        return plus(expression(node.right, before, [...pending, own]), node.left.name)
      }
      case 'CallExpression': {
        const args = node.arguments as Expression[]
        if (stops(node)) needed.set(node, union(after, temporaries.needed(pending)))
        return operands(args, after, pending)
      }
      case 'MemberExpression':
        return node.computed ? expression(node.property as Expression, after, pending) : after
      default:
        throw new Unknown(node, node.type)
    }
  }

  const operands = (list: readonly Expression[], after: Names, pending: readonly Pending[]): Names => {
    let names = after
    for (let i = list.length - 1; i >= 0; i--) {
      const left = list.slice(0, i).map((node, j): Pending => ({ node, changed: assignedIn(list.slice(j + 1, i + 1)) }))
      names = expression(list[i] as Expression, names, [...pending, ...left])
    }
    return names
  }

  const statements = (list: readonly Statement[], after: Names, exits: Exits): Names => {
    let names = after
    for (let i = list.length - 1; i >= 0; i--) names = statement(list[i] as Statement, names, exits, [])
    return names
  }

  const statement = (node: Statement, after: Names, exits: Exits, labels: readonly string[]): Names => {
    switch (node.type) {
      case 'BlockStatement': {
        const inner = labels.reduce((to, label) => labelled(to, label, after, NONE), exits)
        return statements(node.body, after, inner)
      }
      case 'EmptyStatement':
        return after
      case 'ExpressionStatement':
        return expression(node.expression, after, [])
      case 'VariableDeclaration': {
        let names = after
        for (const { id, init } of [...node.declarations].reverse()) {
          if (id.type !== 'Identifier') throw new Unknown(id, 'destructuring')
          names = minus(names, id.name)
          if (init !== null) names = expression(init, names, [])
        }
        return names
      }
      case 'IfStatement': {
        const otherwise = node.alternate === null ? after : statement(node.alternate, after, exits, [])
        return expression(node.test, union(statement(node.consequent, after, exits, []), otherwise), [])
      }
      case 'ReturnStatement':
        return node.argument === null ? NONE : expression(node.argument, NONE, [])
      case 'BreakStatement':
        return node.label === null ? exits.leave : (exits.labels.get(node.label.name)?.leave ?? NONE)
      case 'ContinueStatement':
        return node.label === null ? exits.repeat : (exits.labels.get(node.label.name)?.repeat ?? NONE)
      case 'LabeledStatement':
        return statement(node.body, after, exits, [...labels, node.label.name])
      case 'WhileStatement':
      case 'DoWhileStatement':
      case 'ForStatement':
        return loop(node, after, exits, labels)
      case 'SwitchStatement': {
        const inner: Exits = { ...exits, leave: after }
        const bodies: Names[] = []
        let next = after
        for (const { consequent } of [...node.cases].reverse()) {
          next = statements(consequent, next, inner)
          bodies.unshift(next)
        }
        const fallback = node.cases.findIndex(({ test }) => test === null)
        let names = fallback < 0 ? after : (bodies[fallback] as Names)
        for (let i = node.cases.length - 1; i >= 0; i--) {
          const test = node.cases[i]?.test ?? null
          const changed = assignedIn(node.cases.flatMap((one) => (one.test === null ? [] : [one.test])))
          if (test !== null) names = expression(test, union(bodies[i] as Names, names), [{ node: node.discriminant, changed }])
        }
        return expression(node.discriminant, names, [])
      }
      default:
        throw new Unknown(node, node.type)
    }
  }

  const loop = (
    node: ForStatement | Extract<Statement, { type: 'WhileStatement' | 'DoWhileStatement' }>,
    after: Names,
    exits: Exits,
    labels: readonly string[],
  ): Names => {
    const turn = (repeat: Names): Names => {
      let inner: Exits = { ...exits, leave: after, repeat }
      for (const label of labels) inner = labelled(inner, label, after, repeat)
      return statement(node.body, repeat, inner, [])
    }
    // What is needed where a turn begins: the test, but for do-while the body.
    let head: Names = NONE
    for (;;) {
      let found: Names
      if (node.type === 'DoWhileStatement') found = turn(expression(node.test, union(head, after), []))
      else {
        const update = node.type === 'ForStatement' && node.update !== null ? expression(node.update, head, []) : head
        const body = turn(update)
        found = node.test === null ? body : expression(node.test, union(body, after), [])
      }
      found = union(found, head)
      if (found.size === head.size) break
      head = found
    }
    heads.set(node, head)
    if (node.type !== 'ForStatement' || node.init === null) return head
    return node.init.type === 'VariableDeclaration' ? statement(node.init, head, exits, []) : expression(node.init, head, [])
  }

  statements(fn.body?.body as Statement[], NONE, { leave: NONE, repeat: NONE, labels: new Map() })
  return { needed, heads }
}

/** Syntax that the analysis does not know. */
export class Unknown extends Error {
  readonly start: number
  constructor(node: { start: number }, what: string) {
    super(what)
    this.start = node.start
  }
}

function labelled(exits: Exits, label: string, leave: Names, repeat: Names): Exits {
  return { ...exits, labels: new Map([...exits.labels, [label, { leave, repeat }]]) }
}

function union(a: Names, b: Names): Names {
  if (b.size === 0 || a === b) return a
  return a.size === 0 ? b : new Set([...a, ...b])
}

function plus(names: Names, name: string): Names {
  return names.has(name) ? names : new Set([...names, name])
}

function minus(names: Names, name: string): Names {
  if (!names.has(name)) return names
  const left = new Set(names)
  left.delete(name)
  return left
}
