// Operands that were evaluated and wait for one to their right: `readOnce(p) + readOnce(q)` holds the first result while the
// second read stops. JavaScript gives them no name. If such an operand is a function of locals that stay as they are, those
// locals say it all; any other gets a temporary: `($t0 = (yield readOnce(p, 1))) + …`.
import type { Node } from 'oxc-parser'
import { walk } from 'oxc-walker'
import { bare } from './source.ts'

/** An operand that waits, and the locals that are assigned between its evaluation and the point in question. */
export interface Pending {
  readonly node: Node
  readonly changed: ReadonlySet<string>
  /** It is the left side of `x += …`: read first, but no expression that could be given a name. */
  readonly isTarget?: boolean
}

/** The temporaries of one function. */
export interface Temporaries {
  /** The locals and temporaries that say what `pending` operands hold. */
  needed(pending: readonly Pending[]): ReadonlySet<string>
  /** Expressions whose values go into temporaries, with the names. */
  readonly names: ReadonlyMap<Node, string>
  /** Operands that would need one but cannot be given any (`x += f(x = 1)`). */
  readonly impossible: readonly Node[]
}

/** No temporaries yet. `locals` as in liveness.ts; `isConstant` says of which calls the result depends on the arguments alone. */
export function createTemporaries(
  locals: ReadonlySet<string>,
  isConstant: (call: Node & { type: 'CallExpression' }) => boolean,
): Temporaries {
  const names = new Map<Node, string>()
  const impossible: Node[] = []
  return {
    names,
    impossible,
    needed: (pending) => {
      const needed = new Set<string>()
      for (const { node, changed, isTarget = false } of pending) {
        const read = localsRead(node, locals, isConstant)
        if (read !== null && !read.some((name) => changed.has(name))) for (const name of read) needed.add(name)
        else if (isTarget) impossible.push(node)
        else {
          const name = names.get(node) ?? `$t${names.size}`
          names.set(node, name)
          needed.add(name)
        }
      }
      return needed
    },
  }
}

/** Locals that are assigned anywhere in `nodes`. */
export function assignedIn(nodes: readonly Node[]): ReadonlySet<string> {
  const names = new Set<string>()
  for (const node of nodes) {
    walk(node, {
      enter(inner) {
        const target = inner.type === 'AssignmentExpression' ? inner.left : inner.type === 'UpdateExpression' ? inner.argument : null
        if (target?.type === 'Identifier') names.add(target.name)
        if (inner.type === 'VariableDeclarator' && inner.id.type === 'Identifier') names.add(inner.id.name)
      },
    })
  }
  return names
}

/** The locals of which `node` is a function, or null if it reads memory, stops, or changes something. */
export function localsRead(
  node: Node,
  locals: ReadonlySet<string>,
  isConstant: (call: Node & { type: 'CallExpression' }) => boolean,
): string[] | null {
  const inner = bare(node)
  const all = (nodes: readonly Node[]): string[] | null => {
    const lists = nodes.map((one) => localsRead(one, locals, isConstant))
    return lists.includes(null) ? null : lists.flatMap((list) => list as string[])
  }
  switch (inner.type) {
    case 'Literal':
      return []
    case 'Identifier':
      return locals.has(inner.name) ? [inner.name] : []
    case 'UnaryExpression':
      return all([inner.argument])
    case 'BinaryExpression':
    case 'LogicalExpression':
      return all([inner.left, inner.right])
    case 'ConditionalExpression':
      return all([inner.test, inner.consequent, inner.alternate])
    case 'MemberExpression':
      return inner.computed ? all([inner.property]) : []
    case 'CallExpression':
      return isConstant(inner) ? all(inner.arguments) : null
    default:
      return null
  }
}
