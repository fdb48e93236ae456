// Programs of scenarios: files in the kernel's language whose functions CPUs call. They are turned like a design of the
// user's own, at load time, and import the kernel's modules by `gracewalk/kernel/…` or, in this repository, by their path.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Stepped, Tree } from '../../check/tree.ts'
import { SourceRefused } from '../../compile/source.ts'
import { ScenarioError } from './errors.ts'

/** The programs that ship, as source. */
const SHIPPED = new URL('../../../src/scenario/programs/', import.meta.url)

interface Loaded {
  readonly module: Promise<unknown>
  /** What its places call the file. */
  readonly shown: string
}

const loaded = new WeakMap<Tree, Map<string, Loaded>>()

/**
 * Loads a program: the name of one that ships (`barrier`), or the URL of a TypeScript file. Throws `ScenarioError` with the
 * file, line and reason of everything that cannot be turned.
 */
export function loadProgram<M>(tree: Tree, program: string | URL): Promise<Stepped<M>> {
  const url = typeof program === 'string' ? new URL(`${program}.ts`, SHIPPED) : program
  const known = loaded.get(tree) ?? new Map<string, Loaded>()
  loaded.set(tree, known)
  let found = known.get(url.href)
  if (found === undefined) {
    const shown = nameOf(url, new Set([...known.values()].map((one) => one.shown)))
    found = { module: load(tree, url, known.size, shown), shown }
    known.set(url.href, found)
  }
  return found.module as Promise<Stepped<M>>
}

/**
 * What places in a program call its file: one that ships by its path, one of the user's by its own name, and as many directories before
 * it as tell it from those in `taken`. Not by its whole path, so that a replay file is good elsewhere, too.
 */
function nameOf(url: URL, taken: ReadonlySet<string>): string {
  if (url.href.startsWith(SHIPPED.href)) return `scenario/programs/${url.href.slice(SHIPPED.href.length)}`
  const parts = fileURLToPath(url).split(/[\\/]/)
  let length = 1
  while (length < parts.length && taken.has(parts.slice(-length).join('/'))) length++
  return parts.slice(-length).join('/')
}

async function load(tree: Tree, url: URL, number: number, shown: string): Promise<unknown> {
  const file = fileURLToPath(url)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    throw new ScenarioError(`there is no program ${file}`)
  }
  const name = (url.pathname.split('/').at(-1) as string).replace(/\.ts$/, '')
  try {
    return await tree.load(`scenario/${name}${number === 0 ? '' : `-${number}`}.ts`, ownSpecifiers(text), undefined, shown)
  } catch (error) {
    if (error instanceof SourceRefused) throw new ScenarioError(refusal(file, error), { cause: error })
    throw error
  }
}

/** `/my/program.ts:4:13: an object literal inside a function (and 2 more places): not in the kernel's language`. */
function refusal(file: string, { refusals: [first, ...more] }: SourceRefused): string {
  const others = more.length === 0 ? '' : ` (and ${more.length} more ${more.length === 1 ? 'place' : 'places'})`
  return `${file}:${first?.line}:${first?.column}: ${first?.reason}${others}: a program must be in the kernel's language`
}

/** Imports of the kernel, however they are spelt, as seen from a room of the kernel. */
function ownSpecifiers(text: string): string {
  return text.replaceAll(/(from\s+['"])(?:gracewalk\/kernel\/|(?:\.\.\/)+(?:src\/)?kernel\/)/g, '$1../')
}
