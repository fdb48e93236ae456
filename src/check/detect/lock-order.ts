// Lock order (lockdep): while lock A is held, waiting for lock B is an edge from A's class to B's, and a cycle of edges is a
// deadlock that some schedule has, whether or not one was seen. Edges are kept over all executions of these detectors. An IPI
// that is waited for counts as a lock that every CPU holds while its interrupts are off.
//
// Two locks of one class: page-table locks nest under mmap_lock held for writing (mremap, fork), and mmap_lock nests into that
// of an address space which this call made and nobody else knows (fork). All else of one class is reported.
import { Op } from '../../compile/stepped/ops.ts'
import { className, IPI_CLASS, lockClass, MMAP_LOCK_CLASS, PTL_CLASS } from './lock-names.ts'
import type { Objects } from './objects.ts'
import { agentName, type Detector, place, type Scene } from './scene.ts'
import type { Held, Sections } from './sections.ts'

const CLASSES = 128
const Edge = Object.freeze({ none: 0, seen: 1, cyclic: 2 })

/** Watches the order of locks. */
export interface LockOrder extends Detector {
  /** The edges seen so far, `[class held, class waited for, place, …]`: gives them to another one. */
  edges(): readonly number[]
}

/** Watches in which order locks are taken. `known`: edges of earlier explorations. */
export function detectLockOrder(scene: Scene, objects: Objects, sections: Sections, known: readonly number[] = []): LockOrder {
  const { sites } = scene
  const { Cpu } = scene.machine.tree.percpu
  const ids = new Map<number, number>([[IPI_CLASS, 0]])
  const keys: number[] = [IPI_CLASS]
  const matrix = new Uint8Array(CLASSES * CLASSES)
  const where = new Int32Array(CLASSES * CLASSES)
  const inHandler = new Uint8Array(CLASSES)
  const withIrqs = new Uint8Array(CLASSES)
  const callEvent = new Int32Array(scene.agents)
  const idOf = (key: number): number => {
    let id = ids.get(key)
    if (id === undefined) {
      if (keys.length === CLASSES) return CLASSES - 1
      id = keys.push(key) - 1
      ids.set(key, id)
    }
    return id
  }
  const name = (id: number): string => className(scene, keys[id] as number)
  const wrong = (agent: number, message: string, locks: number[]): void =>
    scene.report({ detector: 'lock-order', bookkeeping: true, message: `lock order: ${message}`, agent, objects: locks, related: [] })
  /** A way from `from` to `to` along edges, or null. */
  const way = (from: number, to: number, passed: Set<number>): number[] | null => {
    if (from === to) return [from]
    passed.add(from)
    for (let next = 0; next < keys.length; next++) {
      if (matrix[from * CLASSES + next] === Edge.none || passed.has(next)) continue
      const rest = way(next, to, passed)
      if (rest !== null) return [from, ...rest]
    }
    return null
  }
  const cycle = (held: number, wanted: number): string => {
    const path = way(wanted, held, new Set()) ?? [wanted, held]
    const steps = path.slice(1).map((id, i) => {
      const site = where[(path[i] as number) * CLASSES + id] as number
      matrix[(path[i] as number) * CLASSES + id] = Edge.cyclic
      return `${name(id)} under ${name(path[i] as number)} at ${place(scene, site)}`
    })
    return steps.join(', ')
  }
  const edge = (agent: number, held: number, wanted: number, site: number, locks: number[]): void => {
    const at = held * CLASSES + wanted
    if (matrix[at] === Edge.seen) return
    if (matrix[at] === Edge.none) {
      matrix[at] = Edge.seen
      where[at] = site
      if (way(wanted, held, new Set()) === null) return
    }
    matrix[at] = Edge.cyclic
    wrong(
      agent,
      `${agentName(scene, agent)} waits for ${name(wanted)} under ${name(held)} at ${place(scene, site)}, but elsewhere ${cycle(held, wanted)}`,
      locks,
    )
  }
  const mayNest = (agent: number, key: number, lock: number): boolean => {
    if (key === PTL_CLASS) {
      for (let i = 0; i < (sections.heldCount[agent] as number); i++) {
        const one = (sections.held[agent] as Held[])[i] as Held
        if (one.exclusive && lockClass(scene, objects, one.lock) === MMAP_LOCK_CLASS) return true
      }
      return false
    }
    if (key !== MMAP_LOCK_CLASS) return false
    const { agent: maker, event } = objects.allocation(objects.at(lock))
    return maker === agent && event >= (callEvent[agent] as number)
  }
  const acquired = (agent: number, lock: number, site: number): void => {
    const { function: by = '' } = sites[site] ?? {}
    const key = lockClass(scene, objects, lock)
    const id = idOf(key)
    const depth = (scene.words[scene.area(agent % scene.cpus) + Cpu.irqOff] as number) - (by === 'spinLockIrqsave' ? 1 : 0)
    const handler = agent >= scene.cpus
    if (handler) inHandler[id] = 1
    else if (depth === 0 && by !== 'spinLockIrqsave') withIrqs[id] = 1
    if (inHandler[id] !== 0 && withIrqs[id] !== 0)
      wrong(agent, `${name(id)} is taken in an interrupt handler, and elsewhere held with interrupts on (at ${place(scene, site)})`, [lock])
    if (by.includes('Trylock')) return
    if (depth > 0 || handler) edge(agent, 0, id, site, [lock])
    const count = (sections.heldCount[agent] as number) - 1
    for (let i = 0; i < count; i++) {
      const other = ((sections.held[agent] as Held[])[i] as Held).lock
      const held = idOf(lockClass(scene, objects, other))
      if (held !== id) edge(agent, held, id, site, [other, lock])
      else if (!mayNest(agent, key, lock))
        wrong(agent, `${agentName(scene, agent)} takes two of ${name(id)} at ${place(scene, site)}`, [other, lock])
    }
  }
  for (let i = 0; i + 2 < known.length; i += 3) {
    const at = idOf(known[i] as number) * CLASSES + idOf(known[i + 1] as number)
    matrix[at] = Edge.seen
    where[at] = known[i + 2] as number
  }
  return {
    edges: () => {
      const out: number[] = []
      for (let held = 0; held < keys.length; held++)
        for (let wanted = 0; wanted < keys.length; wanted++) {
          const at = held * CLASSES + wanted
          if (matrix[at] !== Edge.none) out.push(keys[held] as number, keys[wanted] as number, where[at] as number)
        }
      return out
    },
    reset: () => void callEvent.fill(0),
    save: () => {
      const kept = callEvent.slice()
      return () => callEvent.set(kept)
    },
    callBegins: (cpu) => {
      callEvent[cpu] = scene.event
    },
    step: (agent, op, _a, _b, _c, _before, _after, site) => {
      if (op !== Op.sendIpi) return
      if (sections.irqOff(agent))
        wrong(agent, `${agentName(scene, agent)} waits for an IPI acknowledgement with interrupts off at ${place(scene, site)}`, [])
      for (let i = 0; i < (sections.heldCount[agent] as number); i++) {
        const { lock } = (sections.held[agent] as Held[])[i] as Held
        edge(agent, idOf(lockClass(scene, objects, lock)), 0, site, [lock])
      }
    },
    note: (agent, op, a, _b, _c, site) => {
      if (op === Op.lockAcquired) acquired(agent, a, site)
    },
  }
}
