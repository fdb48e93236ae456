// The stepped kernel as a model: a scenario is a machine after its set-up, a list of calls for each CPU, and what must hold.
//
//   const model = kernelModel({ machine, calls: [[faults], [unmaps]], watch: detectors })
//   const report = explore(model, { milliseconds: 20_000 })

import { formatSite, UNKNOWN_SITE } from '../../compile/sites.ts'
import { Row } from '../../compile/stepped/announce.ts'
import { FIRST_NOTE, Op, opName, SPIN_BEGINS } from '../../compile/stepped/ops.ts'
import { Kind } from '../../kernel/machine/annotations.ts'
import { Global } from '../../kernel/machine/globals.ts'
import type { Machine, Task } from '../execution.ts'
import type { Watch } from '../watch.ts'
import { mixInto } from './digest.ts'
import { DISABLED } from './footprint.ts'
import { createIrqOffMeter } from './irq-off.ts'
import { digestKernel } from './kernel-digest.ts'
import { emptyFeed, type Feed } from './kernel-feed.ts'
import { markPlain, restoreMemory } from './kernel-memory.ts'
import { saveKernel } from './kernel-save.ts'
import {
  createKernelState,
  footprintAt,
  isRequested,
  type KernelState,
  objectValue,
  RESUME,
  rowOfAgent,
  spinFootprint,
  wasCutShort,
} from './kernel-state.ts'
import { beginCall, markLoop, noteSpinningPlain, resetLoops, runAloneHere, stepAgent } from './kernel-step.ts'
import { BeganOtherwise, type Model, Status } from './model.ts'
import { stopWriting, writeDown } from './segment-memo.ts'

/** A scenario on a stepped machine. */
export interface KernelScenario {
  /** Its memory is as it shall be when an execution begins: boot and set-up calls have been made. */
  readonly machine: Machine
  /** What each CPU does, one call after the other. What they write they write through instructions. */
  readonly calls: readonly (readonly Task[])[]
  /** Brings back what the calls keep outside the machine. */
  readonly reset?: () => void
  /**
   * Judges the end of an execution in which all calls returned, by their results per CPU: what is wrong, or ''. `alone` runs a
   * further task to its end on a CPU while nobody else runs, watched as the calls were, and returns its result.
   */
  readonly check?: (results: readonly (readonly unknown[])[], words: Int32Array, alone: Alone) => string
  /** Told of everything that happens. */
  readonly watch?: Watch
  /**
   * Calls are generators written by hand, with locals of their own that nobody else can see, and loops around `relax` that
   * only look. Without it each call is one of a compiled function (of the kernel, or of `tree.load`) and keeps nothing outside
   * the machine, and the model has digests of its states. Default: whether a call is itself such a generator function.
   */
  readonly handWritten?: boolean
  /** Whether code that did the same before is played instead of run (segment-memo.ts). Default true. */
  readonly remembers?: boolean
}

/** A call failed in a way in which kernel code does not: who wrote it made a mistake. */
export class CallThrew extends Error {
  override readonly name = 'CallThrew'

  constructor(where: string, cause: Error) {
    super(`${where}: ${cause.message}`, { cause })
  }
}

/** Runs a task to its end on a CPU while nobody else runs. Returns its result; throws if it waits for somebody. */
export type Alone = (cpu: number, task: Task) => unknown

