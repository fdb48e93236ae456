// Designs of the user's own, by file: a name with a slash, or one that ends as TypeScript does, is a path. Loading reads a file,
// booting and binding do not wait: a thread loads a design before it boots a machine with it or becomes a CPU of one.
import type { Design } from '../kernel/design/design.ts'

/** A design of the user's, as a machine's shape names it for other threads. */
export interface OwnDesign {
  readonly path: string
  /** Of the file's text, and of what it imports of the user's. */
  readonly hash: string
}

interface Loaded extends OwnDesign {
  readonly design: Design
}

/** What this thread has loaded, by the name that was given and by path. */
const loaded = new Map<string, Loaded>()

/** Whether `name` is a file rather than one of the designs that ship. */
export function isDesignFile(name: string): boolean {
  return /[\\/]|\.[cm]?[jt]s$/.test(name)
}

/**
 * Loads the design in the file `name`, unless `name` is that of a design that ships: then nothing is to be done. Reads the file
 * each time, so that a change is seen. Throws `DesignFileError` with one sentence.
 */
export async function loadDesign(name: string): Promise<void> {
  if (isDesignFile(name)) await load(name)
}

/** In another thread: loads the design of a machine's shape. Throws if the file is not what it was when the machine was made. */
export async function loadDesignOf({ own }: { readonly own?: OwnDesign | undefined }): Promise<void> {
  if (own === undefined || loaded.get(own.path)?.hash === own.hash) return
  const { hash } = await load(own.path)
  if (hash !== own.hash) throw new Error(`the design ${own.path} has changed since the machine was made`)
}

async function load(name: string): Promise<Loaded> {
  // Not before it is needed: the library loads without Node and without a compiler.
  const { readDesignFile } = await import('../compile/design-file.ts')
  const file = readDesignFile(name)
  const known = loaded.get(file.path)
  if (known?.hash === file.hash) {
    loaded.set(name, known)
    return known
  }
  const { loadNativeDesign } = await import('../compile/design-load.ts')
  const found = { path: file.path, hash: file.hash, design: await loadNativeDesign(file) }
  loaded.set(name, found)
  loaded.set(file.path, found)
  return found
}

/** The design that `loadDesign` loaded from the file `name`, or undefined. */
export function loadedDesign(name: string): Loaded | undefined {
  return loaded.get(name)
}
