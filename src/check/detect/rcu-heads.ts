// rcu_heads: one that is queued must not be queued again, nor written through a field that lies over it, nor freed, before
// its callback is called.
import { Op } from '../../compile/stepped/ops.ts'
import type { RelatedEvent } from '../violation.ts'
import { onWord, storesWord } from '../word-operation.ts'
import type { Objects } from './objects.ts'
import { agentName, type Detector, describeEvent, hex, place, type Scene } from './scene.ts'

const RCU_FILES: ReadonlySet<string> = new Set(['sync/rcu.ts', 'sync/srcu.ts', 'softirq.ts'])
/** Words of an rcu_head. */
const HEAD_WORDS = 2
/** How far in front of an object its rcu_head may lie. */
const BEFORE = 4

/** Watches queued rcu_heads. */
export function detectRcuHeads(scene: Scene, objects: Objects): Detector {
  let queued = new Map<number, RelatedEvent>()
  let saved = new Map<number, RelatedEvent>()
  let changed = false
  const isHead = new Uint8Array(scene.words.length)
  const isRcu = (site: number): boolean => RCU_FILES.has(scene.sites[site]?.file ?? '')
  const mark = (head: number, value: number): void => void isHead.fill(value, head, head + HEAD_WORDS)
  const owner = (head: number): string => {
    const page = objects.ofStructPage(head)
    if (page !== 0) return `rcu_head of ${objects.name(page)}`
    const object = objects.at(head) || objects.at(head + BEFORE)
    return object === 0 ? `rcu_head ${hex(head)}` : `rcu_head ${hex(head)} of ${objects.name(object)}`
  }
  const wrong = (agent: number, head: number, site: number, what: string): void => {
    const then = queued.get(head) as RelatedEvent
    scene.report({
      detector: 'rcu-head',
      bookkeeping: false,
      message: `${owner(head)} ${what} by ${agentName(scene, agent)} at ${place(scene, site)} while it is queued (${describeEvent(scene, then)})`,
      agent,
      objects: [head],
      related: [then],
    })
  }
  const written = (agent: number, p: number, site: number): void => {
    if (isHead[p] === 0 || isRcu(site)) return
    const head = queued.has(p) ? p : p - 1
    wrong(agent, head, site, 'is written')
  }
  const writtenRange = (agent: number, p: number, count: number, site: number): void => {
    for (const head of queued.keys()) if (head + HEAD_WORDS > p && head < p + count) wrong(agent, head, site, 'is written')
  }
  return {
    snapshot: () => {
      saved = new Map([...queued].map(([head, event]) => [head, { ...event, event: -1 }]))
      changed = true
    },
    reset: () => {
      if (!changed) return
      for (const head of queued.keys()) mark(head, 0)
      queued = new Map(saved)
      for (const head of queued.keys()) mark(head, 1)
      changed = false
    },
    save: () => {
      const kept = new Map(queued)
      return () => {
        for (const head of queued.keys()) mark(head, 0)
        queued = new Map(kept)
        for (const head of queued.keys()) mark(head, 1)
        changed = true
      }
    },
    step: (agent, op, a, b, _c, before, _after, site) => {
      if (queued.size > 0 && onWord(op) && storesWord(op, before, b)) written(agent, a, site)
    },
    plain: (agent, op, a, b, c, site) => {
      if (queued.size === 0) return
      if (op === Op.store) written(agent, a, site)
      else if (op === Op.zeroPage) writtenRange(agent, a, b, site)
      else if (op === Op.copyPage) writtenRange(agent, a, c, site)
    },
    note: (agent, op, a, b, _c, site) => {
      if (op === Op.rcuQueued) {
        if (queued.has(a)) wrong(agent, a, site, 'is queued again')
        queued.set(a, { text: 'queued', agent, site, event: scene.event })
        mark(a, 1)
        changed = true
      } else if (op === Op.rcuInvoked) {
        queued.delete(a)
        mark(a, 0)
        changed = true
      } else if (op === Op.freed && queued.size > 0) {
        const object = objects.at(a)
        for (const head of queued.keys()) {
          const inside = head >= a - BEFORE && head < a + b && objects.at(head + BEFORE) !== 0
          const owns = objects.ofStructPage(head)
          if (inside ? (objects.at(head) || objects.at(head + BEFORE)) === object : owns !== 0 && owns === object)
            wrong(agent, head, site, 'is freed')
        }
      }
    },
  }
}
