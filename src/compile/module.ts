// What a module of the kernel gives and takes: its imports, its module-level names and their kinds, who calls whom.
// Rules and transformation both read this; names are resolved without scopes because the rules forbid shadowing.
import type { CallExpression, Expression, Function as FunctionNode, ModuleExportName, Node, TSInterfaceDeclaration } from 'oxc-parser'
import { walk } from 'oxc-walker'
import { bare, resolveSpecifier, type Source } from './source.ts'

/** The module whose `Design` interface and `design` binding make the only indirect calls. */
export const DESIGN_MODULE = 'design/design.ts'
/** The two modules that the stepped build replaces. */
export const INSTRUCTIONS_MODULE = 'machine/instructions.ts'
export const ANNOTATIONS_MODULE = 'machine/annotations.ts'

/** What a module-level name stands for. */
export type NameKind = 'function' | 'table' | 'design-table' | 'value' | 'type'

/** A name imported from `module` (null: outside the kernel), where it is called `name`. */
export interface Import {
  readonly module: string | null
  readonly specifier: string
  readonly name: string
  readonly isType: boolean
  readonly start: number
}

/** A module-level function. */
export interface KernelFunction {
  readonly name: string
  readonly node: FunctionNode
  readonly calls: readonly CallExpression[]
}

/** One module. */
export interface Module {
  readonly source: Source
  readonly imports: ReadonlyMap<string, Import>
  readonly kinds: ReadonlyMap<string, NameKind>
  readonly functions: ReadonlyMap<string, KernelFunction>
  /** Exported name → local name, or where it is passed on from. */
  readonly exports: ReadonlyMap<string, { readonly local: string } | { readonly module: string | null; readonly name: string }>
  /** Modules all of whose names are passed on (`export *`). */
  readonly exportStars: readonly (string | null)[]
  /** Functions put into design tables here: the identifiers. */
  readonly designEntries: readonly { readonly member: string; readonly value: Node }[]
  /** Interfaces declared here, by name. */
  readonly interfaces: ReadonlyMap<string, TSInterfaceDeclaration>
}

function exportName(node: ModuleExportName): string {
  return node.type === 'Literal' ? node.value : node.name
}

/** Whether `callee` is `design.member`. Returns the member's name, or null. */
export function designMember(module: Module, callee: Node): string | null {
  if (callee.type !== 'MemberExpression' || callee.computed || callee.object.type !== 'Identifier') return null
  if (callee.property.type !== 'Identifier') return null
  const from = module.imports.get(callee.object.name)
  const isDesign =
    from !== undefined
      ? from.module === DESIGN_MODULE && from.name === 'design'
      : module.source.path === DESIGN_MODULE && callee.object.name === 'design'
  return isDesign ? callee.property.name : null
}

/** The object literal of `init`, seen through `Object.freeze(...)` and types; null if it is none. */
export function objectLiteral(init: Expression | null): Extract<Node, { type: 'ObjectExpression' }> | null {
  if (init === null) return null
  let node = bare(init)
  if (node.type === 'CallExpression' && isObjectFreeze(node) && node.arguments.length === 1) node = bare(node.arguments[0] as Node)
  return node.type === 'ObjectExpression' ? node : null
}

/** Whether `call` is `Object.freeze(...)`. */
export function isObjectFreeze(call: CallExpression): boolean {
  const { callee } = call
  return (
    callee.type === 'MemberExpression' &&
    callee.object.type === 'Identifier' &&
    callee.object.name === 'Object' &&
    callee.property.type === 'Identifier' &&
    callee.property.name === 'freeze'
  )
}

function satisfiedType(init: Expression | null): Node | null {
  let node: Node | null = init
  while (
    node !== null &&
    (node.type === 'ParenthesizedExpression' || node.type === 'TSAsExpression' || node.type === 'TSSatisfiesExpression')
  ) {
    if (node.type !== 'ParenthesizedExpression') return node.typeAnnotation
    node = node.expression
  }
  return null
}

