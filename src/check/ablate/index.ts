// Ablation, the source side: every place of the kernel that synchronises, and the text of the file without its effect.
//
//   const files = readKernelFiles()
//   for (const site of findSites(files)) await variantTree(baseDir, ablate(files, site), outDir)
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { kernelFiles } from '../../compile/build.ts'
import { callSites } from './calls.ts'
import { readKernelText } from './kernel-text.ts'
import { pairSites } from './pairs.ts'
import { recheckSites } from './recheck.ts'
import { type AblationSite, nameSites } from './site.ts'

export { markSites } from './marks.ts'
export { type AblationSite, ablate, type Edit, edited, type Operator, type SiteStatus, type Variant } from './site.ts'
export { variantTree } from './variant-tree.ts'

/** The kernel's files in directory `srcDir`: path relative to it → text. */
export function readKernelFiles(srcDir: string): Record<string, string> {
  return Object.fromEntries(kernelFiles(srcDir).map((path) => [path, readFileSync(join(srcDir, path), 'utf8')]))
}

/**
 * Every synchronising site of the kernel in `files` (all of its files), by file, line and column. Throws `SourceRefused` when
 * a file does not parse.
 */
export function findSites(files: Readonly<Record<string, string>>): AblationSite[] {
  const kernel = readKernelText(files)
  return nameSites([...pairSites(kernel), ...callSites(kernel), ...recheckSites(kernel)])
}