/** The model of a scenario. One model of a tree is live at a time: it has the tree's observer. */
export function kernelModel(scenario: KernelScenario): Model {
  const { machine, calls, check, watch = null, remembers = true } = scenario
  const handWritten = scenario.handWritten ?? calls.flat().some((task) => isHandWritten(machine, task))
  const { cpus } = machine
  const state = createKernelState(machine, calls, watch, handWritten, remembers && !handWritten)
  const { rows } = state
  const agents = machine.interrupt === null ? cpus : cpus * 2
  const irqOff = createIrqOffMeter(state)
  const present = (object: number): number => objectValue(state, object)
  let error = ''
  let current = 0
  let lastSite = 0
  /** Places of plain accesses and annotations that were passed. */
  const passed = new Uint8Array(machine.tree.sites.length)
  let watcher: PlainWatcher | null = null
  let owners: OwnerWatcher | null = null
  let execution = 0
  const poisons = state.words[Global.poison] !== 0
  const observer = (op: number, first: number, second: number, third: number, place: number): void => {
    // V8 may hand integers over as heap numbers, for which every keyed access behind this would be compiled again and again; and a
    // task written by hand gives no place.
    const a = first | 0
    const b = second | 0
    const c = third | 0
    const site = place | 0
    if (op >= SPIN_BEGINS) {
      writeDown(state.memo, op, a, b, c, site, 0)
      markLoop(state, current, op, a)
      return
    }
    if (state.spinning > 0) noteSpinningPlain(state, current, op, a, b)
    markPlain(state.memory, op, a, b, c)
    const found = op === Op.load ? (state.words[a] as number) : 0
    if (op === Op.load) (state.feeds[current] as Feed).values.push(found)
    writeDown(state.memo, op, a, b, c, site, found)
    lastSite = site
    passed[site] = 1
    if (watcher !== null) tellPlain(watcher, current, op, a, b, c)
    // What is poisoned when it is freed is told by its stores.
    if (owners !== null && (op === Op.freed || op === Op.allocated) && (c === Kind.typesafeSlab || c === Kind.tablePart || !poisons))
      owners(current, a, b)
    if (watch === null) return
    if (op < FIRST_NOTE) watch.plain(current, op, a, b, c, site)
    else watch.note(current, op, a, b, c, site)
  }
  state.observer = observer
  const guarded = (agent: number, act: () => void): void => {
    current = agent
    try {
      act()
    } catch (thrown) {
      if (thrown instanceof BeganOtherwise) throw thrown
      stopWriting(state.memo)
      if (thrown instanceof TypeError || thrown instanceof ReferenceError) throw new CallThrew(describeAgent(state, agent), thrown)
      error ||= `${describeAgent(state, agent)}: ${thrown instanceof Error ? thrown.message : String(thrown)}`
      state.finished[agent] = 1
      state.running[agent] = 0
      rows[rowOfAgent(state, agent) + Row.op] = 0
    }
  }
  const status = (agent: number): number => {
    if (error !== '') return Status.done // nothing that follows is worth looking at
    if (agent >= cpus) {
      if (state.inHandler[agent - cpus] === 0 && !isRequested(state, agent - cpus)) return Status.done
    } else if (state.running[agent] === 0) return Status.done
    if (footprintAt(state, agent, present) !== DISABLED) return Status.ready
    // A CPU outside the kernel does not answer IPIs: a handler that has not begun keeps nobody waiting.
    return agent >= cpus && state.inHandler[agent - cpus] === 0 ? Status.idle : Status.blocked
  }
  const save = (): (() => boolean) => {
    const saved = execution
    const agentsBack = saveKernel(state)
    const watchBack = watch?.save?.()
    const meterBack = irqOff.save()
    const failed = error
    return () => {
      if (execution !== saved) return false
      agentsBack()
      watchBack?.()
      meterBack()
      error = failed
      return true
    }
  }
  const digest = (into: Int32Array): void => {
    digestKernel(state, into)
    if (error !== '') mixInto(into, 1)
    watch?.digest(into)
  }
  /** Ends of executions that were judged and found right: the tear-down of equal states need not be seen twice. */
  const judged = new Set<string>()
  const ending = new Int32Array(2)
  const isJudged = (): boolean => {
    if (state.opaque) return false
    ending.fill(0)
    digest(ending)
    return judged.has(ending.join())
  }
  return {
    agents,
    objects: state.objects,
    footprints: state.footprints,
    groups: machine.interrupt === null ? null : Int32Array.from({ length: agents }, (_, agent) => agent % cpus),
    reset: () => {
      execution++
      restoreMemory(state.memory)
      machine.tree.announce.observe(observer)
      irqOff.reset()
      state.inHandler.fill(0)
      state.woken.fill(0)
      state.sleepers.length = 0
      error = ''
      scenario.reset?.()
      for (let agent = 0; agent < cpus * 2; agent++) {
        state.running[agent] = 0
        state.finished[agent] = 1
        resetLoops(state, agent, false)
        rows[rowOfAgent(state, agent) + Row.op] = 0
      }
      for (const feed of state.feeds) emptyFeed(feed)
      state.call.fill(0)
      state.resultHash.fill(0)
      watch?.reset()
      for (let cpu = 0; cpu < cpus; cpu++) {
        ;(state.results[cpu] as unknown[]).length = 0
        guarded(cpu, () => beginCall(state, cpu))
      }
    },
    status,
    footprint: (agent) => {
      const footprint = footprintAt(state, agent, present)
      return footprint === DISABLED ? blockedFootprint(state, agent) : footprint
    },
    // A task whose CPU has been interrupted in this execution may be held up by that.
    conditional: () => true,
    predict: (agent, valueAt) => footprintAt(state, agent, valueAt),
    value: present,
    step: (agent) => {
      current = agent
      try {
        if (agent < cpus) irqOff.before(agent)
        stepAgent(state, agent)
        if (agent < cpus) irqOff.after(agent)
      } catch (thrown) {
        guarded(agent, () => {
          throw thrown
        })
      }
    },
    failure: () => error || (watch?.failure() ?? ''),
    finish: (blocked) => {
      if (!handWritten && isJudged()) return ''
      for (let agent = 0; agent < agents; agent++) {
        if (((blocked >> agent) & 1) === 0 || !wasCutShort(state, agent)) continue
        state.heldBack = true
        return ''
      }
      const waiting: string[] = []
      for (let agent = 0; agent < agents; agent++) if (((blocked >> agent) & 1) !== 0) waiting.push(describeAgent(state, agent))
      const key = handWritten ? '' : ending.join()
      const seen = watch?.finish(blocked) ?? ''
      if (seen !== '') return seen
      if (waiting.length > 0) return `deadlock: ${waiting.join('; ')}`
      const wrong = check?.(state.results, state.words, (cpu, task) => {
        current = cpu
        return runAloneHere(state, cpu, task)
      })
      if (wrong === undefined || wrong === '') judged.add(key)
      return wrong ?? ''
    },
    ...(handWritten
      ? {}
      : {
          ...(watch !== null && watch.save === undefined ? {} : { save }),
          digest,
        }),
    merging: (on) => {
      state.merging = on
      state.heldBack = false
    },
    incomplete: () =>
      state.heldBack ? 'loops that wait and also write, or make plain loads, were not repeated as often as they may be' : '',
    watchPlain: (to) => {
      watcher = to
    },
    watchOwners: (to) => {
      owners = to
      state.onReturn = (cpu) => to(cpu, state.returns, 1)
    },
    place: () => formatSite(machine.tree.sites[lastSite] ?? UNKNOWN_SITE),
    describe: (agent) => describeAgent(state, agent),
    places: () => Array.from(passed.keys()).filter((site) => passed[site] !== 0 || state.seen[site] !== 0),
    irqOff: irqOff.sections,
    yieldPoints: () => state.seen.reduce((total, one) => total + one, 0),
  }
}

