// Maps of page tables in high memory: a CPU has a few slots for them, used like a stack, so that the latest map is undone first.
// Where tables lie in memory that is always mapped, any order is fine.
import { Op } from '../../compile/stepped/ops.ts'
import { refill } from '../undo.ts'
import { archOf, sizesOf } from './address-space.ts'
import { addFact, agentName, type Detector, hex, place, type Scene } from './scene.ts'

/** Watches the order of `kmapLocal` and `kunmapLocal`. */
export function detectKmapOrder(scene: Scene): Detector {
  const { agents, words, nrFrames } = scene
  if (nrFrames === 0 || !archOf(words).highPte) return {}
  const shift = sizesOf(words).pageShift - 2
  const mapped = Array.from({ length: agents }, (): number[] => [])
  const wrong = (agent: number, message: string, object: number): void =>
    scene.report({
      detector: 'unbalanced',
      bookkeeping: true,
      message: `unbalanced: ${agentName(scene, agent)} ${message}`,
      agent,
      objects: [object],
      related: [],
    })
  const judgeEnd = (agent: number): void => {
    const left = (mapped[agent] as number[]).at(-1)
    if (left !== undefined) wrong(agent, `returns without undoing the map of ${hex(left)}`, left)
  }
  return {
    reset: () => {
      for (const maps of mapped) maps.length = 0
    },
    save: () => {
      const kept = mapped.map((maps) => maps.slice())
      return () => {
        for (let agent = 0; agent < agents; agent++) refill(mapped[agent] as number[], kept[agent] as number[])
      }
    },
    callReturns: judgeEnd,
    interruptReturns: (cpu) => judgeEnd(scene.cpus + cpu),
    note: (agent, op, p, _b, _c, site) => {
      if (op === Op.kmapLocal) (mapped[agent] as number[]).push(p)
      else if (op === Op.kunmapLocal) {
        const latest = (mapped[agent] as number[]).pop()
        if (latest === undefined) wrong(agent, `undoes a map of ${hex(p)} at ${place(scene, site)} that it never made`, p)
        else if (latest >> shift !== p >> shift)
          wrong(agent, `undoes the map of ${hex(p)} at ${place(scene, site)} before the later one of ${hex(latest)}`, p)
      }
    },
    digest: (into) => {
      for (let agent = 0; agent < agents; agent++)
        for (const [depth, p] of (mapped[agent] as number[]).entries()) addFact(into, 0x3a90 + agent * 16 + depth, p)
    },
  }
}
