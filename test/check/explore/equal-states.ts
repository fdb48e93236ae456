// The test of digests: two ways to states with equal digests must have the same futures.
import type { Model } from '../../../src/check/explore/model.ts'
import { Status } from '../../../src/check/explore/model.ts'
import { randomNumbers } from '../../../src/check/explore/random.ts'
import type { Machine } from '../../../src/check/index.ts'

/** What came of comparing. */
export interface Comparison {
  /** States met, different ones among them, and pairs with equal digests whose futures were compared. */
  readonly states: number
  readonly different: number
  readonly pairs: number
  /** The first pair whose futures differed, or ''. */
  readonly wrong: string
}

/** A program whose states are compared, and the machine that it runs on. */
export interface Subject {
  readonly model: Model
  readonly machine: Machine
  /** Words that may differ. */
  readonly ignored: Uint8Array
}

/**
 * Runs `walks` random executions and compares each state with an earlier one of equal digest, reached in another way: all
 * what every agent announces and whether it can go on, now and after each of `future` further steps, and then all words.
 */
export function compareEqualStates(subject: Subject, seed: number, walks: number, future: number): Comparison {
  const { model } = subject
  const random = randomNumbers(seed)
  const known = new Map<string, number[]>()
  const into = new Int32Array(2)
  let states = 0
  let pairs = 0
  for (let walk = 0; walk < walks; walk++) {
    const path: number[] = []
    const starts: { path: number[]; earlier: number[] }[] = []
    model.reset()
    for (let step = 0; step < 400; step++) {
      model.digest?.(into)
      states++
      const key = `${into[0]} ${into[1]}`
      const earlier = known.get(key)
      if (earlier === undefined) known.set(key, [...path])
      else if (earlier.join() !== path.join()) starts.push({ path: [...path], earlier })
      const ready = readyAgents(model)
      if (ready.length === 0) break
      const agent = ready[random(ready.length)] as number
      model.step(agent)
      path.push(agent)
    }
    for (let i = 0; i < 6 && starts.length > 0; i++) {
      const { path: one, earlier } = starts[random(starts.length)] as (typeof starts)[number]
      const luck = random(1 << 20)
      pairs++
      const a = futureOf(subject, one, luck, future)
      const b = futureOf(subject, earlier, luck, future)
      for (let at = 0; at < Math.max(a.length, b.length); at++) {
        if (a[at] === b[at]) continue
        const wrong = `${one.join('')} and ${earlier.join('')} have equal digests; ${at} steps on:\n${a[at]}\n${b[at]}`
        return { states, different: known.size, pairs, wrong }
      }
    }
  }
  return { states, different: known.size, pairs, wrong: '' }
}

function readyAgents(model: Model): number[] {
  return Array.from({ length: model.agents }, (_, agent) => agent).filter((agent) => model.status(agent) === Status.ready)
}

/** The state after `path`, and after each of `steps` more that `luck` chooses. */
function futureOf(subject: Subject, path: readonly number[], luck: number, steps: number): string[] {
  const { model } = subject
  const random = randomNumbers(luck)
  const states: string[] = []
  model.reset()
  for (const agent of path) model.step(agent)
  for (let step = 0; step <= steps; step++) {
    states.push(describe(subject))
    const ready = readyAgents(model)
    if (ready.length === 0 || step === steps) break
    model.step(ready[random(ready.length)] as number)
  }
  states.push(String(hashOf(subject)))
  const waiting = Array.from({ length: model.agents }, (_, agent) => agent).filter((agent) => model.status(agent) === Status.blocked)
  if (readyAgents(model).length === 0) states.push(model.finish(waiting.reduce((bits, agent) => bits | (1 << agent), 0)))
  return states
}

/** All words but those that may differ, in one number. */
function hashOf({ machine, ignored }: Subject): number {
  let hash = 0
  for (let p = 0; p < ignored.length; p++) if (ignored[p] === 0) hash = (Math.imul(hash, 31) + (machine.words[p] as number)) | 0
  return hash
}

/** What every agent announces and whether it can go on. */
function describe({ model, machine }: Subject): string {
  const agents: string[] = []
  for (let agent = 0; agent < model.agents; agent++) {
    const row = (agent < machine.cpus ? agent * 2 : (agent - machine.cpus) * 2 + 1) << 3
    const announced = machine.tree.announce.rows.subarray(row, row + 5)
    agents.push(`${model.status(agent)} ${announced[0] === 0 ? 'none' : announced.join()}`)
  }
  return `${agents.join(' | ')} | ${model.failure()}`
}
