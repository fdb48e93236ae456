// The stepped build: all of src/kernel at build time, or one file more (a user's design, a variant under test) at load
// time against a kernel that is built. Next to the code lie `sites.json` (places) and `summary.json` (what links need).
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { eraseTypes } from './erase.ts'
import { type Module, readModule } from './module.ts'
import { isReplaced, link, type Summary, summarise } from './program.ts'
import { checkModule, checkProgram } from './rules.ts'
import { type PackedSites, packSites, type Site } from './sites.ts'
import { parseSource, resolveSpecifier, SourceRefused } from './source.ts'
import { type SteppedCode, stepModule } from './step.ts'

/** The stepped machine's own modules, put into `machine/` (from src/compile/stepped). */
const STEPPED_MODULES = ['announce', 'annotations', 'frame-hash', 'instructions', 'ops']

/** Every TypeScript file below `dir`, relative to it, sorted, with forward slashes. */
export function kernelFiles(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort()
}

/** How `buildStepped` may deviate. */
export interface BuildOptions {
  /** Text to take instead of a file's (path relative to the kernel's root → text): variants under test. */
  readonly replace?: Readonly<Record<string, string>>
  /** Build although the rules for kernel code are broken where the transformation still understands the code. */
  readonly ignoreRules?: boolean
}

/**
 * Builds the kernel in `srcDir` into `outDir` (same tree), with `sites.json` and `summary.json` beside `outDir`.
 * Throws `SourceRefused` with every refusal when the kernel breaks its rules.
 */
export async function buildStepped(srcDir: string, outDir: string, options: BuildOptions = {}): Promise<void> {
  const modules = new Map<string, Module>()
  for (const path of kernelFiles(srcDir)) {
    modules.set(path, readModule(parseSource(path, options.replace?.[path] ?? readFileSync(join(srcDir, path), 'utf8'))))
  }
  const program = link(modules)
  const refusals = options.ignoreRules
    ? program.refusals
    : [...[...modules.values()].flatMap((module) => checkModule(module)), ...checkProgram(program)]
  if (refusals.length > 0) throw new SourceRefused(refusals)

  rmSync(outDir, { recursive: true, force: true })
  const sites: Site[] = []
  const calls = new Set<number>()
  for (const [path, module] of modules) {
    if (isReplaced(path)) continue
    const target = join(outDir, path.replace(/\.ts$/, '.js'))
    const stepped = stepModule(program, module, {
      firstSite: sites.length + 1,
      respecify: (specifier) => specifier.replace(/\.ts$/, '.js'),
      mapSource: relative(dirname(target), join(srcDir, path)).split(sep).join('/'),
    })
    sites.push(...stepped.sites)
    for (const number of stepped.calls) {
      if (calls.has(number)) throw new Error(`two calls of the kernel have the number ${number}, the second one in ${path}`)
      calls.add(number)
    }
    write(target, stepped)
  }
  const steppedDir = join(srcDir, '..', 'compile', 'stepped')
  for (const name of STEPPED_MODULES) {
    write(join(outDir, 'machine', `${name}.js`), eraseFile(join(steppedDir, `${name}.ts`), join(outDir, 'machine')))
  }
  writeFileSync(join(outDir, '..', 'sites.json'), JSON.stringify(packSites(sites)))
  writeFileSync(join(outDir, '..', 'summary.json'), JSON.stringify(summarise(program)))
}

function write(target: string, { code, map }: { code: string; map: string }): void {
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, `${code}\n//# sourceMappingURL=${target.split(sep).at(-1)}.map\n`)
  writeFileSync(`${target}.map`, map)
}

/** Only takes the types out of a file of the stepped machine, whose imports of the kernel become its neighbours. */
function eraseFile(file: string, targetDir: string): { code: string; map: string } {
  const source = parseSource(file, readFileSync(file, 'utf8'))
  const edit = eraseTypes(source, (specifier) => specifier.replace(/^.*\//, './').replace(/\.ts$/, '.js'))
  const map = edit.generateMap({ source: relative(targetDir, file).split(sep).join('/'), includeContent: true, hires: 'boundary' })
  return { code: edit.toString(), map: map.toString() }
}

/** A built kernel that more source can be linked against. */
export interface BuiltKernel {
  /** Directory of the built modules, with a trailing slash. */
  readonly url: string
  readonly summary: Summary
  readonly sites: PackedSites
}

/** Reads the kernel that `buildStepped` put into `outDir` (default: the one that ships). */
export function readBuiltKernel(outDir = fileURLToPath(new URL('../stepped/kernel', import.meta.url))): BuiltKernel {
  const json = (name: string): unknown => JSON.parse(readFileSync(join(outDir, '..', name), 'utf8'))
  return { url: `${pathToFileURL(outDir).href}/`, summary: json('summary.json') as Summary, sites: json('sites.json') as PackedSites }
}

/**
 * Turns one more file at load time. `path` says where it would lie in the kernel (`design/mine.ts`): its relative imports
 * are resolved from there and become URLs of `kernel`'s modules. Throws `SourceRefused`.
 *
 * @param firstSite number of its first place: one more than the places in use.
 */
export function stepSource(path: string, text: string, kernel: BuiltKernel, firstSite: number, options: BuildOptions = {}): SteppedCode {
  const module = readModule(parseSource(path, text))
  const program = link(new Map([[path, module]]), kernel.summary)
  const refusals = options.ignoreRules ? program.refusals : [...checkModule(module), ...checkProgram(program)]
  if (refusals.length > 0) throw new SourceRefused(refusals)
  const respecify = (specifier: string): string | null => {
    const target = resolveSpecifier(path, specifier)
    return target === null ? null : new URL(target.replace(/\.ts$/, '.js'), kernel.url).href
  }
  return stepModule(program, module, { firstSite, respecify, mapSource: path })
}
