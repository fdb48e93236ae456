// A locking design in a file of the user's, read and checked: the file and the user's files that it imports, in the kernel's
// language, with one Design among its exports. What is read here is turned for threads or for steps by `design-load.ts`.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, relative, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import MagicString from 'magic-string'
import { designs } from '../kernel/design/designs.ts'
import { readBuiltKernel } from './build.ts'
import { checkDesignTable, designTable } from './design-table.ts'
import { type Module, readModule } from './module.ts'
import { link, type Summary } from './program.ts'
import { checkModule, checkProgram } from './rules.ts'
import { parseSource, type Refusal, SourceRefused } from './source.ts'

/** What is wrong with a design file, in one sentence that names the file. */
export class DesignFileError extends Error {
  override readonly name = 'DesignFileError'
}

/** A design of the user's. */
export interface DesignFile {
  /** As the user named it, and where it is. */
  readonly named: string
  readonly path: string
  /** SHA-256 over the file and what it imports of the user's, 16 digits. */
  readonly hash: string
  /**
   * The modules, each behind those that it imports, the design's own last. Each lies in the kernel's tree under the name by which
   * places call it: `my-design.ts`, seen from the file's directory.
   */
  readonly modules: ReadonlyMap<string, Module>
  /** The local name of the Design in the last module. */
  readonly table: string
}

/** The kernel's source, which relative imports may name. */
const KERNEL_SOURCE = fileURLToPath(new URL('../../src/kernel/', import.meta.url))
const PACKAGE = 'gracewalk/kernel/'

/** Reads and checks the design in the file `named` (a path or a file: URL). Throws `DesignFileError`. */
export function readDesignFile(named: string): DesignFile {
  const path = named.startsWith('file:') ? fileURLToPath(named) : resolve(named)
  const { summary } = readBuiltKernel()
  const reader = new Reader(named, path, summary)
  try {
    const main = reader.read(path)
    const module = reader.modules.get(main) as Module
    const program = link(reader.modules, summary)
    const table = designTable(module)
    if (typeof table !== 'string') throw new SourceRefused([table])
    // What the table lacks is said first: it is said better there than by the rules.
    const wrong = checkDesignTable(
      module,
      table,
      designs.map(({ name }) => name),
    )
    if (wrong.length > 0) throw new SourceRefused(wrong)
    const refusals = [...[...reader.modules.values()].flatMap((one) => checkModule(one)), ...checkProgram(program)]
    if (refusals.length > 0) throw new NotKernelCode(refusals)
    return { named, path, hash: reader.hash(), modules: reader.modules, table }
  } catch (error) {
    if (error instanceof SourceRefused) throw new DesignFileError(reader.sentence(error), { cause: error })
    throw error
  }
}

/** The texts of its modules, by their names in the kernel's tree. */
export function designTexts(file: DesignFile): Record<string, string> {
  return Object.fromEntries([...file.modules].map(([name, { source }]) => [name, source.text]))
}

/** `file` with some of its modules' texts changed, as an ablation does it. Throws `SourceRefused` where one does not parse. */
export function withTexts(file: DesignFile, changed: Readonly<Record<string, string>>): DesignFile {
  const modules = [...file.modules].map(([name, module]) => {
    const text = changed[name]
    return [name, text === undefined ? module : readModule(parseSource(name, text))] as const
  })
  return { ...file, modules: new Map(modules) }
}

/** Breaches of the rules for kernel code, as opposed to other faults. */
class NotKernelCode extends SourceRefused {}

/** Follows the imports of one design. */
class Reader {
  readonly modules = new Map<string, Module>()
  readonly #named: string
  readonly #root: string
  readonly #path: string
  readonly #summary: Summary
  readonly #texts = new Map<string, string>()
  readonly #names = new Map<string, string>()
  /** Files whose imports are being followed. */
  readonly #open: string[] = []

  constructor(named: string, path: string, summary: Summary) {
    this.#named = named
    this.#path = path
    this.#root = dirname(path)
    this.#summary = summary
  }

