// What the path under way tells a search with states merged: how much of the whole lies below its end, and whether it goes
// round.
import type { Model } from './model.ts'

/** What is said of an agent that came back to a state (`again`), or took very many steps, while nobody else could go on. */
export function livelockText(model: Model, agent: number, again: boolean): string {
  const what = again ? 'goes round for ever' : 'takes thousands of steps without an end'
  return `livelock: ${model.describe?.(agent) ?? `agent ${agent}`} ${what}, and nobody else can go on`
}

/** A path from node `base`, whose part of the whole is `weight`, and all that was to be taken at each node. */
export interface PathSoFar {
  readonly base: number
  readonly weight: number
  readonly branches: Int32Array
}

/** The part of the whole search that lies below node `depth` of the path, if all branches of a node are equally large. */
export function weightOf({ base, weight, branches }: PathSoFar, depth: number): number {
  let part = weight
  for (let i = base; i < depth; i++) {
    const all = branches[i] as number
    if ((all & (all - 1)) !== 0) part /= bitCount(all)
  }
  return part
}

function bitCount(bits: number): number {
  let count = 0
  for (; bits !== 0; bits &= bits - 1) count++
  return count
}

/**
 * Whether the state `digest` at node `depth` was met before at one of the last `alone` nodes, at which only one agent could go
 * on: then that agent will meet it again and again. `states`: two words for each node, 0 where it was not matched.
 */
export function goesRound(states: Int32Array, depth: number, alone: number, digest: Int32Array): boolean {
  if (digest[0] === 0 && digest[1] === 0) return false
  for (let d = depth - 1; d > depth - alone; d--) {
    if (states[2 * d] === digest[0] && states[2 * d + 1] === digest[1]) return true
  }
  return false
}
