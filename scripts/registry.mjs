// Writes the lists of architectures and designs from the files that there are, so that adding one is adding a file.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'oxc-parser'

const KERNEL = fileURLToPath(new URL('../src/kernel/', import.meta.url))

/** What is listed: exported constants of type `type` in the files of `room`, under the name `list` in a file of that name. */
const LISTS = [
  {
    room: 'arch',
    type: 'Arch',
    list: 'architectures',
    says: 'The architectures that a machine can have: every exported Arch of this room, by file. A machine records the index.',
  },
  {
    room: 'design',
    type: 'Design',
    list: 'designs',
    says: 'The locking designs that a machine can have: every exported Design of this room, by file. A machine records the index.',
  },
]

/** Names of the exported constants of `type` in a TypeScript file, in the order in which they stand there. */
function exportedConstants(path, text, type) {
  const { program, errors } = parseSync(path, text)
  if (errors.length > 0) throw new Error(`${path}: ${errors[0].message}`)
  return program.body.flatMap((node) =>
    node.type !== 'ExportNamedDeclaration' || node.declaration?.type !== 'VariableDeclaration' || node.declaration.kind !== 'const'
      ? []
      : node.declaration.declarations.flatMap(({ id }) => {
          const named = id.typeAnnotation?.typeAnnotation
          return named?.type === 'TSTypeReference' && named.typeName.name === type ? [id.name] : []
        }),
  )
}

/** The lists as they should be: path below `kernel` and text. */
export function registries(kernel = KERNEL) {
  return LISTS.map(({ room, type, list, says }) => {
    const files = readdirSync(`${kernel}${room}`).sort()
    const found = files.flatMap((file) => {
      if (file === `${list}.ts`) return []
      const names = exportedConstants(file, readFileSync(`${kernel}${room}/${file}`, 'utf8'), type)
      return names.length > 0 ? [{ file, names }] : []
    })
    const from = room === 'arch' ? './arch.ts' : './design.ts'
    const imports = [
      { file: from, text: `import type { ${type} } from '${from}'` },
      ...found.map(({ file, names }) => ({ file: `./${file}`, text: `import { ${[...names].sort().join(', ')} } from './${file}'` })),
    ].sort((a, b) => (a.file < b.file ? -1 : 1))
    const text = `// ${says}
// Written by scripts/registry.mjs when the project is built.
${imports.map((line) => line.text).join('\n')}

/** Every one, in the order of its number in a machine's globals. */
export const ${list}: readonly ${type}[] = Object.freeze([
${found.flatMap(({ names }) => names.map((name) => `  ${name},`)).join('\n')}
])
`
    return { path: `${room}/${list}.ts`, text }
  })
}

/** Writes what has changed. */
export function writeRegistries(kernel = KERNEL) {
  for (const { path, text } of registries(kernel))
    if (readFileSync(`${kernel}${path}`, 'utf8') !== text) writeFileSync(`${kernel}${path}`, text)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeRegistries()