  /** Reads `file` and what it imports of the user's. Returns its name in the kernel's tree. */
  read(file: string): string {
    const name = this.#nameOf(file)
    if (this.modules.has(name)) return name
    let text: string
    try {
      text = readFileSync(file, 'utf8')
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a directory' : 'it cannot be read'
      throw new DesignFileError(`design ${this.#named}: ${why}`)
    }
    this.#texts.set(name, text)
    this.#open.push(file)
    const module = readModule(parseSource(name, this.#link(file, name, text)))
    this.#open.pop()
    this.modules.set(name, module)
    return name
  }

  /** `text` with its imports as they are seen from `name` in the kernel's tree; lines stay where they are. */
  #link(file: string, name: string, text: string): string {
    const source = parseSource(name, text)
    const edit = new MagicString(text)
    for (const node of source.program.body) {
      if (node.type === 'ExportDefaultDeclaration' && node.declaration.type === 'Identifier') {
        edit.overwrite(node.start, node.end, `export { ${node.declaration.name} as default }`)
      }
      if (node.type !== 'ImportDeclaration' && node.type !== 'ExportNamedDeclaration' && node.type !== 'ExportAllDeclaration') continue
      if (node.source === null) continue
      const target = this.#target(file, node.source.value, (reason) => {
        throw new SourceRefused([{ ...positionOf(text, node.start), file: name, reason }])
      })
      if (target !== null) edit.overwrite(node.source.start + 1, node.source.end - 1, `${upFrom(name)}${target}`)
    }
    return edit.toString()
  }

  /** What `specifier` in `file` names in the kernel's tree; null for what is neither the kernel's nor a file of the user's. */
  #target(file: string, specifier: string, refuse: (reason: string) => never): string | null {
    const kernel = (target: string): string => (target in this.#summary.modules ? target : refuse(`there is no ${PACKAGE}${target}`))
    if (specifier.startsWith(PACKAGE)) return kernel(specifier.slice(PACKAGE.length))
    if (!specifier.startsWith('./') && !specifier.startsWith('../')) return null
    const path = fileURLToPath(new URL(specifier, pathToFileURL(file)))
    if (path.startsWith(KERNEL_SOURCE)) return kernel(slashes(relative(KERNEL_SOURCE, path)))
    if (this.#open.includes(path)) refuse(`'${specifier}' imports this file in turn`)
    try {
      return this.read(path)
    } catch (error) {
      if (!(error instanceof DesignFileError)) throw error
      return refuse(`${error.message.replace(/^.*?: /, `'${specifier}': `)}`)
    }
  }

  #nameOf(file: string): string {
    const known = this.#names.get(file)
    if (known !== undefined) return known
    let name = slashes(relative(this.#root, file)).replace(/^(?:\.\.\/)+/, '')
    while (name in this.#summary.modules || [...this.#names.values()].includes(name)) name = `own/${name}`
    this.#names.set(file, name)
    return name
  }

  hash(): string {
    const hash = createHash('sha256')
    for (const [name, text] of this.#texts) hash.update(`${name}\0${text.length}\0${text}`)
    return hash.digest('hex').slice(0, 16)
  }

  /** `./my.ts:4:13: an object literal inside a function (and 2 more places): a design must be in the kernel's language`. */
  sentence(error: SourceRefused): string {
    const [first, ...more] = error.refusals as readonly [Refusal, ...Refusal[]]
    const others = more.length === 0 ? '' : ` (and ${more.length} more ${more.length === 1 ? 'place' : 'places'})`
    const file = this.#names.get(this.#path) === first.file ? this.#named : this.#shown(first.file)
    const rule = error instanceof NotKernelCode ? ": a design must be in the kernel's language" : ''
    return `${file}:${first.line}:${first.column}: ${oneLine(first.reason)}${others}${rule}`
  }

  #shown(name: string): string {
    const [file] = [...this.#names].find(([, known]) => known === name) ?? [name]
    return relative(process.cwd(), file)
  }
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ' ')
}

function slashes(path: string): string {
  return path.split(sep).join('/')
}

/** The way from module `name` to the root of the kernel's tree. */
function upFrom(name: string): string {
  const depth = name.split('/').length - 1
  return depth === 0 ? './' : '../'.repeat(depth)
}

function positionOf(text: string, at: number): { line: number; column: number } {
  const before = text.slice(0, at).split('\n')
  return { line: before.length, column: (before.at(-1) as string).length + 1 }
}
