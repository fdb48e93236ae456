// Programs of scenarios: files in the kernel's language whose functions CPUs call. They are turned like a design of the
// user's own, at load time, and import the kernel's modules by `gracewalk/kernel/…` or, in this repository, by their path.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Stepped, Tree } from '../../check/tree.ts'
import { SourceRefused } from '../../compile/source.ts'
import { ScenarioError } from './errors.ts'

/** The programs that ship, as source. */
const SHIPPED = new URL('../../../src/scenario/programs/', import.meta.url)

const loaded = new WeakMap<Tree, Map<string, Promise<unknown>>>()

/**
 * Loads a program: the name of one that ships (`barrier`), or the URL of a TypeScript file. Throws `ScenarioError` with the
 * file, line and reason of everything that cannot be turned.
 */
export function loadProgram<M>(tree: Tree, program: string | URL): Promise<Stepped<M>> {
  const url = typeof program === 'string' ? new URL(`${program}.ts`, SHIPPED) : program
  const known = loaded.get(tree) ?? new Map<string, Promise<unknown>>()
  loaded.set(tree, known)
  let module = known.get(url.href)
  if (module === undefined) {
    module = load(tree, url, known.size)
    known.set(url.href, module)
  }
  return module as Promise<Stepped<M>>
}

async function load(tree: Tree, url: URL, number: number): Promise<unknown> {
  const file = fileURLToPath(url)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    throw new ScenarioError(`there is no program ${file}`)
  }
  const name = (url.pathname.split('/').at(-1) as string).replace(/\.ts$/, '')
  try {
    return await tree.load(`scenario/${name}${number === 0 ? '' : `-${number}`}.ts`, ownSpecifiers(text))
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
