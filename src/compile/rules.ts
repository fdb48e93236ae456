// The rules of kernel code (DESIGN.md, "One source, three executors"), checked on the tree: what a module may declare
// and import. Function bodies are in rules-function.ts, what needs the other modules in rules-program.ts.
import type { Node, VariableDeclaration } from 'oxc-parser'
import { walk } from 'oxc-walker'
import { isObjectFreeze, type Module, readModule } from './module.ts'
import { checkFunction, FORBIDDEN } from './rules-function.ts'
import { bare, parseSource, type Refusal, refuse, resolveSpecifier } from './source.ts'

export { checkProgram } from './rules-program.ts'

/** Files whose functions run when a module is loaded or a machine is bound, or are the machine: not stepped, not checked. */
export const LOAD_TIME_FILES: readonly string[] = Object.freeze([
  'machine/struct.ts',
  'machine/heap.ts',
  'machine/globals.ts',
  'machine/instructions.ts',
  'machine/axes.ts',
  'arch/arch.ts',
  'design/design.ts',
])

/** Checks one file by itself. Returns every breach of the rules, in the order of the text. */
export function checkKernelRules(path: string, text: string): Refusal[] {
  return checkModule(readModule(parseSource(path, text)))
}

/** Checks one module by itself. */
export function checkModule(module: Module): Refusal[] {
  const { source } = module
  const refusals: Refusal[] = []
  const say = (node: { start: number }, reason: string): void => void refusals.push(refuse(source, node, reason))
  const loadTime = LOAD_TIME_FILES.includes(source.path)
  for (const statement of source.program.body) {
    const node = statement.type === 'ExportNamedDeclaration' && statement.declaration !== null ? statement.declaration : statement
    if (node.type === 'FunctionDeclaration') {
      if (!loadTime) checkFunction(module, node, say)
    } else if (node.type === 'VariableDeclaration') checkVariables(module, node, loadTime, say)
    else if (node.type === 'ImportDeclaration') checkImport(source.path, node, say)
    else if (node.type === 'ExportNamedDeclaration' || node.type === 'ExportAllDeclaration') {
      if (node.source !== null && resolveSpecifier(source.path, node.source.value) === null) say(node, 'an export from outside src/kernel')
      if (node.type === 'ExportAllDeclaration' && node.exported !== null) say(node, 'a namespace export')
    } else if (node.type === 'ExportDefaultDeclaration') say(node, 'a default export')
    else if (node.type === 'ClassDeclaration') say(node, 'a class')
    else if (node.type !== 'TSInterfaceDeclaration' && node.type !== 'TSTypeAliasDeclaration' && node.type !== 'EmptyStatement') {
      say(node, `a statement at module level (${node.type})`)
    }
  }
  return refusals
}

type Say = (node: { start: number }, reason: string) => void

function checkImport(path: string, node: Extract<Node, { type: 'ImportDeclaration' }>, say: Say): void {
  const target = resolveSpecifier(path, node.source.value)
  if (target === null) {
    say(node, `an import from outside src/kernel ('${node.source.value}')`)
    return
  }
  if (!target.endsWith('.ts')) say(node, `an import without '.ts' ('${node.source.value}')`)
  if (node.specifiers.length === 0) say(node, 'an import for its effects')
  for (const specifier of node.specifiers) {
    if (specifier.type !== 'ImportSpecifier') say(specifier, 'a default or namespace import')
  }
  if (target === 'machine/heap.ts' && !path.startsWith('machine/') && node.importKind !== 'type')
    say(node, 'access to the heap outside machine/')
}

function checkVariables(module: Module, declaration: VariableDeclaration, loadTime: boolean, say: Say): void {
  const { path } = module.source
  const mayBind = path.startsWith('machine/') || path === 'arch/arch.ts' || path === 'design/design.ts'
  if (declaration.kind !== 'const' && !(declaration.kind === 'let' && mayBind)) say(declaration, `a module-level ${declaration.kind}`)
  for (const { id, init } of declaration.declarations) {
    if (id.type !== 'Identifier') say(id, FORBIDDEN[id.type] ?? 'a pattern')
    if (init !== null && !loadTime)
      checkInitialiser(module, init, module.kinds.get(id.type === 'Identifier' ? id.name : '') === 'design-table', say)
  }
}

/** Module-level values are numbers, strings and frozen tables of them, computed without calling the kernel. */
function checkInitialiser(module: Module, init: Node, isDesign: boolean, say: Say): void {
  const frozen = new Set<Node>()
  const outer = bare(init)
  if (isDesign) frozen.add(outer)
  walk(init, {
    enter(node, parent, { key }) {
      if (node.type.startsWith('TS') && !('expression' in node)) return this.skip()
      if (node.type === 'CallExpression') {
        const isStruct = node.callee.type === 'Identifier' && node.callee.name === 'struct'
        const isMath =
          node.callee.type === 'MemberExpression' && node.callee.object.type === 'Identifier' && node.callee.object.name === 'Math'
        if (isStruct || isObjectFreeze(node)) for (const argument of node.arguments) frozen.add(bare(argument))
        else if (!isMath) say(node, 'a call at module level other than struct, Object.freeze and Math')
        // What lies inside a structure's declaration is read once and needs no freezing.
        if (isStruct) walk(node, { enter: (inner) => void frozen.add(inner) })
      } else if (node.type === 'ObjectExpression' || node.type === 'ArrayExpression') {
        if (!frozen.has(node)) say(node, 'a table that is not frozen (Object.freeze)')
      } else if (node.type === 'SpreadElement') {
        // A table may have another one's fields; a design's functions must be seen where they stand.
        if (isDesign || node.argument.type !== 'Identifier' || parent?.type !== 'ObjectExpression')
          say(node, FORBIDDEN.SpreadElement as string)
      } else if (node.type === 'Literal') {
        if (typeof node.value === 'bigint' || 'bigint' in node) say(node, 'a BigInt')
        else if ('regex' in node) say(node, 'a regular expression')
      } else if (node.type === 'Property') {
        if (node.kind !== 'init') say(node, 'a getter or setter')
        if (node.computed) say(node, 'a computed name')
      } else if (node.type === 'Identifier') {
        const isName =
          (parent?.type === 'MemberExpression' && key === 'property' && !parent.computed) || (parent?.type === 'Property' && key === 'key')
        const isKnown = module.kinds.has(node.name) || module.imports.has(node.name)
        if (!isName && !isKnown && node.name !== 'Object' && node.name !== 'Math' && !inType(parent))
          say(node, `access to '${node.name}', which is neither declared nor imported`)
      } else if (FORBIDDEN[node.type] !== undefined) say(node, FORBIDDEN[node.type] as string)
      return undefined
    },
  })
}

function inType(parent: Node | null): boolean {
  return parent?.type.startsWith('TS') ?? false
}
