// How many cores there are, in Node and in browsers.

const browserCores = (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency
const nodeCores = await import('node:os').then(
  (os) => os.availableParallelism(),
  () => undefined,
)

/** Cores that threads of this program can run on at the same time; 1 if nobody says. */
export function availableParallelism(): number {
  return nodeCores ?? browserCores ?? 1
}
