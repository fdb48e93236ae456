// From a cell of the matrix to a model that can be explored: the stage is set, detectors listen, calls wait at their start.
// What each execution ends with belongs here too: results, tear-down, leaks.

import { createRecorder, type Recorder } from '../../check/counterexample/index.ts'
import { type CallDescription, createDetectors, type Detectors, entryPairs } from '../../check/detect/index.ts'
import { kernelModel, type Model, WaitsAlone } from '../../check/explore/index.ts'
import { type Machine, openTree, type Tree } from '../../check/index.ts'
import { refill } from '../../check/undo.ts'
import type { Watch } from '../../check/watch.ts'
import type { Play } from '../scenario.ts'
import type { Call } from './calls.ts'
import type { Cell } from './cells.ts'
import { playOf } from './play.ts'
import { sequentialModel } from './sequential.ts'
import { type Backstage, setStage } from './stage.ts'
import { brokenTree } from './variant.ts'

/** A cell that is ready to be explored. */
export interface Rehearsal {
  readonly cell: Cell
  readonly tree: Tree
  readonly machine: Machine
  readonly model: Model
  readonly detectors: Detectors
  readonly recorder: Recorder
  readonly play: Play
  /** The calls that the set-up made: the CPU, and the call's text. */
  readonly setUp: Backstage['told']
}

/** How to set up. */
export interface RehearseOptions {
  /** The kernel; by default the one that ships, or with the cell's variant in it. */
  readonly tree?: Tree | undefined
  /** Names of detectors that are not to judge. */
  readonly except?: readonly string[]
  /** Judges races also by the orderings that instructions ask for: only for modes that do not merge states. Default false. */
  readonly orderings?: boolean
  /** Whether code that did the same before is played instead of run. Default true. */
  readonly remembers?: boolean
}

/** What a call without a description does, as far as the detectors know: nothing to any address space. */
function nothingKnown({ text }: Call): CallDescription {
  return { name: `(${text})`, unknown: true, mm: 0, start: 0, pages: 0 }
}

/** The function of entries.ts whose callers hold the lock, or compare what they got again once they do: torn values do no harm. */
const COMPARED = 'getHalves'

/** Sets up `cell`. One rehearsal of a tree is live at a time. */
export async function rehearse(
  cell: Cell,
  { tree: given, except = [], orderings = false, remembers = true }: RehearseOptions = {},
): Promise<Rehearsal> {
  const { scenario, combination, variant } = cell
  const tree = given ?? (variant === null ? await openTree() : await brokenTree(variant))
  const described: CallDescription[][] = []
  const children: number[] = []
  const ended: number[] = []
  let detectors = null as Detectors | null
  let stage = null as Backstage | null
  let compared = true
  stage = await setStage(scenario.cpus, combination, tree, (machine) => {
    const sequential = sequentialModel(
      machine.words,
      () => stage?.history ?? [],
      () => (stage?.spaces ?? []).filter((mm) => !ended.includes(mm)),
      () => children,
    )
    detectors = createDetectors(machine, {
      calls: () => described,
      spaces: () => [...(stage?.spaces ?? []), ...children].filter((mm) => !ended.includes(mm)),
      sequential: () => (compared ? sequential : null),
      pairs: entryPairs(machine.words),
      // An entry is none while its low half is 0, whatever the other half says.
      harmless: (low, site) => low === 0 || tree.sites[site]?.function === COMPARED,
      except,
      orderings,
    })
    detectors.baseline()
  })
  const listening = detectors as Detectors
  const { machine } = stage
  const play = await playOf(scenario, stage)
  compared = play.sequential !== false
  for (const calls of play.calls) described.push(calls.map((call) => call.description ?? nothingKnown(call)))
  listening.snapshot()
  const watch = followSpaces(listening, described, children, ended)
  const recorder = createRecorder(machine, watch)
  const kernel = kernelModel({
    machine,
    calls: Array.from({ length: scenario.cpus }, (_, cpu) => (play.calls[cpu] ?? []).map(({ begin }) => begin)),
    watch: recorder.watch,
    remembers,
    check: (results, _words, alone) => {
      const wrong = play.check?.(results as readonly (readonly number[])[]) ?? ''
      return (
        wrong ||
        tearDownOrHang(
          stage as Backstage,
          listening,
          play,
          [...(stage?.spaces ?? []), ...children].filter((mm) => !ended.includes(mm)),
          alone,
        )
      )
    },
  })
  // What a detector saw comes before what the kernel made of it: after a use of freed memory, whose junk it took for an address.
  const model: Model = { ...kernel, failure: () => listening.failure() || kernel.failure() }
  return { cell, tree, machine, model, detectors: listening, recorder, play, setUp: stage.told }
}

/** Runs a task to its end on a CPU while nobody else runs. */
type Alone = (cpu: number, task: () => unknown) => unknown

/** `tearDown`; a broken kernel may get stuck in it, or worse. */
function tearDownOrHang(...given: Parameters<typeof tearDown>): string {
  try {
    return tearDown(...given)
  } catch (error) {
    const [{ machine }, detectors] = given
    let what: string
    if (error instanceof WaitsAlone) what = `deadlock: ${detectors.explainBlocked(error.cpu)}`
    else if (error instanceof machine.tree.announce.Oops) what = error.message
    else throw error
    return detectors.failure() || `${what}, when all calls have returned and the address spaces exit`
  }
}

/** Ends the address spaces that are left, waits for what was deferred, and looks what is left over. Returns what is wrong, or ''. */
function tearDown(stage: Backstage, detectors: Detectors, play: Play, spaces: readonly number[], alone: Alone): string {
  for (const { begin } of play.after ?? []) alone(0, begin)
  for (let cpu = 0; cpu < stage.machine.cpus; cpu++) alone(cpu, () => stage.kernel.sysSwitchMm(0))
  for (const mm of spaces) alone(0, () => stage.kernel.sysExit(mm))
  for (const give of stage.leave) alone(0, give)
  for (let cpu = 0; cpu < stage.machine.cpus; cpu++) alone(cpu, stage.waitForCallbacks.begin)
  return detectors.failure() || detectors.leaks()
}

/** Notes the address spaces that forks make, and those that exits end. */
function followSpaces(
  detectors: Detectors,
  described: readonly (readonly CallDescription[])[],
  children: number[],
  ended: number[],
): Watch {
  return {
    ...detectors,
    reset: () => {
      children.length = 0
      ended.length = 0
      detectors.reset()
    },
    save: () => {
      const kept = [children.slice(), ended.slice()] as const
      const back = detectors.save?.()
      return () => {
        refill(children, kept[0])
        refill(ended, kept[1])
        back?.()
      }
    },
    callBegins: (cpu, call) => {
      const description = described[cpu]?.[call]
      // From here on its structures may go at any time.
      if (description?.name === 'exit') ended.push(description.mm)
      detectors.callBegins(cpu, call)
    },
    callReturns: (cpu, call, result) => {
      if (described[cpu]?.[call]?.name === 'fork' && typeof result === 'number' && result > 0) children.push(result)
      detectors.callReturns(cpu, call, result)
    },
  }
}
