// Folds constants into the native build: `Cpu.out1` becomes its number. To V8 an imported name is a cell to be read, its
// target an object of any shape; a quarter of a page fault's time went into looking up what never changes. The source stays
// as it is, and so do the lines; only the built files in `dist/kernel` hold numbers.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import MagicString from 'magic-string'
import { type Node, parseSync } from 'oxc-parser'
import { walk } from 'oxc-walker'

/** What a module exports by `export const`: numbers and frozen tables, by name. */
export type Constants = ReadonlyMap<string, unknown>

/** Folds all of the built kernel in `directory`. Returns how many uses became numbers. */
export async function foldConstants(directory: string): Promise<number> {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.js'))
    .map((file) => join(directory, file))
  const constants = new Map<string, Constants>()
  for (const file of files) constants.set(file, await exportedConstants(file))
  let folded = 0
  for (const file of files) folded += foldFile(file, constants)
  return folded
}

/** What `file` declares by `export const` and is a number or a frozen table: by name. */
export async function exportedConstants(file: string): Promise<Constants> {
  const values = (await import(pathToFileURL(file).href)) as Record<string, unknown>
  const found = new Map<string, unknown>()
  for (const node of parseSync(file, readFileSync(file, 'utf8')).program.body) {
    if (node.type !== 'ExportNamedDeclaration' || node.declaration?.type !== 'VariableDeclaration') continue
    if (node.declaration.kind !== 'const') continue
    for (const { id } of node.declaration.declarations) if (id.type === 'Identifier') found.set(id.name, values[id.name])
  }
  return found
}

function foldFile(file: string, constants: ReadonlyMap<string, Constants>): number {
  const text = readFileSync(file, 'utf8')
  const { code, folded } = foldText(text, (specifier) => constants.get(resolve(dirname(file), specifier)), constants.get(file))
  if (folded > 0) writeFileSync(file, code)
  return folded
}

/**
 * Folds the JavaScript `text`: `imported` says what the module of a specifier exports as constants, `own` are those of its own.
 * Returns the code, and how many uses became numbers.
 */
export function foldText(
  text: string,
  imported: (specifier: string) => Constants | undefined,
  own: Constants = new Map(),
): { readonly code: string; readonly folded: number } {
  const { program } = parseSync('folded.js', text)
  const known = new Map<string, unknown>()
  for (const node of program.body) {
    if (node.type !== 'ImportDeclaration') continue
    const from = imported(node.source.value)
    for (const specifier of node.specifiers) {
      if (specifier.type !== 'ImportSpecifier' || specifier.imported.type !== 'Identifier') continue
      if (from?.has(specifier.imported.name)) known.set(specifier.local.name, from.get(specifier.imported.name))
    }
  }
  // Tables of its own: only their fields are folded, their names stay.
  for (const [name, value] of own) if (typeof value === 'object') known.set(name, value)
  const edit = new MagicString(text)
  let folded = 0
  const put = (node: Node, value: unknown): void => {
    if (!Number.isSafeInteger(value)) return
    edit.overwrite(node.start, node.end, (value as number) < 0 ? `(${value})` : String(value))
    folded++
  }
  walk(program, {
    enter(node, parent, { key }) {
      if (node.type === 'ImportDeclaration') return this.skip()
      if (node.type === 'MemberExpression' && !node.computed && node.object.type === 'Identifier' && node.property.type === 'Identifier') {
        const table = known.get(node.object.name)
        if (typeof table === 'object' && table !== null && Object.isFrozen(table))
          put(node, (table as Record<string, unknown>)[node.property.name])
        return this.skip()
      }
      if (node.type !== 'Identifier' || typeof known.get(node.name) !== 'number') return undefined
      const isName =
        (parent?.type === 'MemberExpression' && key === 'property' && !parent.computed) ||
        parent?.type === 'ExportSpecifier' ||
        (parent?.type === 'Property' && (key === 'key' || parent.shorthand))
      if (!isName) put(node, known.get(node.name))
      return undefined
    },
  })
  return { code: edit.toString(), folded }
}
