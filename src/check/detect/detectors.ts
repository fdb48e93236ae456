// All detectors of one machine as one watch. Made before the set-up, it hears what the set-up allocates; `snapshot` makes what
// it knows then the start of every execution.
//
//   const detectors = createDetectors(machine, { calls: () => calls })
//   … set-up by `runAlone` …
//   detectors.snapshot()
//   explore(kernelModel({ machine, calls: tasks, watch: detectors }))
import { ROW_SHIFT } from '../../compile/stepped/announce.ts'
import { FIRST_NOTE, Op } from '../../compile/stepped/ops.ts'
import type { Machine } from '../execution.ts'
import type { Explains, Violation } from '../violation.ts'
import type { Watch } from '../watch.ts'
import { onEntry } from '../word-operation.ts'
import { detectAtomicContext } from './atomic-context.ts'
import { detectImbalance } from './balance.ts'
import { type CallDescription, createCalls } from './calls.ts'
import { countersOf, detectCounters } from './counters.ts'
import { detectDeadlock } from './deadlock.ts'
import { detectHoles } from './holes.ts'
import { detectKmapOrder } from './kmap-order.ts'
import { detectLeaks } from './leaks.ts'
import { detectNonlinearizable, type Sequential } from './linearizable.ts'
import { detectLockOrder } from './lock-order.ts'
import { detectMapCounts } from './map-counts.ts'
import { detectNullPointers } from './null-pointer.ts'
import { createObjects } from './objects.ts'
import { detectPlainRaces } from './plain-races.ts'
import { createRaceClocks } from './race-clocks.ts'
import { detectRcuHeads } from './rcu-heads.ts'
import { createScene, type Detector } from './scene.ts'
import { createSections, type Held, type Sections } from './sections.ts'
import { detectStaleTlb } from './stale-tlb.ts'
import { detectTorn, type Pair } from './torn.ts'
import { detectUseAfterFree } from './use-after-free.ts'

type Described = readonly (readonly CallDescription[])[]

/** What detectors are to know of a scenario. */
export interface DetectorOptions {
  /** For each CPU its calls, as the scenario makes them (a function is asked by `snapshot`). Without them, detectors that go by calls see nothing. */
  readonly calls?: Described | (() => Described)
  /** Address spaces whose counters must agree when all calls have returned. */
  readonly spaces?: () => readonly number[]
  /** Values of two words that are read and stored as one. */
  readonly pairs?: readonly Pair[] | ((p: number) => Pair | null)
  /** Reads of pairs that may be torn, by the low half that they found and the place where they end. Default: none. */
  readonly harmless?: (low: number, site: number) => boolean
  /** The sequential model that results are compared with, if they are. */
  readonly sequential?: () => Sequential | null
  /** Judges races also by the orderings that instructions ask for; not for explorations that merge states. Default false. */
  readonly orderings?: boolean
  /** Edges of lock order from earlier explorations (see `lockOrder`). */
  readonly lockOrder?: readonly number[]
  /** Names of detectors that stay silent. */
  readonly except?: readonly string[]
}

/** All detectors. */
export interface Detectors extends Watch, Explains {
  /** Hears the machine's annotations while code runs that no model steps (set-up, tear-down). Also done on creation. */
  listen(): void
  /** What is known now is how each execution begins. */
  snapshot(): void
  /** What is in use now is nobody's leak. */
  baseline(): void
  /** After tear-down: what is left over, or ''. */
  leaks(): string
  /** What is wrong with the counters of `mm` while no CPU is in the kernel, or ''. */
  counters(mm: number): string
  /** What `agent`, which cannot go on, waits for. */
  explainBlocked(agent: number): string
  /** Edges of lock order seen so far; give them to the detectors of another exploration. */
  lockOrder(): readonly number[]
  /** Locks that `agent` holds and how many RCU sections it is in: for whoever prints. */
  held(agent: number): readonly { readonly lock: number; readonly exclusive: boolean; readonly site: number }[]
  rcuDepth(agent: number): number
}

