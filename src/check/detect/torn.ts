// Torn entries: of a value that two words hold, a reader put together a low and a high half that were never stored as one.
// Halves that one agent stores without doing another step in between are one store; a half alone changes the value as a whole.
// Halves that one agent reads without doing anything else in between (it may read them again to be sure) are one read, made of
// what it read last. What is remembered is what the value was as a whole since the oldest read under way began.
import { onWord, storesWord } from '../word-operation.ts'
import { addFact, agentName, type Detector, hex, mix, place, type Scene } from './scene.ts'

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
  /** Of a store: what the value was as a whole before. */
  oldLow: number
  oldHigh: number
  site: number
}

interface Value {
  readonly low: number
  readonly high: number
}

interface Suspect {
  readonly pair: Pair
  readonly value: Value
  readonly agent: number
  readonly site: number
}

const NONE: Readonly<Access> = Object.freeze({ pair: null, halves: 0, low: 0, high: 0, oldLow: 0, oldHigh: 0, site: 0 })

/**
 * Watches pairs: `pairOf(p)` names the pair of which word `p` is a half. A read that is `harmless` by
 * the low half that it found, and the place where it ends, is not judged.
 */
export function detectTorn(scene: Scene, pairOf: (p: number) => Pair | null, harmless: (low: number, site: number) => boolean): Detector {
  const { words, agents } = scene
  /** By the low word of a pair that is being read, or of which a read awaits judgement. */
  const wholes = new Map<number, Value[]>()
  let suspects: Suspect[] = []
  const stores = Array.from({ length: agents }, (): Access => ({ ...NONE }))
  const loads = Array.from({ length: agents }, (): Access => ({ ...NONE }))
  const begin = (list: Access[], agent: number, pair: Pair): Access => {
    const low = words[pair.low] as number
    const high = words[pair.high] as number
    const fresh = { ...NONE, pair, low, high, oldLow: low, oldHigh: high }
    list[agent] = fresh
    return fresh
  }
  const add = (pair: Pair, low: number, high: number): void => {
    const known = wholes.get(pair.low)
    if (known === undefined) wholes.set(pair.low, [{ low, high }])
    else if (!known.some((one) => one.low === low && one.high === high)) known.push({ low, high })
  }
  const known = ({ low }: Pair, value: Value): boolean =>
    wholes.get(low)?.some((one) => one.low === value.low && one.high === value.high) === true
  const settle = ({ low }: Pair): void => {
    // While a store is half done nobody knows yet what it will have stored.
    if (!stores.some((one) => one.pair?.low === low)) {
      for (const { pair, value, agent, site } of suspects) {
        if (pair.low !== low || known(pair, value)) continue
        scene.report({
          detector: 'torn',
          bookkeeping: false,
          message: `torn read: ${agentName(scene, agent)} at ${place(scene, site)} put ${hex(value.high >>> 0)}:${hex(value.low >>> 0)} together from words ${hex(pair.low)} and ${hex(pair.high)}, which was never stored as a whole`,
          agent,
          objects: [pair.low, pair.high],
          related: [],
        })
      }
      suspects = suspects.filter(({ pair }) => pair.low !== low)
    }
    if (!loads.some((one) => one.pair?.low === low) && !suspects.some(({ pair }) => pair.low === low)) wholes.delete(low)
  }
  const endStore = (agent: number): void => {
    const { pair, low, high } = stores[agent] as Access
    if (pair === null) return
    stores[agent] = { ...NONE }
    if (wholes.has(pair.low)) add(pair, low, high)
    settle(pair)
  }
  const endLoad = (agent: number): void => {
    const { pair, halves, low, high, site } = loads[agent] as Access
    if (pair === null) return
    loads[agent] = { ...NONE }
    const value = { low, high }
    if (halves === 3 && !harmless(low, site) && !known(pair, value)) suspects.push({ pair, value, agent, site })
    settle(pair)
  }
  const end = (agent: number): void => {
    endLoad(agent)
    endStore(agent)
  }
  const reads = (agent: number, pair: Pair): Access => {
    endStore(agent)
    if ((loads[agent] as Access).pair?.low === pair.low) return loads[agent] as Access
    endLoad(agent)
    if (!wholes.has(pair.low)) {
      const under = stores.find((one) => one.pair?.low === pair.low)
      if (under === undefined) add(pair, words[pair.low] as number, words[pair.high] as number)
      else add(pair, under.oldLow, under.oldHigh)
    }
    return begin(loads, agent, pair)
  }
  const writes = (agent: number, pair: Pair, half: number, before: number): Access => {
    endLoad(agent)
    const under = stores[agent] as Access
    // Another value, or the same half once more: what came before was a whole.
    if (under.pair?.low === pair.low && (under.halves & half) === 0) return under
    endStore(agent)
    const one = begin(stores, agent, pair)
    if (half === 1) one.oldLow = before
    else one.oldHigh = before
    return one
  }
  return {
    reset: () => {
      wholes.clear()
      suspects = []
      for (let agent = 0; agent < agents; agent++) {
        stores[agent] = { ...NONE }
        loads[agent] = { ...NONE }
      }
    },
    save: () => {
      const keptWholes = [...wholes].map(([low, values]) => [low, values.slice()] as const)
      const keptSuspects = suspects.slice()
      const kept = [stores, loads].map((list) => list.map((one) => ({ ...one })))
      return () => {
        wholes.clear()
        for (const [low, values] of keptWholes) wholes.set(low, values.slice())
        suspects = keptSuspects.slice()
        for (let agent = 0; agent < agents; agent++) {
          stores[agent] = { ...((kept[0] as Access[])[agent] as Access) }
          loads[agent] = { ...((kept[1] as Access[])[agent] as Access) }
        }
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
      const half = a === pair.low ? 1 : 2
      const one = storesWord(op, before, b) ? writes(agent, pair, half, before) : reads(agent, pair)
      one.halves |= half
      one.site = site
      if (half === 1) one.low = after
      else one.high = after
    },
    digest: (into) => {
      for (const [low, values] of wholes) for (const value of values) addFact(into, low ^ 0x70a2, mix(value.low, value.high))
      for (const { pair, value, agent } of suspects) addFact(into, (pair.low ^ 0x70a3) + agent, mix(value.low, value.high))
      for (let agent = 0; agent < agents; agent++) {
        const load = loads[agent] as Access
        if (load.pair !== null) addFact(into, (load.pair.low ^ 0x70a4) + agent, mix(mix(load.low, load.high), load.halves))
        const store = stores[agent] as Access
        if (store.pair !== null) addFact(into, (store.pair.low ^ 0x70a5) + agent, mix(mix(store.oldLow, store.oldHigh), store.halves))
      }
    },
  }
}
