// The build that is measured: modules of dist/, typed as their sources. What is compiled here is only the benchmark.

/** Where dist/ is, as an address that ends in a slash. */
export type Dist = string

/** Loads a module of the build: its path below dist/, such as `check/explore/index.js`. */
export async function built<M>(dist: Dist, path: string): Promise<M> {
  return (await import(new URL(path, dist).href)) as M
}

/** The explorer of the build. */
export function explorer(dist: Dist): Promise<typeof import('../../src/check/explore/index.ts')> {
  return built(dist, 'check/explore/index.js')
}
