// A stepped kernel in which only the changed modules are built, in a few milliseconds: everything else is a hard link to
// the built kernel. Node tells modules apart by their real path, so a variant needs a directory of its own, without
// symbolic links.
import { constants, copyFileSync, linkSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { type BuildOptions, readBuiltKernel } from '../../compile/build.ts'
import { type Module, readModule } from '../../compile/module.ts'
import { callSteps, isReplaced, link, type Program, type Summary, summarise, type Target } from '../../compile/program.ts'
import { checkModule, checkProgram } from '../../compile/rules.ts'
import { packSites, type Site, unpackSites } from '../../compile/sites.ts'
import { parseSource, SourceRefused } from '../../compile/source.ts'
import { type SteppedCode, stepModule } from '../../compile/step.ts'

/**
 * Stands behind the name of a function in the places of a variant, where it or what it calls in its file was changed: whoever
 * reads a counterexample of a variant sees which code is not the kernel's own.
 */
export const CHANGED = ' (changed)'

/** A changed module, built. */
export interface SteppedVariant {
  readonly path: string
  readonly stepped: SteppedCode
}

/**
 * Builds `changed` (path → text, all in the kernel already) against the kernel that `summary` describes. Places are numbered
 * from `firstSite` on. A function that stepped keeps stepping, although its last step may be gone: its callers say `yield*`.
 * Throws `SourceRefused`, also when an exported function that did not step now does: its callers would have to be built too.
 */
export function stepVariant(
  changed: Readonly<Record<string, string>>,
  summary: Summary,
  firstSite: number,
  options: Pick<BuildOptions, 'ignoreRules'> = {},
): { readonly modules: readonly SteppedVariant[]; readonly summary: Summary } {
  const modules = new Map(Object.entries(changed).map(([path, text]) => [path, readModule(parseSource(path, text))] as const))
  for (const module of modules.values()) {
    if (isReplaced(module.source.path))
      throw new SourceRefused([{ file: module.source.path, line: 1, column: 1, reason: 'this file is not stepped' }])
  }
  const program = keepGenerators(link(modules, summary), summary)
  const refusals = options.ignoreRules
    ? program.refusals
    : [...[...modules.values()].flatMap((module) => checkModule(module)), ...checkProgram(program)]
  if (refusals.length > 0) throw new SourceRefused(refusals)
  let next = firstSite
  const built = [...modules].map(([path, module]) => {
    const respecify = (specifier: string): string => specifier.replace(/\.ts$/, '.js')
    const stepped = stepModule(program, module, { firstSite: next, respecify, mapSource: path })
    next += stepped.sites.length
    return { path, stepped }
  })
  return { modules: built, summary: { ...summary, modules: { ...summary.modules, ...summarise(program).modules } } }
}

/** `program` with every function stepping that stepped in the built kernel, and whatever calls one of those. */
function keepGenerators(program: Program, summary: Summary): Program {
  const stepping = new Set<string>()
  const refusals = [...program.refusals]
  const resolve = (module: Module, name: string): Target | null => {
    const target = program.resolve(module, name)
    return target === null || target.steps || !stepping.has(`${target.path}#${target.name}`) ? target : { ...target, steps: true }
  }
  for (const module of program.modules.values()) {
    for (const name of module.functions.keys()) {
      const stepped = summary.modules[module.source.path]?.[name]?.steps ?? false
      if (stepped || program.steps(module, name)) stepping.add(`${module.source.path}#${name}`)
    }
  }
  for (let before = -1; before !== stepping.size; ) {
    before = stepping.size
    for (const module of program.modules.values()) {
      for (const { name, calls } of module.functions.values()) {
        if (calls.some((call) => callSteps(resolve, module, call))) stepping.add(`${module.source.path}#${name}`)
      }
    }
  }
  for (const module of program.modules.values()) {
    const before = summary.modules[module.source.path]
    for (const name of module.exports.keys()) {
      const was = before?.[name]
      if (was === undefined || was.steps || !stepping.has(`${module.source.path}#${name}`)) continue
      const reason = `'${name}' now steps and did not before: build the whole kernel with this change`
      refusals.push({ file: module.source.path, line: 1, column: 1, reason })
    }
  }
  return { ...program, refusals, resolve, steps: (module, name) => stepping.has(`${module.source.path}#${name}`) }
}

/**
 * Makes the stepped kernel `outDir` (with `sites.json` and `summary.json` beside it) from the one in `baseDir` with the files
 * `changed`. Nothing of it may be there before, and no other variant may have had the directory in this process, which would
 * get its modules. The places of the built kernel keep their numbers; those of changed files come behind them, with `CHANGED`
 * behind the names of changed functions. Throws `SourceRefused` as `stepVariant`.
 */
export function variantTree(
  baseDir: string,
  changed: Readonly<Record<string, string>>,
  outDir: string,
  options: Pick<BuildOptions, 'ignoreRules'> = {},
): void {
  const base = readBuiltKernel(baseDir)
  const { modules, summary } = stepVariant(changed, base.summary, base.sites.sites.length + 1, options)
  const rebuilt = new Map(modules.map(({ path, stepped }) => [path.replace(/\.ts$/, '.js'), stepped]))
  for (const entry of readdirSync(baseDir, { recursive: true, withFileTypes: true })) {
    const from = join(entry.parentPath, entry.name)
    const path = relative(baseDir, from).split(sep).join('/')
    if (entry.isDirectory()) mkdirSync(join(outDir, path), { recursive: true })
    else if (!rebuilt.has(path.replace(/\.map$/, ''))) linkOrCopy(from, join(outDir, path))
  }
  const sites: Site[] = unpackSites(base.sites)
  for (const [path, { code, map, sites: more }] of rebuilt) {
    const touched = touchedFunctions(baseText(baseDir, path), changed[path.replace(/\.js$/, '.ts')] as string)
    const target = join(outDir, path)
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, `${code}\n//# sourceMappingURL=${path.split('/').at(-1)}.map\n`)
    writeFileSync(`${target}.map`, map)
    sites.push(...more.map((site) => (touched.has(site.function) ? { ...site, function: `${site.function}${CHANGED}` } : site)))
  }
  writeFileSync(join(outDir, '..', 'sites.json'), JSON.stringify(packSites(sites)))
  writeFileSync(join(outDir, '..', 'summary.json'), JSON.stringify(summary))
}

