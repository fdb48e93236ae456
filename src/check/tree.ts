// A stepped kernel in memory: its modules, its places, and more source compiled against it. Each build directory is a
// kernel of its own with its own binding, so that a broken variant and the real one can run side by side.
import { type BuildOptions, type BuiltKernel, readBuiltKernel, stepSource } from '../compile/build.ts'
import { readDesignFile } from '../compile/design-file.ts'
import { loadSteppedDesign } from '../compile/design-load.ts'
import { type Site, UNKNOWN_SITE, unpackSites } from '../compile/sites.ts'
import type { StepName } from '../compile/stepped/ops.ts'

/** What a stepped function returns: a generator where it can step, else its result. */
export type Steps<R> = Generator<void, R, number>
/** A kernel module as the stepped build made it: any function may be a generator function. */
export type Stepped<M> = { readonly [K in keyof M]: M[K] extends (...args: infer A) => infer R ? (...args: A) => Steps<R> : M[K] }

type Native = typeof import('../kernel/machine/instructions.ts')
/** Instructions for hand-written tasks: `yield` one that is a step, its result comes back; the others answer at once. */
export type Instructions = {
  readonly [K in keyof Native]: K extends StepName ? (...args: Parameters<Native[K]>) => void : Native[K]
}

/** A stepped kernel. */
export interface Tree {
  readonly built: BuiltKernel
  /** The stepped machine: rows of announced operations. */
  readonly announce: typeof import('../compile/stepped/announce.ts')
  /** Hashes of the frames that stopped. */
  readonly frameHash: typeof import('../compile/stepped/frame-hash.ts')
  readonly heap: typeof import('../kernel/machine/heap.ts')
  readonly percpu: typeof import('../kernel/machine/percpu.ts')
  readonly instructions: Instructions
  /** Every place, by number. */
  readonly sites: readonly Site[]
  /** Imports a module of the kernel (`sync/rwsem.ts`). */
  module<M>(path: string): Promise<Stepped<M>>
  /** Compiles and imports one more file as if it lay at `path`; its places name it `shown`, by default `path`. Throws `SourceRefused`. */
  load<M>(path: string, text: string, options?: BuildOptions, shown?: string): Promise<Stepped<M>>
  /** Compiles and imports a design of the user's own: its table, to be bound. Throws `DesignFileError`. */
  loadDesign(name: string): Promise<unknown>
}

/** Opens the stepped kernel in directory `outDir` (default: the one that ships). */
export async function openTree(outDir?: string): Promise<Tree> {
  const built = readBuiltKernel(outDir)
  const from = (path: string): Promise<unknown> => import(new URL(path.replace(/\.ts$/, '.js'), built.url).href)
  const sites = [UNKNOWN_SITE, ...unpackSites(built.sites)]
  return {
    built,
    announce: (await from('machine/announce.ts')) as Tree['announce'],
    frameHash: (await from('machine/frame-hash.ts')) as Tree['frameHash'],
    heap: (await from('machine/heap.ts')) as Tree['heap'],
    percpu: (await from('machine/percpu.ts')) as Tree['percpu'],
    instructions: (await from('machine/instructions.ts')) as Instructions,
    sites,
    module: async <M>(path: string) => (await from(path)) as Stepped<M>,
    loadDesign: (name) => loadSteppedDesign(readDesignFile(name), built, sites),
    load: async <M>(path: string, text: string, options?: BuildOptions, shown = path) => {
      const stepped = stepSource(path, text, built, sites.length, options)
      sites.push(...stepped.sites.map((site) => ({ ...site, file: shown })))
      const map = Buffer.from(stepped.map).toString('base64')
      const code = `${stepped.code}\n//# sourceURL=${path}\n//# sourceMappingURL=data:application/json;base64,${map}\n`
      return (await import(`data:text/javascript;base64,${Buffer.from(code).toString('base64')}`)) as Stepped<M>
    },
  }
}
