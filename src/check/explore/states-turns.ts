// Agents that take turns for ever: each goes on, because the others have changed something, and none comes to an end. A search
// suspects it where it meets a state again on its own path; whether there is a way out is then tried by chance.
import { type Model, Status } from './model.ts'
import { randomNumbers } from './random.ts'

/** Steps by chance without an end after which there is taken to be none. Ways out of a wait are short. */
const WALK = 20_000

/** On the average an agent takes this many steps before another one is chosen. */
const STAY = 4

/** Goes on from the present state by chance. Returns whether no end was found; the model is somewhere else afterwards. */
export function neverEnds(model: Model): boolean {
  const random = randomNumbers(1)
  let running = -1
  for (let step = 0; step < WALK; step++) {
    if (model.failure() !== '') return false
    let ready = 0
    let count = 0
    for (let agent = 0; agent < model.agents; agent++) {
      if (model.status(agent) !== Status.ready) continue
      ready |= 1 << agent
      count++
    }
    if (ready === 0) return false
    if (running < 0 || ((ready >> running) & 1) === 0 || random(STAY) === 0) {
      for (let skip = random(count); skip > 0; skip--) ready &= ready - 1
      running = 31 - Math.clz32(ready & -ready)
    }
    model.step(running)
  }
  return true
}

/** What is said of agents that take turns, at the present state. */
export function turnsText(model: Model): string {
  const where: string[] = []
  for (let agent = 0; agent < model.agents; agent++) {
    if (model.status(agent) === Status.ready) where.push(model.describe?.(agent) ?? `agent ${agent}`)
  }
  return `livelock: all that can go on take turns for ever, and no way to an end was found: ${where.join('; ')}`
}

/** Whether the state `digest` of node `depth` was met before on the path. `states`: two words for each node, 0 where not matched. */
export function isOnPath(states: Int32Array, depth: number, digest: Int32Array): boolean {
  for (let d = depth - 1; d >= 0; d--) if (states[2 * d] === digest[0] && states[2 * d + 1] === digest[1]) return true
  return false
}
