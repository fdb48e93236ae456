// One file of kernel source: its text, its tree, and where an offset is. Refusals carry file, line, column and reason.
import { type Node, type Program, parseSync } from 'oxc-parser'

/** Something in a source file that the stepped build or the kernel's rules do not take. */
export interface Refusal {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly reason: string
}

/** `file:line:column: reason`. */
export function formatRefusal(refusal: Refusal): string {
  return `${refusal.file}:${refusal.line}:${refusal.column}: ${refusal.reason}`
}

/** Thrown when source is refused. `refusals` has each reason. */
export class SourceRefused extends Error {
  readonly refusals: readonly Refusal[]
  constructor(refusals: readonly Refusal[]) {
    super(refusals.map(formatRefusal).join('\n'))
    this.name = 'SourceRefused'
    this.refusals = refusals
  }
}

/** A parsed file. `path` is relative to the kernel's root, with forward slashes: `sync/rcu.ts`. */
export interface Source {
  readonly path: string
  readonly text: string
  readonly program: Program
  readonly lineStarts: readonly number[]
}

/** Parses `text`. Throws `SourceRefused` when it is not TypeScript. */
export function parseSource(path: string, text: string): Source {
  const { program, errors } = parseSync(path, text, { sourceType: 'module', lang: 'ts' })
  const lineStarts = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1)
  const source = { path, text, program, lineStarts }
  if (errors.length > 0) {
    throw new SourceRefused(errors.map((error) => ({ ...position(source, error.labels[0]?.start ?? 0), reason: error.message })))
  }
  return source
}

/** File, line and column (both from 1) of offset `at`. */
export function position(source: Source, at: number): { file: string; line: number; column: number } {
  const { lineStarts } = source
  let low = 0
  let high = lineStarts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((lineStarts[middle] as number) <= at) low = middle
    else high = middle - 1
  }
  return { file: source.path, line: low + 1, column: at - (lineStarts[low] as number) + 1 }
}

/** A refusal at `node`. */
export function refuse(source: Source, node: { start: number }, reason: string): Refusal {
  return { ...position(source, node.start), reason }
}

/** `node` without parentheses and without the types that are erased around it. */
export function bare(node: Node): Node {
  let inner = node
  while (
    inner.type === 'ParenthesizedExpression' ||
    inner.type === 'TSAsExpression' ||
    inner.type === 'TSSatisfiesExpression' ||
    inner.type === 'TSNonNullExpression'
  ) {
    inner = inner.expression
  }
  return inner
}

/** The module that `specifier` names in the file at `from`, relative to the kernel's root; null when it leads outside. */
export function resolveSpecifier(from: string, specifier: string): string | null {
  if (!specifier.startsWith('./') && !specifier.startsWith('../')) return null
  const parts = from.split('/').slice(0, -1)
  for (const part of specifier.split('/')) {
    if (part === '..') {
      if (parts.length === 0) return null
      parts.pop()
    } else if (part !== '.') parts.push(part)
  }
  return parts.join('/')
}
