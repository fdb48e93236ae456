// `--design`: names of designs that ship, and files of designs of the user's own, with commas between them.
import { resolve } from 'node:path'
import { isDesignFile, loadDesign } from '../machine/own-design.ts'
import { type RawOptions, text } from './option-values.ts'
import { suggestion, UsageError } from './usage-error.ts'

/**
 * The designs that `--design` names, in that order; `all` are all of `known`. A file stands there as it was typed. Throws
 * `UsageError` for what is neither.
 */
export function designNames(raw: RawOptions, known: readonly string[]): readonly string[] | undefined {
  const parts = text(raw, 'design')
    ?.split(',')
    .map((part) => part.trim())
    .flatMap((part) => (part === 'all' ? known : [part]))
  for (const part of parts ?? [])
    if (!known.includes(part) && !isDesignFile(part)) throw new UsageError(`unknown design '${part}'${suggestion(part, [...known, 'all'])}`)
  const places = parts?.map((part) => (isDesignFile(part) ? resolve(part) : part))
  return parts?.filter((_, i) => places?.indexOf(places[i] as string) === i)
}

/** Loads those of `designs` that are files, so that what is wrong with one is said before anything begins. Throws `DesignFileError`. */
export async function loadDesigns(designs: readonly string[]): Promise<void> {
  for (const name of designs) await loadDesign(name)
}