/** Makes the detectors of `machine` and has them listen. */
export function createDetectors(machine: Machine, options: DetectorOptions = {}): Detectors {
  const {
    calls: described,
    spaces,
    pairs,
    harmless = () => false,
    sequential,
    orderings = false,
    lockOrder: known = [],
    except = [],
  } = options
  const scene = createScene(machine)
  const { report } = scene
  scene.report = (violation) => {
    if (!except.includes(violation.detector)) report(violation)
  }
  const objects = createObjects(scene)
  const sections: Sections = createSections(scene)
  const calls = createCalls(scene, () => (typeof described === 'function' ? described() : (described ?? [])))
  const leaks = detectLeaks(scene, objects, sections)
  const deadlocks = detectDeadlock(scene, objects, sections)
  const lockOrder = detectLockOrder(scene, objects, sections, known)
  const pairOf =
    typeof pairs === 'function' ? pairs : (p: number): Pair | null => pairs?.find(({ low, high }) => p === low || p === high) ?? null
  // What others ask comes first. Heads before objects: a freeing is judged by what is queued.
  const parts: Detector[] = [
    sections,
    objects,
    calls,
    detectNullPointers(scene),
    detectUseAfterFree(scene, objects, sections),
    detectRcuHeads(scene, objects),
  ]
  // What follows from a torn value is told after it.
  if (pairs !== undefined) parts.push(detectTorn(scene, pairOf, harmless))
  parts.push(detectAtomicContext(scene, sections), detectImbalance(scene, sections), lockOrder, deadlocks, leaks)
  parts.push(detectPlainRaces(scene, objects, sections), detectKmapOrder(scene))
  if (orderings) parts.push(createRaceClocks(scene, objects, sections))
  if (described !== undefined) parts.push(detectStaleTlb(scene, calls, objects, sections), detectHoles(scene, calls))
  if (spaces !== undefined) parts.push(detectCounters(scene, spaces), detectMapCounts(scene, calls, spaces))
  if (sequential !== undefined) parts.push(detectNonlinearizable(scene, calls, sequential))
  return assemble(machine, scene, parts, {
    baseline: leaks.baseline,
    leaks: leaks.leaks,
    counters: (mm) => countersOf(scene, mm),
    explainBlocked: deadlocks.explainBlocked,
    lockOrder: lockOrder.edges,
    held: (agent) => (sections.held[agent] as Held[]).slice(0, sections.heldCount[agent]),
    rcuDepth: (agent) => sections.rcuDepth[agent] as number,
  } as Pick<Detectors, 'baseline' | 'leaks' | 'counters' | 'explainBlocked' | 'lockOrder' | 'held' | 'rcuDepth'>)
}

type Asked = Pick<Detectors, 'baseline' | 'leaks' | 'counters' | 'explainBlocked' | 'lockOrder' | 'held' | 'rcuDepth'>

/** The functions of `parts` that are called `name`. */
function all<K extends keyof Detector>(parts: readonly Detector[], name: K): NonNullable<Detector[K]>[] {
  return parts.flatMap((part) => (part[name] === undefined ? [] : [part[name] as NonNullable<Detector[K]>]))
}

/** Tells of what was done to an entry in one go as of reads, or a store, of its words without anything in between. */
function tellHalves(
  { words }: ReturnType<typeof createScene>,
  steps: readonly Watch['step'][],
  agent: number,
  p: number,
  before: number,
  after: number,
  site: number,
): void {
  const high = words[p + 1] as number
  const low = words[p] as number
  for (let i = 0; i < steps.length; i++) {
    const step = steps[i] as Watch['step']
    // The halves have no bit in common, and the high one does not change.
    if (before === after) step(agent, Op.readOnce, p, 0, 0, low, low, site)
    else step(agent, Op.cmpxchg, p, before & ~high, low, before & ~high, low, site)
    if (before === after) step(agent, Op.readOnce, p + 1, 0, 0, high, high, site)
  }
}

