// Hand-written programs of a few steps for the detectors: compiled as kernel code, run on the tiny machine under every
// interleaving.
import { createDetectors, type DetectorOptions, type Detectors } from '../../../src/check/detect/index.ts'
import { type ExploreOptions, explore } from '../../../src/check/explore/explore.ts'
import { type KernelScenario, kernelModel } from '../../../src/check/explore/kernel-model.ts'
import type { Task } from '../../../src/check/index.ts'
import type { Violation } from '../../../src/check/violation.ts'
import { openTiny, SCRATCH, type Tiny } from '../tiny-machine.ts'

/** An object of eight words, and where it is published. */
export const OBJECT = SCRATCH + 64
export const WORDS = 8
export const PUBLISHED = SCRATCH
export const LOCK_A = SCRATCH + 128
export const LOCK_B = SCRATCH + 144
export const SEM = SCRATCH + 160

const HEAD = `
import { allocated, freed, Kind, kmapLocal, kunmapLocal, mightSleep, rcuInvoked, rcuQueued } from '../machine/annotations.ts'
import { Mode, setContext } from '../machine/entry.ts'
import { cmpxchg, futexWait, irqRestore, irqSave, load, orEntryWhole, perCpu, readEntryWhole, readOnce, relax, rcuAssignPointer, rcuDereference, sendIpi, smpLoadAcquire,
  smpMb, smpRmb, smpStoreRelease, smpWmb, store, writeOnce } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { rcuReadLock, rcuReadUnlock } from './rcu.ts'
import { downRead, downWrite, upRead, upWrite } from './rwsem.ts'
import { spinLock, spinLockIrqsave, spinTrylock, spinUnlock, spinUnlockIrqrestore } from './spinlock.ts'
const OBJECT = ${OBJECT}
const WORDS = ${WORDS}
const PUBLISHED = ${PUBLISHED}
const LOCK_A = ${LOCK_A}
const LOCK_B = ${LOCK_B}
const SEM = ${SEM}
const FLAG = ${SCRATCH + 16}
const DATA = ${SCRATCH + 32}
`

type Program = Record<string, (...args: number[]) => Generator<void, number, number>>

export interface Looked {
  /** The first violation, or null if every interleaving was clean. */
  readonly violation: Violation | null
  readonly message: string
  readonly detectors: Detectors
}

export interface TinyScenes {
  readonly tiny: Tiny
  /** Compiles `text` and runs its functions, one list of names per CPU, under every interleaving. */
  look(text: string, calls: readonly (readonly string[])[], options?: LookOptions): Promise<Looked>
}

export interface LookOptions extends DetectorOptions {
  readonly interrupt?: string
  /** Functions that run before each exploration, on CPU 0, heard but not judged. They take no steps. */
  readonly setUp?: readonly string[]
  readonly explore?: ExploreOptions
  readonly words?: (words: Int32Array) => void
  readonly check?: KernelScenario['check']
}

/** Opens a stepped kernel for tiny programs. */
export async function openTinyScenes(): Promise<TinyScenes> {
  const tiny = await openTiny()
  let files = 0
  return {
    tiny,
    look: async (text, calls, { interrupt, setUp = [], explore: how = {}, words, check, ...options } = {}) => {
      const program = (await tiny.tree.load(`sync/program-${files++}.ts`, HEAD + text)) as unknown as Program
      const task = (name: string): Task => {
        const run = program[name]
        if (run === undefined) throw new Error(`no function ${name}`)
        return () => run()
      }
      const machine = tiny.machine(calls.length, interrupt === undefined ? undefined : task(interrupt))
      words?.(machine.words)
      const detectors = createDetectors(machine, options)
      for (const name of setUp) task(name)()
      detectors.snapshot()
      const model = kernelModel({ machine, calls: calls.map((list) => list.map(task)), watch: detectors, ...(check && { check }) })
      // Without reduction: a freeing or a lock order is no conflict of steps.
      const report = explore(model, { milliseconds: 20_000, mode: 'bounded', preemptions: 4, ...how })
      if (report.verdict === 'stopped') throw new Error(report.message)
      return {
        violation: report.verdict === 'violation' ? detectors.violation() : null,
        message: report.verdict === 'violation' ? report.message : '',
        detectors,
      }
    },
  }
}