/** The source from which the built module at `path` was made, from its source map. */
function baseText(baseDir: string, path: string): string {
  const map = JSON.parse(readFileSync(join(baseDir, `${path}.map`), 'utf8')) as { readonly sourcesContent: readonly string[] }
  return map.sourcesContent[0] as string
}

/** The functions of `after` that are not as in `before`, and those of the same module that lead to one. */
function touchedFunctions(before: string, after: string): ReadonlySet<string> {
  const [old, now] = [before, after].map((text) => readModule(parseSource('module.ts', text))) as [Module, Module]
  const textIn = (module: Module, name: string): string | undefined => {
    const node = module.functions.get(name)?.node
    return node === undefined ? undefined : module.source.text.slice(node.start, node.end)
  }
  const touched = new Set([...now.functions.keys()].filter((name) => textIn(old, name) !== textIn(now, name)))
  for (let size = -1; size !== touched.size; ) {
    size = touched.size
    for (const { name, calls } of now.functions.values()) {
      if (calls.some(({ callee }) => callee.type === 'Identifier' && touched.has(callee.name))) touched.add(name)
    }
  }
  return touched
}

/** A hard link, or a copy where the two directories lie on different file systems. */
function linkOrCopy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  try {
    linkSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error
    copyFileSync(from, to, constants.COPYFILE_FICLONE)
  }
}
