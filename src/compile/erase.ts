// Turns TypeScript into JavaScript by editing the text: types go, lines stay where they are (what is removed leaves its
// line breaks), and `.ts` specifiers become `.js`. Only erasable syntax is known; any other is refused.
import MagicString from 'magic-string'
import type { Node } from 'oxc-parser'
import { walk } from 'oxc-walker'
import { type Refusal, refuse, type Source, SourceRefused } from './source.ts'

/** Empties `start`..`end` of `text` but for line breaks. */
function blank(edit: MagicString, text: string, start: number, end: number): void {
  if (start >= end) return
  const breaks = text.slice(start, end).replace(/[^\n]/g, '')
  if (breaks === '') edit.remove(start, end)
  else edit.overwrite(start, end, breaks)
}

/** Rewrites the specifier of an import or export; null leaves it. */
export type Respecify = (specifier: string) => string | null

/** What erasing one node did: nothing, an edit after which its children are to be left alone, or a refusal. */
export type Erased = 'untouched' | 'gone' | Refusal

/** Edits what `node` has of types. Called on entering each node of the tree. */
export function eraseNode(source: Source, edit: MagicString, node: Node, respecify: Respecify): Erased {
  const { text } = source
  const gone = (): Erased => {
    blank(edit, text, node.start, node.end)
    return 'gone'
  }
  switch (node.type) {
    case 'ImportDeclaration':
      if (node.importKind === 'type') return gone()
      eraseTypeSpecifiers(edit, text, node.specifiers)
      return rewriteSpecifier(edit, node.source, respecify)
    case 'ExportNamedDeclaration':
      if (node.exportKind === 'type') return gone()
      eraseTypeSpecifiers(edit, text, node.specifiers)
      return node.source === null ? 'untouched' : rewriteSpecifier(edit, node.source, respecify)
    case 'ExportAllDeclaration':
      return node.exportKind === 'type' ? gone() : rewriteSpecifier(edit, node.source, respecify)
    case 'ImportExpression':
      return refuse(source, node, 'a dynamic import cannot be stepped')
    case 'TSInterfaceDeclaration':
    case 'TSTypeAliasDeclaration':
    case 'TSTypeAnnotation':
    case 'TSTypeParameterDeclaration':
    case 'TSTypeParameterInstantiation':
      return gone()
    case 'TSAsExpression':
    case 'TSSatisfiesExpression':
    case 'TSNonNullExpression':
      blank(edit, text, node.expression.end, node.end)
      return 'untouched'
    case 'Identifier':
      return isOptional(node) ? refuse(source, node, 'an optional parameter is not erasable here') : 'untouched'
    case 'VariableDeclaration':
    case 'FunctionDeclaration':
      if (node.declare) return gone()
      return 'untouched'
    case 'VariableDeclarator':
      return node.definite ? refuse(source, node, 'a definite assignment (`let x!`) cannot be erased') : 'untouched'
    default:
      if (node.type.startsWith('TS')) return refuse(source, node, `${node.type} is not erasable`)
      return 'untouched'
  }
}

/** All of `source` without its types, and nothing else changed but the specifiers. Throws `SourceRefused`. */
export function eraseTypes(source: Source, respecify: Respecify): MagicString {
  const edit = new MagicString(source.text)
  walk(source.program, {
    enter(node, parent) {
      if (skipsType(node, parent)) return this.skip()
      const erased = eraseNode(source, edit, node, respecify)
      if (erased === 'gone') this.skip()
      else if (typeof erased !== 'string') throw new SourceRefused([erased])
    },
  })
  return edit
}

/** Whether children of `node` that are types are dealt with by `eraseNode(node)` itself. */
export function skipsType(node: Node, parent: Node | null): boolean {
  return (
    parent !== null &&
    (parent.type === 'TSAsExpression' || parent.type === 'TSSatisfiesExpression') &&
    parent.typeAnnotation === (node as unknown)
  )
}

function isOptional(node: object): boolean {
  return 'optional' in node && node.optional === true
}

function rewriteSpecifier(edit: MagicString, literal: { start: number; end: number; value: string }, respecify: Respecify): Erased {
  const to = respecify(literal.value)
  if (to !== null) edit.overwrite(literal.start + 1, literal.end - 1, to)
  return 'untouched'
}

function eraseTypeSpecifiers(edit: MagicString, text: string, specifiers: readonly Node[]): void {
  for (const specifier of specifiers) {
    const isType =
      (specifier.type === 'ImportSpecifier' && specifier.importKind === 'type') ||
      (specifier.type === 'ExportSpecifier' && specifier.exportKind === 'type')
    if (!isType) continue
    const comma = /^\s*,/.exec(text.slice(specifier.end))
    blank(edit, text, specifier.start, specifier.end + (comma === null ? 0 : comma[0].length))
  }
}
