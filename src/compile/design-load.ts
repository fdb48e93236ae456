// A design of the user's, loaded: for threads its types are taken out and it is bound to the kernel's own modules; for whoever
// steps the kernel (the checker now, a simulator later) it is turned as the kernel was. In both, lines stay where they are.
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Design } from '../kernel/design/design.ts'
import type { BuiltKernel } from './build.ts'
import type { DesignFile } from './design-file.ts'
import { eraseTypes } from './erase.ts'
import { type Constants, exportedConstants, foldText } from './fold.ts'
import { link } from './program.ts'
import type { Site } from './sites.ts'
import { resolveSpecifier } from './source.ts'
import { stepModule } from './step.ts'

/** The native kernel's modules: those that this file's neighbours use. */
const NATIVE_KERNEL = new URL('../kernel/', import.meta.url)

/** A module of the user's whose text is JavaScript, as something that can be imported. */
function moduleUrl(code: string): string {
  return `data:text/javascript;base64,${Buffer.from(code).toString('base64')}`
}

/** Loads `file` for this thread. */
export async function loadNativeDesign(file: DesignFile): Promise<Design> {
  const urls = new Map<string, string>()
  const constants = new Map<string, Constants>()
  let exported: Record<string, unknown> = {}
  for (const [path, { source }] of file.modules) {
    const own = (specifier: string): string => resolveSpecifier(path, specifier) as string
    const urlOf = (target: string): string => urls.get(target) ?? new URL(target.replace(/\.ts$/, '.js'), NATIVE_KERNEL).href
    const erased = eraseTypes(source, (specifier) => urlOf(own(specifier))).toString()
    // As the kernel's own files are folded: else a design of the user's would be slower than a built-in one for that alone.
    for (const target of kernelModules(file, path)) {
      const url = urlOf(target)
      if (!constants.has(url)) constants.set(url, await exportedConstants(fileURLToPath(url)))
    }
    const { code } = foldText(erased, (url) => constants.get(url))
    const url = moduleUrl(`${code}\n//# sourceURL=${pathToFileURL(file.path).href}${path === lastOf(file) ? '' : `?${path}`}\n`)
    urls.set(path, url)
    exported = (await import(url)) as Record<string, unknown>
  }
  return exported[exportOf(file)] as Design
}

/**
 * Loads `file` stepped, for the kernel that `kernel` describes; its places are put behind `sites`. Its exports are those of any
 * stepped module: functions that step are generators.
 */
export async function loadSteppedDesign(file: DesignFile, kernel: BuiltKernel, sites: Site[]): Promise<unknown> {
  const program = link(file.modules, kernel.summary)
  const urls = new Map<string, string>()
  let exported: Record<string, unknown> = {}
  for (const [path, module] of file.modules) {
    const respecify = (specifier: string): string => {
      const target = resolveSpecifier(path, specifier) as string
      return urls.get(target) ?? new URL(target.replace(/\.ts$/, '.js'), kernel.url).href
    }
    const stepped = stepModule(program, module, { firstSite: sites.length, respecify, mapSource: path })
    sites.push(...stepped.sites)
    const map = Buffer.from(stepped.map).toString('base64')
    const url = moduleUrl(`${stepped.code}\n//# sourceURL=${path}\n//# sourceMappingURL=data:application/json;base64,${map}\n`)
    urls.set(path, url)
    exported = (await import(url)) as Record<string, unknown>
  }
  return exported[exportOf(file)]
}

function lastOf({ modules }: DesignFile): string {
  return [...modules.keys()].at(-1) as string
}

/** The name under which the last module exports the design. */
function exportOf(file: DesignFile): string {
  for (const [as, exported] of file.modules.get(lastOf(file))?.exports ?? [])
    if ('local' in exported && exported.local === file.table) return as
  return file.table
}

/** Modules of the kernel that module `path` of the user's imports something else than types from. */
function kernelModules(file: DesignFile, path: string): string[] {
  const targets = [...(file.modules.get(path)?.imports.values() ?? [])]
    .filter(({ isType, module }) => !isType && module !== null && !file.modules.has(module))
    .map(({ module }) => module as string)
  return [...new Set(targets)]
}
