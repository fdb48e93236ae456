// Data races by vector clocks, as C11 and the kernel's memory model see them: a store that releases and a load that acquires it
// are an order, marked accesses that ask for none are not, except for what a loaded pointer leads to (an address dependency; an
// rcu_dereference counts as an acquire altogether). Two sets of clocks run side by side: in the strong one every marked access orders, as under sequential
// consistency; what only that one orders is said so. The clocks depend on the path, so they are for modes that do not merge states.
import { Op } from '../../compile/stepped/ops.ts'
import { Mode } from '../../kernel/machine/entry.ts'
import { PFN_SHIFT, upperTable } from '../../kernel/pagetable/entries.ts'
import { onWord, storesWord } from '../word-operation.ts'
import type { Objects } from './objects.ts'
import { agentName, cpuOf, type Detector, hex, place, type Scene } from './scene.ts'
import type { Sections } from './sections.ts'

const KINDS = 4
/** Kinds of access; bit 0: writes, bit 1: marked. */
const Kind = Object.freeze({ load: 0, store: 1, read: 2, write: 3 })
const NAMES = ['a plain load', 'a plain store', 'a marked read', 'a marked write'] as const

/** A set of clocks: one per CPU, and what each word passes on. */
interface Clocks {
  readonly at: Int32Array[]
  readonly passed: Map<number, Int32Array>
  /** What each CPU released by its last fence, and read before its next one. */
  readonly fenced: (Int32Array | null)[]
  readonly seen: Int32Array[]
}

function createClocks(cpus: number): Clocks {
  const zeroes = (): Int32Array[] => Array.from({ length: cpus }, () => new Int32Array(cpus))
  const at = zeroes()
  for (let cpu = 0; cpu < cpus; cpu++) (at[cpu] as Int32Array)[cpu] = 1
  return { at, passed: new Map(), fenced: new Array(cpus).fill(null), seen: zeroes() }
}

function join(into: Int32Array, from: Int32Array | undefined | null): void {
  if (from == null) return
  for (let i = 0; i < into.length; i++) if ((from[i] as number) > (into[i] as number)) into[i] = from[i] as number
}

const isReleasing = (op: number): boolean => op === Op.smpStoreRelease || op === Op.rcuAssignPointer || isFull(op)
const isAcquiring = (op: number): boolean => op === Op.smpLoadAcquire || op === Op.rcuDereference || isFull(op)
const isFull = (op: number): boolean =>
  op === Op.cmpxchg || op === Op.xchg || op === Op.atomicAdd || op === Op.atomicOr || op === Op.atomicAnd