/** Remembers what all know. */
function saveAll(scene: ReturnType<typeof createScene>, parts: readonly Detector[]): () => void {
  const { event, deaf, violation } = scene
  const back = parts.flatMap(({ save }) => (save === undefined ? [] : [save()]))
  return () => {
    for (let i = 0; i < back.length; i++) (back[i] as () => void)()
    scene.event = event
    scene.deaf = deaf
    scene.violation = violation
  }
}

function assemble(machine: Machine, scene: ReturnType<typeof createScene>, parts: readonly Detector[], asked: Asked): Detectors {
  const { announce } = machine.tree
  const steps = all(parts, 'step')
  const plains = all(parts, 'plain')
  const notes = all(parts, 'note')
  const digests = all(parts, 'digest')
  const begins = all(parts, 'callBegins')
  const returns = all(parts, 'callReturns')
  const interrupts = all(parts, 'interruptBegins')
  const handled = all(parts, 'interruptReturns')
  const detectors: Detectors = {
    ...asked,
    listen: () => {
      scene.deaf = true
      announce.observe((op, a, b, c, site) => {
        const frame = announce.row >> ROW_SHIFT
        const agent = (frame & 1) === 0 ? frame >> 1 : (frame >> 1) + machine.cpus
        if (op < FIRST_NOTE) detectors.plain(agent, op, a, b, c, site)
        else detectors.note(agent, op, a, b, c, site)
      })
    },
    snapshot: () => {
      for (const part of parts) part.snapshot?.()
      scene.violation = null
    },
    reset: () => {
      scene.event = 0
      scene.deaf = false
      scene.violation = null
      for (const part of parts) part.reset?.()
    },
    ...(parts.some(({ reset, save }) => reset !== undefined && save === undefined) ? {} : { save: () => saveAll(scene, parts) }),
    callBegins: (cpu, call) => {
      for (let i = 0; i < begins.length; i++) (begins[i] as Watch['callBegins'])(cpu, call)
    },
    callReturns: (cpu, call, result) => {
      for (let i = 0; i < returns.length; i++) (returns[i] as Watch['callReturns'])(cpu, call, result)
    },
    interruptBegins: (cpu) => {
      for (let i = 0; i < interrupts.length; i++) (interrupts[i] as Watch['interruptBegins'])(cpu)
    },
    interruptReturns: (cpu) => {
      for (let i = 0; i < handled.length; i++) (handled[i] as Watch['interruptReturns'])(cpu)
    },
    step: (agent, op, a, b, c, before, after, site) => {
      scene.deaf = false
      if (onEntry(op)) tellHalves(scene, steps, agent, a, before, after, site)
      else for (let i = 0; i < steps.length; i++) (steps[i] as Watch['step'])(agent, op, a, b, c, before, after, site)
      scene.event++
    },
    plain: (agent, op, a, b, c, site) => {
      for (let i = 0; i < plains.length; i++) (plains[i] as Watch['plain'])(agent, op, a, b, c, site)
      scene.event++
    },
    note: (agent, op, a, b, c, site) => {
      for (let i = 0; i < notes.length; i++) (notes[i] as Watch['note'])(agent, op, a, b, c, site)
      scene.event++
    },
    failure: () => scene.violation?.message ?? '',
    finish: (blocked) => {
      for (const part of parts) if (scene.violation === null) part.finish?.(blocked)
      scene.deaf = true // a tear-down may follow, with or without its steps
      return scene.violation?.message ?? ''
    },
    digest: (into) => {
      for (let i = 0; i < digests.length; i++) (digests[i] as Watch['digest'])(into)
    },
    violation: (): Violation | null => scene.violation,
  }
  detectors.listen()
  return detectors
}
