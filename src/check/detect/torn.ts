// Torn entries: of a value that two words hold, a reader put together a low and a high half that were never stored as one.
// Halves that one agent stores without doing another step in between are one store; a half alone changes the value as a whole.
// Halves that one agent reads without doing anything else in between (it may read them again to be sure) are one read, made of
// what it read last.
import { onWord, storesWord } from '../word-operation.ts'
import { agentName, type Detector, hex, place, type Scene } from './scene.ts'

/** The two words of one value. */
export interface Pair {
  readonly low: number
  readonly high: number
}

interface Access {
  pair: Pair | null
  /** Bit 0: the low half was touched, bit 1: the high one. */
  halves: number
  low: number
  high: number
  site: number
}

/** Watches pairs: `pairOf(p)` names the pair of which word `p` is a half. */
export function detectTorn(scene: Scene, pairOf: (p: number) => Pair | null): Detector {
  const { words, agents } = scene
  const wholes = new Map<number, Set<string>>()
  const suspects: { pair: Pair; value: string; agent: number; site: number }[] = []
  const none = (): Access => ({ pair: null, halves: 0, low: 0, high: 0, site: 0 })
  const stores = Array.from({ length: agents }, none)
  const loads = Array.from({ length: agents }, none)
  const joined = (low: number, high: number): string => `${hex(high >>> 0)}:${hex(low >>> 0)}`
  const wholesOf = ({ low, high }: Pair, before: number, p: number): Set<string> => {
    let set = wholes.get(low)
    if (set === undefined) {
      set = new Set([joined(p === low ? before : (words[low] as number), p === high ? before : (words[high] as number))])
      wholes.set(low, set)
    }
    return set
  }
  const settle = (low: number): void => {
    // While a store is half done nobody knows yet what it will have stored.
    if (stores.some((one) => one.pair?.low === low)) return
    for (let i = 0; i < suspects.length; i++) {
      const { pair, value, agent, site } = suspects[i] as (typeof suspects)[0]
      if (pair.low !== low) continue
      suspects.splice(i--, 1)
      if (wholes.get(low)?.has(value)) continue
      scene.report({
        detector: 'torn',
        bookkeeping: false,
        message: `torn read: ${agentName(scene, agent)} at ${place(scene, site)} put ${value} together from words ${hex(pair.low)} and ${hex(pair.high)}, which was never stored as a whole`,
        agent,
        objects: [pair.low, pair.high],
        related: [],
      })
    }
  }
  const endStore = (agent: number): void => {
    const one = stores[agent] as Access
    const { pair } = one
    if (pair === null) return
    wholes.get(pair.low)?.add(joined(one.low, one.high))
    stores[agent] = none()
    settle(pair.low)
  }
  const endLoad = (agent: number): void => {
    const { pair, halves, low, high, site } = loads[agent] as Access
    if (pair === null) return
    loads[agent] = none()
    if (halves !== 3) return
    const value = joined(low, high)
    if (wholes.get(pair.low)?.has(value)) return
    suspects.push({ pair, value, agent, site })
    settle(pair.low)
  }
  const end = (agent: number): void => {
    endLoad(agent)
    endStore(agent)
  }
  return {
    reset: () => {
      wholes.clear()
      suspects.length = 0
      for (let agent = 0; agent < agents; agent++) {
        stores[agent] = none()
        loads[agent] = none()
      }
    },
    callReturns: end,
    finish: () => {
      for (let agent = 0; agent < agents; agent++) endLoad(agent)
      for (let agent = 0; agent < agents; agent++) endStore(agent)
    },
    step: (agent, op, a, b, _c, before, after, site) => {
      const pair = onWord(op) ? pairOf(a) : null
      if (pair === null) return end(agent)
      wholesOf(pair, before, a)
      const half = a === pair.low ? 1 : 2
      const isStore = storesWord(op, before, b)
      const list = isStore ? stores : loads
      if (isStore) endLoad(agent)
      else endStore(agent)
      // Another value, or (for a store) the same half once more: what came before was a whole.
      if ((list[agent] as Access).pair?.low !== pair.low || (isStore && ((list[agent] as Access).halves & half) !== 0)) {
        if (isStore) endStore(agent)
        else endLoad(agent)
        const fresh = none()
        fresh.pair = pair
        fresh.low = words[pair.low] as number
        fresh.high = words[pair.high] as number
        list[agent] = fresh
      }
      const one = list[agent] as Access
      one.halves |= half
      one.site = site
      if (half === 1) one.low = after
      else one.high = after
    },
  }
}