/** Watches for data races by the orderings that instructions ask for. */
export function createRaceClocks(scene: Scene, objects: Objects, sections: Sections): Detector {
  const { cpus } = scene
  let weak = createClocks(cpus)
  let strong = createClocks(cpus)
  /** For each word, kind and CPU: the CPU's clock at its latest access, then its place. */
  let accesses = new Map<number, Int32Array>()
  /** For each CPU what it may count on in an object because it loaded a pointer to it, by object. */
  let dependent = Array.from({ length: cpus }, () => new Map<number, Int32Array>())
  const depend = (cpu: number, value: number, passed: Int32Array | undefined, table: boolean): void => {
    if (passed === undefined || value <= 0) return
    const pointer = upperTable(value)
    const object = objects.at(pointer) || objects.ofStructPage(pointer)
    for (const one of table ? [object, objects.ofFrame(value >>> PFN_SHIFT)] : [object]) {
      if (one === 0) continue
      const had = (dependent[cpu] as Map<number, Int32Array>).get(one)
      if (had === undefined) (dependent[cpu] as Map<number, Int32Array>).set(one, passed.slice())
      else join(had, passed)
    }
  }
  const fence = (clocks: Clocks, cpu: number): void => {
    join(clocks.at[cpu] as Int32Array, clocks.seen[cpu])
    clocks.fenced[cpu] = (clocks.at[cpu] as Int32Array).slice()
  }
  const sync = (clocks: Clocks, cpu: number, op: number, p: number, stores: boolean, all: boolean): void => {
    const own = clocks.at[cpu] as Int32Array
    const isLoad = op !== Op.writeOnce && op !== Op.smpStoreRelease && op !== Op.rcuAssignPointer
    const passed = clocks.passed.get(p)
    if (isLoad) {
      join(clocks.seen[cpu] as Int32Array, passed)
      if (all || (isAcquiring(op) && (op !== Op.cmpxchg || stores))) join(own, passed)
    }
    if (!stores) return
    const released = all || isReleasing(op) ? own : clocks.fenced[cpu]
    // A read-modify-write goes on passing on what it found; a store alone does not.
    const next = isLoad && passed !== undefined ? passed.slice() : new Int32Array(cpus)
    join(next, released)
    clocks.passed.set(p, next)
    own[cpu] = (own[cpu] as number) + 1
  }
  const pass = (from: number, to: number): void => {
    for (const clocks of [weak, strong]) {
      join(clocks.at[to] as Int32Array, clocks.at[from])
      const own = clocks.at[from] as Int32Array
      own[from] = (own[from] as number) + 1
    }
  }
  const access = (agent: number, p: number, kind: number, site: number): void => {
    if (scene.nrFrames > 0 && p >= scene.frames && sections.mode(agent) === Mode.user) return
    const cpu = cpuOf(scene, agent)
    const carried = (dependent[cpu] as Map<number, Int32Array>).get(objects.at(p) || objects.ofStructPage(p))
    let row = accesses.get(p)
    if (row === undefined) {
      row = new Int32Array(KINDS * cpus * 2)
      accesses.set(p, row)
    }
    for (let k = 0; k < KINDS; k++) {
      if (((k | kind) & 1) === 0 || (k & kind & 2) !== 0) continue
      for (let other = 0; other < cpus; other++) {
        const when = row[(k * cpus + other) * 2] as number
        if (other === cpu || when === 0 || when - 1 <= ((weak.at[cpu] as Int32Array)[other] as number)) continue
        if (carried !== undefined && when - 1 <= (carried[other] as number)) continue
        const then = row[(k * cpus + other) * 2 + 1] as number
        const strongly = strongTime(k, other, p) <= ((strong.at[cpu] as Int32Array)[other] as number)
        scene.report({
          detector: strongly ? 'relaxed-race' : 'data-race',
          bookkeeping: false,
          message:
            `data race${strongly ? ' (ordered only by relaxed accesses)' : ''} on word ${hex(p)}: ${NAMES[kind]} by ${agentName(scene, agent)} at ` +
            `${place(scene, site)}, after ${NAMES[k]} by CPU ${other} at ${place(scene, then)}`,
          agent,
          objects: [p],
          related: [{ text: NAMES[k] as string, agent: other, site: then, event: -1 }],
        })
      }
    }
    row[(kind * cpus + cpu) * 2] = ((weak.at[cpu] as Int32Array)[cpu] as number) + 1
    row[(kind * cpus + cpu) * 2 + 1] = site
    times.set(p * 64 + kind * cpus + cpu, (strong.at[cpu] as Int32Array)[cpu] as number)
  }
  /** The strong clock at the access that `accesses` has by the weak one. */
  const times = new Map<number, number>()
  const strongTime = (kind: number, cpu: number, p: number): number => times.get(p * 64 + kind * cpus + cpu) ?? 0
  const clear = (): void => {
    weak = createClocks(cpus)
    strong = createClocks(cpus)
    accesses = new Map()
    dependent = Array.from({ length: cpus }, () => new Map())
    times.clear()
  }
  return {
    reset: clear,
    finish: clear,
    step: (agent, op, a, b, _c, before, _after, site) => {
      const cpu = cpuOf(scene, agent)
      if (op === Op.sendIpi) return pass(cpu, a)
      if (op === Op.futexWake) {
        // Whoever wakes up has been told; the others lose nothing by it that a scenario would notice.
        for (let other = 0; other < cpus; other++) if (other !== cpu) pass(cpu, other)
        return
      }
      if (!onWord(op)) return
      const stores = storesWord(op, before, b)
      sync(weak, cpu, op, a, false, false)
      sync(strong, cpu, op, a, false, true)
      if (op === Op.readOnce) depend(cpu, before, weak.passed.get(a), objects.isTable(objects.at(a)))
      access(agent, a, stores ? Kind.write : Kind.read, site)
      if (!stores) return
      sync(weak, cpu, op, a, true, false)
      sync(strong, cpu, op, a, true, true)
    },
    plain: (agent, op, a, b, c, site) => {
      if (scene.deaf) return
      const cpu = cpuOf(scene, agent)
      if (op === Op.load) access(agent, a, Kind.load, site)
      else if (op === Op.store) access(agent, a, Kind.store, site)
      else if (op === Op.zeroPage) for (let p = a; p < a + b; p++) access(agent, p, Kind.store, site)
      else if (op === Op.copyPage) {
        for (let i = 0; i < c; i++) {
          access(agent, b + i, Kind.load, site)
          access(agent, a + i, Kind.store, site)
        }
      } else if (op === Op.smpMb || op === Op.smpWmb || op === Op.smpRmb) {
        fence(weak, cpu)
        fence(strong, cpu)
      }
    },
  }
}
