// Marks: kernel code that says of places, whenever they are executed, that they are. Which scenarios can miss a site is known from
// them. A mark stands before the statement that a site is in, or in the part of it that may be skipped.
import type { Node } from 'oxc-parser'
import { walk } from 'oxc-walker'
import { ANNOTATIONS_MODULE, type Module, readModule } from '../../compile/module.ts'
import { parseSource } from '../../compile/source.ts'
import { MAX_MARKS } from '../../compile/stepped/announce.ts'
import { importAs } from './kernel-text.ts'
import type { AblationSite, Edit } from './site.ts'

/** Marks of sites. */
export interface Marks {
  /** Edits that only insert. */
  readonly edits: readonly Edit[]
  /** Site → number of its mark, from 0. Sites of one statement share one. */
  readonly of: ReadonlyMap<string, number>
}

/** What marks are called: no name of anybody's. */
const MARK = '$reached'

/** What is executed as a whole or not at all: a statement, or an operand. */
interface Point {
  readonly start: number
  readonly end: number
  readonly is: 'in a list' | 'alone' | 'operand'
}

/** Marks `sites` in `files` (path → text). Throws `SourceRefused` when a file does not parse. */
export function markSites(files: Readonly<Record<string, string>>, sites: readonly Omit<AblationSite, 'variants'>[]): Marks {
  const edits: Edit[] = []
  const of = new Map<string, number>()
  let next = 0
  for (const file of new Set(sites.map((site) => site.file))) {
    const module = readModule(parseSource(file, files[file] as string))
    const points = pointsOf(module).sort((a, b) => a.end - a.start - (b.end - b.start))
    const numbers = new Map<Point, number>()
    for (const { id, line, column } of sites.filter((site) => site.file === file)) {
      const offset = (module.source.lineStarts[line - 1] as number) + column - 1
      const innermost = points.find(({ start, end }) => start <= offset && offset < end)
      if (innermost === undefined) throw new RangeError(`${id} is in no statement`)
      const number = numbers.get(innermost) ?? next++
      numbers.set(innermost, number)
      of.set(id, number)
    }
    // From the inside out: where two end at one place, the inner one is closed first.
    for (const point of points) {
      const number = numbers.get(point)
      if (number !== undefined) edits.push(...insertions(file, point, number))
    }
    edits.push(importAs(module, 'reached', ANNOTATIONS_MODULE, MARK))
  }
  if (next > MAX_MARKS) throw new RangeError(`${next} places are to be marked, and a kernel has at most ${MAX_MARKS} marks`)
  return { edits, of }
}

function insertions(file: string, { start, end, is }: Point, number: number): Edit[] {
  const at = (offset: number, text: string): Edit => ({ file, start: offset, end: offset, text })
  if (is === 'in a list') return [at(start, `${MARK}(${number}); `)]
  if (is === 'alone') return [at(start, `{ ${MARK}(${number}); `), at(end, ' }')]
  return [at(start, `(${MARK}(${number}) && (`), at(end, '))')]
}

function pointsOf(module: Module): Point[] {
  const points: Point[] = []
  for (const { node: fn } of module.functions.values()) {
    walk(fn, {
      enter(node, parent) {
        const is = parent === null ? null : kindOf(node, parent)
        if (is !== null) points.push({ start: node.start, end: node.end, is })
      },
    })
  }
  return points
}

const LOOPS: readonly string[] = ['ForStatement', 'WhileStatement', 'DoWhileStatement']

function kindOf(node: Node, parent: Node): Point['is'] | null {
  if (parent.type === 'LogicalExpression') return parent.right === node ? 'operand' : null
  if (parent.type === 'ConditionalExpression') return parent.test === node ? null : 'operand'
  if (parent.type === 'DoWhileStatement' && parent.test === node) return 'operand'
  if (parent.type === 'ForStatement' && parent.update === node) return 'operand'
  if (parent.type === 'BlockStatement') return 'in a list'
  if (parent.type === 'SwitchCase') return parent.test === node ? null : 'in a list'
  if (node.type === 'BlockStatement') return null
  if (parent.type === 'IfStatement') return parent.test === node ? null : 'alone'
  return LOOPS.includes(parent.type) && 'body' in parent && parent.body === node ? 'alone' : null
}
