// Deadlock: everybody who is left waits for ever. Says what each waits for: a lock and who holds it, an IPI's acknowledgement
// by a CPU with interrupts off, a wake-up.
import { Row } from '../../compile/stepped/announce.ts'
import { Op, opName } from '../../compile/stepped/ops.ts'
import { Rwsem } from '../../kernel/sync/rwsem.ts'
import { announced, lockName } from './lock-names.ts'
import type { Objects } from './objects.ts'
import { agentName, cpuOf, type Detector, hex, place, type Scene } from './scene.ts'
import type { Held, Sections } from './sections.ts'

/** Rows of agents asleep in `futexWait` carry this operation (see `explore/kernel-state.ts`). */
const RESUME = 31

/** Explains who waits for what. */
export interface Deadlocks extends Detector {
  /** What `agent`, which cannot go on, waits for. */
  explainBlocked(agent: number): string
}

/** Reports agents that wait for ever. */
export function detectDeadlock(scene: Scene, objects: Objects, sections: Sections): Deadlocks {
  const { words, agents, cpus } = scene
  const { Cpu } = scene.machine.tree.percpu
  /** The word that each agent read last: what a spinning one looks at. */
  const looked = new Int32Array(agents)
  const heldBy = (lock: number): string => {
    const holder = sections.holder(lock)
    if (holder < 0) return 'nobody holds it'
    const { site } = sections.holds(holder, lock) as Held
    return `held by ${agentName(scene, holder)} since ${place(scene, site)}`
  }
  const irqs = (cpu: number): string =>
    words[scene.area(cpu) + Cpu.irqOff] !== 0 ? `, which has interrupts off since ${place(scene, sections.irqSite[cpu] as number)}` : ''
  /** CPUs that have not answered all IPIs. */
  const unanswered = (agent: number): string => {
    const list: string[] = []
    for (let cpu = 0; cpu < cpus; cpu++) {
      const area = scene.area(cpu)
      if (cpu !== cpuOf(scene, agent) && words[area + Cpu.ipiRequests] !== words[area + Cpu.ipiAcks]) list.push(`CPU ${cpu}${irqs(cpu)}`)
    }
    return list.join(' and ')
  }
  /** The semaphore in whose queue the CPU of `agent` stands, or 0. */
  const queuedAt = (agent: number): number => {
    const area = scene.area(cpuOf(scene, agent))
    for (let other = 0; other < agents; other++) {
      for (let i = 0; i < (sections.heldCount[other] as number); i++) {
        const { lock, spins } = (sections.held[other] as Held[])[i] as Held
        if (spins) continue
        let waiter = words[lock + Rwsem.head] as number
        for (let n = 0; waiter !== 0 && n < cpus; n++, waiter = words[waiter + Cpu.waitNext] as number) if (waiter === area) return lock
      }
    }
    return 0
  }
  const explainBlocked = (agent: number): string => {
    const op = announced(scene, agent, Row.op)
    const a = announced(scene, agent, Row.a)
    const site = place(scene, announced(scene, agent, Row.site))
    const who = `${agentName(scene, agent)} at ${site}`
    if (agent < cpus && sections.heldCount[agent + cpus] !== undefined && announced(scene, agent + cpus, Row.op) !== 0 && op !== RESUME)
      return `${who} is held up by its interrupt handler`
    if (op === Op.cmpxchg) return `${who} waits for ${lockName(scene, objects, a)}, ${heldBy(a)}`
    if (op === Op.relax) {
      const word = looked[agent] as number
      const holder = sections.holder(word)
      if (holder >= 0) return `${who} waits for ${lockName(scene, objects, word)}, ${heldBy(word)}`
      const target = areaOf(word)
      const ipis = unanswered(agent)
      if (target >= 0 && ipis !== '') return `${who} waits for an IPI acknowledgement of ${ipis}`
      if (target >= 0) return `${who} waits for CPU ${target}${irqs(target)}`
      return `${who} spins until word ${hex(word)} changes`
    }
    if (op === RESUME || op === Op.futexWait) {
      const sem = queuedAt(agent)
      if (sem !== 0) return `${who} sleeps in the queue of ${lockName(scene, objects, sem)}, ${heldBy(sem)}`
      return `${who} sleeps on word ${hex(a)} and nobody wakes it`
    }
    return `${who}: ${opName(op)}`
  }
  const areaOf = (word: number): number => {
    const { CPU_STRIDE } = scene.machine.tree.percpu
    const offset = word - scene.machine.areas
    return offset >= 0 && offset < cpus * CPU_STRIDE ? Math.floor(offset / CPU_STRIDE) : -1
  }
  return {
    explainBlocked,
    reset: () => void looked.fill(0),
    save: () => {
      const kept = looked.slice()
      return () => looked.set(kept)
    },
    step: (agent, op, a) => {
      if (op === Op.readOnce || op === Op.smpLoadAcquire || op === Op.cmpxchg) looked[agent] = a
    },
    finish: (blocked) => {
      if (blocked === 0) return
      const waiting: string[] = []
      let first = -1
      for (let agent = 0; agent < agents; agent++) {
        if (((blocked >> agent) & 1) === 0) continue
        if (first < 0) first = agent
        waiting.push(explainBlocked(agent))
      }
      scene.report({
        detector: 'deadlock',
        bookkeeping: false,
        message: `deadlock: ${waiting.join('; ')}`,
        agent: first,
        objects: [],
        related: [],
      })
    },
  }
}
