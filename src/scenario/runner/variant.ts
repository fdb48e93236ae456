// The kernel with one of a scenario's variants in it: the same build, with a line or two changed.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { variantTree } from '../../check/ablate/index.ts'
import { openTree, type Tree } from '../../check/index.ts'
import { readDesignFile, withTexts } from '../../compile/design-file.ts'
import { loadSteppedDesign } from '../../compile/design-load.ts'
import type { Site } from '../../compile/sites.ts'
import { SourceRefused } from '../../compile/source.ts'
import type { Variant } from '../scenario.ts'
import { ScenarioError } from './errors.ts'
import { ownDirectory } from './scratch.ts'

/** The kernel's source. */
export const KERNEL_SOURCE = fileURLToPath(new URL('../../../src/kernel', import.meta.url))

const STEPPED_KERNEL = fileURLToPath(new URL('../../stepped/kernel', import.meta.url))

/** The texts of the files that `variant` changes. Throws `ScenarioError` where an edit does not fit the source. */
export function editedFiles(variant: Variant): Record<string, string> {
  const files: Record<string, string> = {}
  for (const { file, from, to } of variant.edits) {
    const text = files[file] ?? sourceOf(file, variant)
    const count = text.split(from).length - 1
    if (count !== 1) throw new ScenarioError(`variant ${variant.name}: '${from}' occurs ${count} times in ${file}, not once`)
    files[file] = text.replace(from, () => to)
  }
  return files
}

function sourceOf(file: string, { name }: Variant): string {
  try {
    return readFileSync(join(KERNEL_SOURCE, file), 'utf8')
  } catch {
    throw new ScenarioError(`variant ${name}: the kernel has no file ${file} (names are as in src/kernel, like syscall/munmap.ts)`)
  }
}

/** Builds a stepped kernel with the files `changed` instead of its own. Returns its directory, for `openTree`. Throws `SourceRefused`. */
export function builtWith(changed: Readonly<Record<string, string>>, ignoreRules = false): string {
  const dir = join(ownDirectory(), 'kernel')
  variantTree(STEPPED_KERNEL, changed, dir, { ignoreRules })
  return dir
}

/** A stepped kernel with `variant` in it. Throws `ScenarioError` where that is no kernel code. */
export function brokenTree(variant: Variant): Promise<Tree> {
  const files = editedFiles(variant)
  try {
    return openTree(builtWith(files))
  } catch (error) {
    if (!(error instanceof SourceRefused)) throw error
    throw new ScenarioError(`variant ${variant.name}: what its edits make of the kernel is refused: ${error.message}`, { cause: error })
  }
}

/** The stepped kernel that ships, which loads the design of the user's in the file `design` with the texts `changed`. */
export async function treeWithDesign(design: string, changed: Readonly<Record<string, string>>): Promise<Tree> {
  const tree = await openTree()
  const file = withTexts(readDesignFile(design), changed)
  return { ...tree, loadDesign: () => loadSteppedDesign(file, tree.built, tree.sites as Site[]) }
}