/** Whether `task` is a generator function that was not compiled. What a plain function returns is seen when it is called. */
function isHandWritten(machine: Machine, task: Task): boolean {
  const { prototype } = task as { readonly prototype?: object }
  const isGenerator = Object.getPrototypeOf(task) === Object.getPrototypeOf(function* () {})
  return isGenerator && prototype !== undefined && !machine.tree.frameHash.isCompiled(Object.create(prototype) as object)
}

type OwnerWatcher = Parameters<NonNullable<Model['watchOwners']>>[0]
type PlainWatcher = Parameters<NonNullable<Model['watchPlain']>>[0]

function tellPlain(watcher: PlainWatcher, agent: number, op: number, a: number, b: number, c: number): void {
  if (op === Op.load) watcher(agent, a, 1, false)
  else if (op === Op.store) watcher(agent, a, 1, true)
  else if (op === Op.zeroPage) watcher(agent, a, b, true)
  else if (op === Op.copyPage) {
    watcher(agent, b, c, false)
    watcher(agent, a, c, true)
  }
}

/** What a blocked operation touches once it can be performed. */
function blockedFootprint(state: KernelState, agent: number): number {
  const op = state.rows[rowOfAgent(state, agent) + Row.op]
  if (op === Op.relax) return spinFootprint(state, agent)
  // Everything that it needs has the value that lets it go on, and nobody is in a handler.
  const { levels, flags, machine } = state
  const a = state.rows[rowOfAgent(state, agent) + Row.a] as number
  const b = state.rows[rowOfAgent(state, agent) + Row.b] as number
  const cpu = agent % machine.cpus
  return footprintAt(state, agent, (object) => {
    if (object === levels + cpu) return 0
    if (object === flags + agent && op === RESUME) return 1
    if (op === Op.cmpxchg && object === a) return b
    if (agent >= machine.cpus && state.inHandler[cpu] === 0) return hypotheticalArrival(state, cpu, object)
    return objectValue(state, object)
  })
}

function hypotheticalArrival(state: KernelState, cpu: number, object: number): number {
  const { Cpu, CPU_STRIDE } = state.machine.tree.percpu
  const area = state.machine.areas + cpu * CPU_STRIDE
  if (object === area + Cpu.irqOff) return 0
  if (object === area + Cpu.context) return 1
  if (object === area + Cpu.ipiRequests) return (objectValue(state, area + Cpu.ipiAcks) + 1) | 0
  return objectValue(state, object)
}

/** Where an agent stands: `CPU 1 at spinLock sync/spinlock.ts:10: cmpxchg`. */
export function describeAgent(state: KernelState, agent: number): string {
  const { cpus, tree } = state.machine
  const row = rowOfAgent(state, agent)
  const op = state.rows[row + Row.op] as number
  const site = tree.sites[state.rows[row + Row.site] as number] ?? UNKNOWN_SITE
  const who = agent < cpus ? `CPU ${agent}` : `CPU ${agent - cpus} (interrupt)`
  return `${who} at ${formatSite(site)}: ${op === RESUME ? 'asleep' : opName(op)}`
}
