// Random small concurrent programs, and the identity of a Mazurkiewicz trace computed without the explorer's clocks.
import { accesses } from '../../../src/check/explore/footprint.ts'
import type { Agent, Litmus, Operations } from '../../../src/check/explore/litmus.ts'
import type { Model } from '../../../src/check/explore/model.ts'

/** Which operations a program may use. */
export type Flavour = 'accesses' | 'locks' | 'waits' | 'futexes' | 'mixed' | 'scattered' | 'plain' | 'loops'

/** Flavours whose words are so many that some belong to one agent. */
const WIDE: readonly Flavour[] = ['scattered', 'plain']

const KINDS: Record<Flavour, readonly string[]> = {
  accesses: ['read', 'write', 'add', 'exchange', 'cas', 'cas'],
  locks: ['read', 'write', 'section', 'section', 'lock'],
  waits: ['read', 'write', 'cas', 'awaitValue', 'awaitOther', 'awaitExchange'],
  futexes: ['write', 'cas', 'futexWait', 'futexWait', 'futexWake', 'futexWake'],
  mixed: [
    'read',
    'write',
    'add',
    'cas',
    'section',
    'lock',
    'unlock',
    'awaitValue',
    'awaitOther',
    'awaitExchange',
    'futexWait',
    'futexWake',
  ],
  scattered: ['read', 'write', 'write', 'add', 'cas', 'section', 'awaitOther', 'awaitExchange', 'futexWait', 'futexWake', 'expect'],
  /** They may run for ever: for searches that know states again. */
  loops: ['read', 'write', 'write', 'cas', 'section', 'awaitOther', 'again', 'again'],
  plain: ['read', 'write', 'cas', 'load', 'store', 'store', 'guarded', 'guarded', 'guarded'],
}

function generatorOf(seed: number): (below: number) => number {
  let state = seed | 0
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** A random program, and what its agents have read last in the present execution. */
export interface RandomProgram extends Litmus {
  readonly text: string
  readonly registers: Int32Array
}

/**
 * A program of two to four agents with a few operations each on two words. What was read steers what comes next. `forgets`:
 * the agents say what they depend on. `longest`: the most operations of an agent, instead of few.
 */
export function randomProgram(seed: number, flavour: Flavour, forgets = false, longest = 0): RandomProgram {
  const words = WIDE.includes(flavour) ? 4 : 2
  const lock = words + 1
  const random = generatorOf(seed)
  const count = 2 + random(3)
  const most = longest > 0 ? longest : count === 4 ? 2 : count === 3 ? 3 : 4
  const kinds = KINDS[flavour]
  const lines: string[] = []
  const agents: Agent[] = []
  const registers = new Int32Array(count)
  for (let agent = 0; agent < count; agent++) {
    const plan: { kind: string; p: number; a: number; b: number; ifSeen: number }[] = []
    const length = 1 + random(most)
    for (let i = 0; i < length; i++) {
      plan.push({
        kind: kinds[random(kinds.length)] as string,
        p: 1 + random(words),
        a: random(3),
        b: random(3),
        ifSeen: random(3) === 0 ? random(3) : -1,
      })
    }
    lines.push(plan.map(({ kind, p, a, b, ifSeen }) => `${kind}(${p},${a},${b})${ifSeen < 0 ? '' : `?${ifSeen}`}`).join('; '))
    agents.push(function* (on: Operations) {
      let seen = 0
      registers[agent] = 0
      for (let i = 0; i < plan.length; i++) {
        const { kind, p, a, b, ifSeen } = plan[i] as (typeof plan)[number]
        registers[agent] = seen
        if (forgets) on.keep(i, seen)
        if (ifSeen >= 0 && seen !== ifSeen) continue
        if (kind === 'read') seen = yield on.read(p)
        else if (kind === 'write') yield on.write(p, a)
        else if (kind === 'add') seen = yield on.add(p, 1)
        else if (kind === 'exchange') seen = yield on.exchange(p, a)
        else if (kind === 'cas') seen = yield on.compareExchange(p, a, b)
        else if (kind === 'lock') yield on.lock(p)
        else if (kind === 'unlock') yield on.unlock(p)
        else if (kind === 'awaitValue') yield on.awaitValue(p, a)
        else if (kind === 'awaitOther') seen = yield on.awaitOther(p, a)
        else if (kind === 'awaitExchange') yield on.awaitExchange(p, a, b)
        else if (kind === 'futexWait') seen = yield on.futexWait(p, a)
        else if (kind === 'futexWake') seen = yield on.futexWake(p, 1 + (a & 1))
        else if (kind === 'expect') on.assert((yield on.read(p)) !== 2, 'it is two')
        else if (kind === 'again') {
          seen = yield on.read(p)
          if (seen === a) i = -1
        } else if (kind === 'load') seen = on.load(p)
        else if (kind === 'store') on.store(p, a)
        else if (kind === 'guarded') {
          yield on.lock(lock)
          seen = on.load(p)
          on.store(p, (seen + a) % 3)
          yield on.unlock(lock)
        } else {
          yield on.lock(lock)
          seen = yield on.read(p)
          yield on.unlock(lock)
        }
      }
      registers[agent] = seen
    })
  }
  return { words: lock, agents, mayBlock: true, text: lines.join('  ∥  '), registers }
}

/**
 * The trace of a path as text: for each object, its writes in order and the sets of reads between them, each event named by
 * its agent and its number there; for agents of one processor, their order. Equal exactly for equivalent paths.
 */
export function traceOf(model: Model, path: readonly number[]): string {
  const number = new Int32Array(model.agents)
  const chains = new Map<number, string[][]>()
  model.reset()
  for (const agent of path) {
    const footprint = model.footprint(agent)
    const name = `${agent}.${(number[agent] as number)++}`
    for (const single of footprint < 0 ? accesses(model.footprints, footprint) : footprint === 0 ? [] : [footprint]) {
      const chain = chains.get(single >> 1) ?? [[]]
      chains.set(single >> 1, chain)
      if ((single & 1) !== 0) chain.push([`!${name}`], [])
      else chain[chain.length - 1]?.push(name)
    }
    if (model.groups !== null) {
      const group = -1 - (model.groups[agent] as number)
      const chain = chains.get(group) ?? [[]]
      chains.set(group, chain)
      chain.push([name])
    }
    model.step(agent)
  }
  const keys = [...chains.keys()].sort((a, b) => a - b)
  const texts = keys.map((key) => `${key}:${(chains.get(key) as string[][]).map((set) => set.sort().join(' ')).join('|')}`)
  return `${number.join()} ${texts.join(' ; ')}`
}
