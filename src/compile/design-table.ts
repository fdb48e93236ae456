// The table of a design of the user's against the interface in `design/design.ts`: which members there are, which must be there,
// what they are. It is read from the tree, so that every fault has a place; what threads and the checker run is checked before.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { closest, distance } from 'fastest-levenshtein'
import type { Node } from 'oxc-parser'
import { DESIGN_MODULE, type Module, objectLiteral, readModule } from './module.ts'
import { bare, parseSource, type Refusal, refuse } from './source.ts'

/** A member of the interface. */
interface Member {
  readonly name: string
  readonly optional: boolean
  /** For functions the number of parameters, else null. */
  readonly parameters: number | null
  /** For functions whether they return a number. */
  readonly answers: boolean
  readonly isString: boolean
}

const HOW = 'export const myDesign: Design = Object.freeze({ … })'

/** The name, in `module`, of the Design that it exports: its default export, or the only one. A refusal if there is none. */
export function designTable(module: Module): string | Refusal {
  const found = new Set<string>()
  for (const [as, exported] of module.exports) {
    if (!('local' in exported) || module.kinds.get(exported.local) !== 'design-table') continue
    if (as === 'default') return exported.local
    found.add(exported.local)
  }
  const [first, ...more] = found
  const start = { start: 0 }
  if (first === undefined) return refuse(module.source, start, `it exports no Design: ${HOW}, Design being gracewalk/${DESIGN_PATH}'s`)
  return more.length === 0 ? first : refuse(module.source, start, `it exports ${[...found].join(' and ')}: one must be the default export`)
}

const DESIGN_PATH = `kernel/${DESIGN_MODULE}`

/** What of the table called `table` in `module` is not as the interface says. `taken`: names that are others' already. */
export function checkDesignTable(module: Module, table: string, taken: readonly string[]): Refusal[] {
  const { source } = module
  const found: Refusal[] = []
  const declarator = declaratorOf(module, table)
  const literal = declarator === null ? null : objectLiteral(declarator.init)
  if (declarator === null || literal === null) return [refuse(source, { start: 0 }, `the Design ${table} must be written out: ${HOW}`)]
  const members = interfaceMembers()
  const given = new Map<string, Node>()
  for (const property of literal.properties) {
    if (property.type !== 'Property' || property.key.type !== 'Identifier') continue
    const { name } = property.key
    const member = members.find((one) => one.name === name)
    if (member === undefined) {
      const meant = near(name, members)
      // Said once: not that the one that is meant is missing, too.
      if (meant !== null) given.set(meant, property.value)
      found.push(refuse(source, property, `a Design has no member '${name}'${meant === null ? '' : `, did you mean '${meant}'?`}`))
    } else found.push(...checkMember(module, member, bare(property.value)))
    given.set(name, bare(property.value))
  }
  const missing = members.filter(({ name, optional }) => !optional && !given.has(name)).map(({ name }) => `'${name}'`)
  if (missing.length > 0) {
    const what = missing.length === 1 ? `the member ${missing[0]} is` : `the members ${missing.join(', ')} are`
    found.push(refuse(source, declarator, `${what} missing: a Design has what ${DESIGN_PATH} says`))
  }
  const name = given.get('name')
  if (name?.type === 'Literal' && typeof name.value === 'string') {
    if (taken.includes(name.value))
      found.push(refuse(source, name, `the name '${name.value}' is that of a built-in design: choose another`))
    else if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name.value))
      found.push(refuse(source, name, 'the name must be lower-case words with hyphens'))
  }
  return found.sort((a, b) => a.line - b.line || a.column - b.column)
}

function checkMember(module: Module, { name, parameters, answers, isString }: Member, value: Node): Refusal[] {
  if (isString && (value.type !== 'Literal' || typeof value.value !== 'string')) {
    return [refuse(module.source, value, `the member '${name}' must be a string`)]
  }
  if (parameters !== null && value.type !== 'Identifier') {
    return [refuse(module.source, value, `the member '${name}' must be the name of a function`)]
  }
  const fn = parameters === null || value.type !== 'Identifier' ? undefined : module.functions.get(value.name)?.node
  if (fn === undefined) return []
  if (fn.params.length > (parameters as number)) {
    const takes = `takes ${fn.params.length} arguments, and gets ${parameters} as '${name}' of a Design`
    return [refuse(module.source, fn, `function '${fn.id?.name}' ${takes}`)]
  }
  if (answers && fn.returnType?.typeAnnotation.type !== 'TSNumberKeyword') {
    return [refuse(module.source, fn, `function '${fn.id?.name}' must return a number, as '${name}' of a Design`)]
  }
  return []
}

function near(name: string, members: readonly Member[]): string | null {
  const best = closest(
    name,
    members.map((one) => one.name),
  )
  return distance(name, best) <= Math.max(2, Math.floor(name.length / 2)) ? best : null
}

function declaratorOf(module: Module, name: string) {
  for (const statement of module.source.program.body) {
    const node = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement
    if (node?.type !== 'VariableDeclaration') continue
    for (const one of node.declarations) if (one.id.type === 'Identifier' && one.id.name === name) return one
  }
  return null
}

let known: readonly Member[] | undefined

/** The members of `Design`, from the source that ships. */
function interfaceMembers(): readonly Member[] {
  known ??= readMembers(readFileSync(fileURLToPath(new URL(`../../src/${DESIGN_PATH}`, import.meta.url)), 'utf8'))
  return known
}

function readMembers(text: string): Member[] {
  const members: Member[] = []
  for (const node of readModule(parseSource(DESIGN_MODULE, text)).interfaces.get('Design')?.body.body ?? []) {
    if ((node.type !== 'TSMethodSignature' && node.type !== 'TSPropertySignature') || node.key.type !== 'Identifier') continue
    const type = node.type === 'TSPropertySignature' ? node.typeAnnotation?.typeAnnotation : undefined
    const fn = node.type === 'TSMethodSignature' ? node : type?.type === 'TSFunctionType' ? type : null
    members.push({
      name: node.key.name,
      optional: node.optional === true,
      parameters: fn === null ? null : fn.params.length,
      answers: fn?.returnType?.typeAnnotation.type === 'TSNumberKeyword',
      isString: type?.type === 'TSStringKeyword',
    })
  }
  return members
}
