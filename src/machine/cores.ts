// How many cores there are, in Node and in browsers.
import type * as Os from 'node:os'

interface Hosts {
  readonly navigator?: { readonly hardwareConcurrency?: number }
  readonly process?: { getBuiltinModule?(name: 'node:os'): typeof Os }
}

/** Cores that threads of this program can run on at the same time; 1 if nobody says. */
export function availableParallelism(): number {
  const { navigator, process } = globalThis as Hosts
  return process?.getBuiltinModule?.('node:os').availableParallelism() ?? navigator?.hardwareConcurrency ?? 1
}
