// The kernel's source as ablation reads it: the functions of every module with their calls in the order of the text, what
// each call means, the parents of nodes; and the edits that keep a changed file compiling (imports, helper functions).
import type { CallExpression, Node } from 'oxc-parser'
import { walk } from 'oxc-walker'
import { designMember, INSTRUCTIONS_MODULE, type KernelFunction, type Module, readModule } from '../../compile/module.ts'
import { link, type Program, type Target } from '../../compile/program.ts'
import { parseSource, position } from '../../compile/source.ts'
import type { Edit, Operator, SiteStatus, UnnamedSite, Variant } from './site.ts'

/** A call and what it means: the callee's own name and module; calls of a design are `design.member` of module ''. */
export interface Call {
  readonly node: CallExpression
  readonly name: string
  readonly path: string
}

/** A function of the kernel. */
export interface FunctionText {
  readonly module: Module
  readonly name: string
  readonly fn: KernelFunction
  readonly calls: readonly Call[]
}

/** The kernel. */
export interface KernelText {
  readonly program: Program
  readonly functions: readonly FunctionText[]
  /** The parent of a node of any function. */
  parent(node: Node): Node | null
}

/** Modules in which nothing synchronises by itself: the machine, load-time code, the facade. */
function isSearched(path: string): boolean {
  return !path.startsWith('machine/') && !path.startsWith('arch/') && path !== 'kernel.ts'
}

/** Reads the kernel from `files` (path relative to its root → text). Throws `SourceRefused` when a file does not parse. */
export function readKernelText(files: Readonly<Record<string, string>>): KernelText {
  const modules = new Map(Object.entries(files).map(([path, text]) => [path, readModule(parseSource(path, text))] as const))
  const program = link(modules)
  const parents = new Map<Node, Node | null>()
  const functions: FunctionText[] = []
  for (const module of modules.values()) {
    if (!isSearched(module.source.path)) continue
    for (const fn of module.functions.values()) {
      walk(fn.node, { enter: (node, parent) => void parents.set(node, parent) })
      const calls = fn.calls.flatMap((node) => meaning(program, module, node) ?? []).sort((a, b) => a.node.start - b.node.start)
      functions.push({ module, name: fn.name, fn, calls })
    }
  }
  return { program, functions, parent: (node) => parents.get(node) ?? null }
}

function meaning(program: Program, module: Module, node: CallExpression): Call | null {
  const member = designMember(module, node.callee)
  if (member !== null) return { node, name: `design.${member}`, path: '' }
  const target: Target | null = node.callee.type === 'Identifier' ? program.resolve(module, node.callee.name) : null
  return target === null ? null : { node, name: target.name, path: target.path }
}

/** The source of `node`. */
export function textOf(fn: FunctionText, node: { start: number; end: number }): string {
  return fn.module.source.text.slice(node.start, node.end)
}

/** The source of argument `index` of `call`, or ''. */
export function argument(fn: FunctionText, call: Call, index = 0): string {
  const node = call.node.arguments[index]
  return node === undefined ? '' : textOf(fn, node)
}

/** Replaces `node` by `text`; the lines behind it keep their numbers. */
export function replace(fn: FunctionText, node: { start: number; end: number }, text: string): Edit {
  const missing = lineBreaks(textOf(fn, node)) - lineBreaks(text)
  return { file: fn.module.source.path, start: node.start, end: node.end, text: text + '\n'.repeat(Math.max(0, missing)) }
}

function lineBreaks(text: string): number {
  return text.split('\n').length - 1
}

/** Whether `call` is a statement of its own. */
export function isStatement(kernel: KernelText, call: Call): boolean {
  return kernel.parent(call.node)?.type === 'ExpressionStatement'
}

/** The edit that makes `name` of the module at `path` callable in `module` as `local`. */
export function importAs({ source }: Module, name: string, path: string, local: string): Edit {
  const first = source.program.body.find((node) => node.type === 'ImportDeclaration')
  const at = first?.start ?? 0
  const up = source.path.split('/').length - 1
  const specifier = `${up === 0 ? './' : '../'.repeat(up)}${path}`
  const what = local === name ? name : `${name} as ${local}`
  return { file: source.path, start: at, end: at, text: `import { ${what} } from '${specifier}'; ` }
}

/** The same in the module of `fn`, under its own name, unless it is there. */
export function imported({ module }: FunctionText, name: string, path: string): Edit[] {
  if (module.source.path === path || module.imports.get(name)?.name === name) return []
  return [importAs(module, name, path, name)]
}

/** Imports of instructions. */
export function instructions(fn: FunctionText, ...names: readonly string[]): Edit[] {
  return names.flatMap((name) => imported(fn, name, INSTRUCTIONS_MODULE))
}

/** Adds a function behind the last line of the file. */
export function appended(fn: FunctionText, text: string): Edit {
  const end = fn.module.source.text.length
  return { file: fn.module.source.path, start: end, end, text: `${text}\n` }
}

/** What a site is besides its place. */
export interface Change {
  readonly operator: Operator
  readonly explanation: string
  readonly status?: SiteStatus
  readonly reason?: string
  readonly variants: readonly Variant[]
}

/** A site at `node` of `fn`. */
export function siteAt(fn: FunctionText, node: { start: number; end: number }, change: Change): UnnamedSite {
  const text = textOf(fn, node).replace(/\s+/g, ' ').trim()
  return { ...position(fn.module.source, node.start), function: fn.name, text, status: 'ablatable', reason: '', ...change }
}

/** The one variant that most sites have. */
export function only(...edits: readonly Edit[]): Variant[] {
  return [{ name: '', edits }]
}
