// Where each agent is: inside how many RCU sections, with interrupts off, in user mode, and which locks it holds. Several
// detectors judge by it.
import { Op } from '../../compile/stepped/ops.ts'
import { Mode } from '../../kernel/machine/entry.ts'
import { addFact, cpuOf, type Detector, type Scene } from './scene.ts'

/** Locks that one agent may hold at once. */
export const MAX_HELD = 24

/** A held lock. */
export interface Held {
  lock: number
  exclusive: boolean
  /** Whether whoever waits for it spins. */
  spins: boolean
  site: number
  event: number
}

/** What is known of all agents' sections. */
export interface Sections extends Detector {
  readonly rcuDepth: Int32Array
  /** Place of the outermost `rcuReadEnter` of each agent. */
  readonly rcuSite: Int32Array
  /** Counts the sections of each agent; 0 while it is in none. */
  readonly section: Int32Array
  /** Place where each CPU's interrupts were turned off. */
  readonly irqSite: Int32Array
  readonly held: readonly (readonly Held[])[]
  readonly heldCount: Int32Array
  /** Releases of a lock that the agent did not hold: told to the detector of balance. */
  onStrayRelease: ((agent: number, lock: number, site: number) => void) | null
  irqOff(agent: number): boolean
  mode(agent: number): number
  holds(agent: number, lock: number): Held | null
  /** Some agent that holds `lock`, or -1. */
  holder(lock: number): number
}

/** Follows the sections of all agents. Told of every event before the detectors that ask it. */
export function createSections(scene: Scene): Sections {
  const { agents, words, sites } = scene
  const { Cpu } = scene.machine.tree.percpu
  const serial = new Int32Array(agents)
  const isSleeping = (site: number): boolean => sites[site]?.file === 'sync/rwsem.ts'
  const held = Array.from({ length: agents }, () =>
    Array.from({ length: MAX_HELD }, (): Held => ({ lock: 0, exclusive: false, spins: true, site: 0, event: 0 })),
  )
  let saved: { lock: number; exclusive: boolean; spins: boolean; site: number }[][] = []
  const heldCount = new Int32Array(agents)
  const rcuDepth = new Int32Array(agents)
  const section = new Int32Array(agents)
  const irqOff = (agent: number): boolean => words[scene.area(cpuOf(scene, agent)) + Cpu.irqOff] !== 0
  const mode = (agent: number): number => (words[scene.area(cpuOf(scene, agent)) + Cpu.context] as number) & 3
  const update = (agent: number): void => {
    const inside = (rcuDepth[agent] as number) > 0 || irqOff(agent) || mode(agent) === Mode.user
    if (!inside) section[agent] = 0
    else if (section[agent] === 0) section[agent] = serial[agent] = (serial[agent] as number) + 1
  }
  const release = (agent: number, lock: number, site: number): void => {
    const list = held[agent] as Held[]
    const count = heldCount[agent] as number
    for (let i = count - 1; i >= 0; i--) {
      if ((list[i] as Held).lock !== lock) continue
      const gone = list[i] as Held
      for (let j = i; j < count - 1; j++) list[j] = list[j + 1] as Held
      list[count - 1] = gone
      heldCount[agent] = count - 1
      return
    }
    sections.onStrayRelease?.(agent, lock, site)
  }
  const sections: Sections = {
    rcuDepth,
    rcuSite: new Int32Array(agents),
    section,
    irqSite: new Int32Array(scene.cpus),
    held,
    heldCount,
    onStrayRelease: null,
    irqOff,
    mode,
    holds: (agent, lock) => {
      for (let i = 0; i < (heldCount[agent] as number); i++) {
        const one = (held[agent] as Held[])[i] as Held
        if (one.lock === lock) return one
      }
      return null
    },
    holder: (lock) => {
      for (let agent = 0; agent < agents; agent++) if (sections.holds(agent, lock) !== null) return agent
      return -1
    },
    snapshot: () => {
      saved = held.map((list, agent) => list.slice(0, heldCount[agent] as number).map((one) => ({ ...one })))
    },
    reset: () => {
      for (let agent = 0; agent < agents; agent++) {
        const list = saved[agent] ?? []
        heldCount[agent] = list.length
        for (let i = 0; i < list.length; i++) Object.assign((held[agent] as Held[])[i] as Held, list[i])
        rcuDepth[agent] = 0
        section[agent] = 0
        serial[agent] = 0
      }
      sections.irqSite.fill(0)
      for (let agent = 0; agent < agents; agent++) update(agent)
    },
    save: () => {
      const arrays = [rcuDepth, sections.rcuSite, section, sections.irqSite, serial, heldCount]
      const kept = arrays.map((array) => array.slice())
      const keptHeld = held.map((list, agent) => list.slice(0, heldCount[agent] as number).map((one) => ({ ...one })))
      return () => {
        for (let i = 0; i < arrays.length; i++) (arrays[i] as Int32Array).set(kept[i] as Int32Array)
        for (let agent = 0; agent < agents; agent++) {
          const list = keptHeld[agent] as Held[]
          for (let i = 0; i < list.length; i++) Object.assign((held[agent] as Held[])[i] as Held, list[i])
        }
      }
    },
    step: (agent, op, a, _b, _c, _before, _after, site) => {
      if (op === Op.irqSave) {
        const cpu = cpuOf(scene, agent)
        if (words[scene.area(cpu) + Cpu.irqOff] === 1) sections.irqSite[cpu] = site
        update(agent)
      } else if (op === Op.irqRestore || a === scene.area(cpuOf(scene, agent)) + Cpu.context) update(agent)
    },
    note: (agent, op, a, b, _c, site) => {
      if (op === Op.lockAcquired) {
        const count = heldCount[agent] as number
        if (count === MAX_HELD) return
        const one = (held[agent] as Held[])[count] as Held
        one.lock = a
        one.exclusive = b !== 0
        one.spins = !isSleeping(site)
        one.site = site
        one.event = scene.event
        heldCount[agent] = count + 1
      } else if (op === Op.lockReleased) release(agent, a, site)
      else if (op === Op.rcuReadEnter) {
        if ((rcuDepth[agent] as number) === 0) sections.rcuSite[agent] = site
        rcuDepth[agent] = (rcuDepth[agent] as number) + 1
        update(agent)
      } else if (op === Op.rcuReadExit) {
        rcuDepth[agent] = (rcuDepth[agent] as number) - 1
        update(agent)
      }
    },
    digest: (into) => {
      for (let agent = 0; agent < agents; agent++) {
        if (rcuDepth[agent] !== 0) addFact(into, 0x5ec0 + agent, rcuDepth[agent] as number)
        for (let i = 0; i < (heldCount[agent] as number); i++) {
          const one = (held[agent] as Held[])[i] as Held
          addFact(into, 0x10cc + agent, (one.lock << 1) | (one.exclusive ? 1 : 0))
        }
      }
    },
  }
  return sections
}