/** Reads what `source` declares. Finds faults in nothing: that is for the rules. */
export function readModule(source: Source): Module {
  const imports = new Map<string, Import>()
  const kinds = new Map<string, NameKind>()
  const functions = new Map<string, KernelFunction>()
  const exports = new Map<string, { local: string } | { module: string | null; name: string }>()
  const exportStars: (string | null)[] = []
  const designEntries: { member: string; value: Node }[] = []
  const interfaces = new Map<string, TSInterfaceDeclaration>()

  const isDesignType = (type: Node | null | undefined): boolean => {
    if (type?.type !== 'TSTypeReference' || type.typeName.type !== 'Identifier') return false
    const from = imports.get(type.typeName.name)
    return from === undefined
      ? source.path === DESIGN_MODULE && type.typeName.name === 'Design'
      : from.module === DESIGN_MODULE && from.name === 'Design'
  }

  const declare = (node: Node, exported: boolean): void => {
    const add = (name: string, kind: NameKind): void => {
      kinds.set(name, kind)
      if (exported) exports.set(name, { local: name })
    }
    if (node.type === 'FunctionDeclaration' && node.id !== null) {
      const calls: CallExpression[] = []
      walk(node, { enter: (inner) => void (inner.type === 'CallExpression' && calls.push(inner)) })
      functions.set(node.id.name, { name: node.id.name, node, calls })
      add(node.id.name, 'function')
    } else if (node.type === 'TSInterfaceDeclaration') {
      interfaces.set(node.id.name, node)
      add(node.id.name, 'type')
    } else if (node.type === 'TSTypeAliasDeclaration') add(node.id.name, 'type')
    else if (node.type === 'VariableDeclaration') {
      for (const { id, init } of node.declarations) {
        if (id.type !== 'Identifier') continue
        const type = id.typeAnnotation?.typeAnnotation ?? satisfiedType(init)
        const literal = objectLiteral(init)
        if (isDesignType(type)) {
          add(id.name, 'design-table')
          for (const property of literal?.properties ?? []) {
            if (property.type === 'Property' && property.key.type === 'Identifier')
              designEntries.push({ member: property.key.name, value: property.value })
          }
        } else add(id.name, literal !== null || isTableMaker(init) ? 'table' : 'value')
      }
    }
  }

  for (const node of source.program.body) {
    if (node.type === 'ImportDeclaration') {
      const module = resolveSpecifier(source.path, node.source.value)
      for (const specifier of node.specifiers) {
        const isType = node.importKind === 'type' || (specifier.type === 'ImportSpecifier' && specifier.importKind === 'type')
        const name =
          specifier.type === 'ImportSpecifier'
            ? exportName(specifier.imported)
            : specifier.type === 'ImportDefaultSpecifier'
              ? 'default'
              : '*'
        imports.set(specifier.local.name, { module, specifier: node.source.value, name, isType, start: specifier.start })
      }
    } else if (node.type === 'ExportNamedDeclaration') {
      if (node.declaration !== null) declare(node.declaration, true)
      const module = node.source === null ? undefined : resolveSpecifier(source.path, node.source.value)
      for (const { local, exported, exportKind } of node.specifiers) {
        if (node.exportKind === 'type' || exportKind === 'type') continue
        exports.set(exportName(exported), module === undefined ? { local: exportName(local) } : { module, name: exportName(local) })
      }
    } else if (node.type === 'ExportAllDeclaration') {
      if (node.exportKind !== 'type') exportStars.push(resolveSpecifier(source.path, node.source.value))
    } else declare(node, false)
  }
  return { source, imports, kinds, functions, exports, exportStars, designEntries, interfaces }
}

/** Whether `init` makes a table: `struct(...)`, `Object.freeze(...)`, an array. */
function isTableMaker(init: Expression | null): boolean {
  if (init === null) return false
  const node = bare(init)
  if (node.type === 'ArrayExpression') return true
  return node.type === 'CallExpression' && (isObjectFreeze(node) || (node.callee.type === 'Identifier' && node.callee.name === 'struct'))
}
