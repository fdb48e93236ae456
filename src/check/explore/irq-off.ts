// How long CPUs keep interrupts off: the steps of a task from the `irqSave` that turns them off to the `irqRestore` that turns them on
// again, the longest for each CPU and place. A handler, which the hardware begins with interrupts off, is not counted.
import { formatSite, UNKNOWN_SITE } from '../../compile/sites.ts'
import { Row } from '../../compile/stepped/announce.ts'
import { irqOffWord, type KernelState, rowOfAgent } from './kernel-state.ts'
import type { IrqOffSection } from './model.ts'

/** Follows the steps of one model. */
export interface IrqOffMeter {
  /** An execution begins. */
  reset(): void
  /** The task of `cpu` is about to take its announced step, or has taken it. */
  before(cpu: number): void
  after(cpu: number): void
  /** Remembers the sections under way. Returns what brings them back. */
  save(): () => void
  /** What was seen in all executions so far, the longest first. */
  sections(): readonly IrqOffSection[]
}

/** A meter of the tasks in `state`. */
export function createIrqOffMeter(state: KernelState): IrqOffMeter {
  const { cpus, tree } = state.machine
  const steps = new Int32Array(cpus)
  const site = new Int32Array(cpus)
  let was = 0
  const longest = Array.from({ length: cpus }, () => new Map<number, number>())
  return {
    reset: () => steps.fill(0),
    save: () => {
      const kept = [steps.slice(), site.slice()] as const
      return () => {
        steps.set(kept[0])
        site.set(kept[1])
      }
    },
    before: (cpu) => {
      was = state.words[irqOffWord(state, cpu)] as number
      if (was === 0) site[cpu] = state.rows[rowOfAgent(state, cpu) + Row.site] as number
    },
    after: (cpu) => {
      const on = state.words[irqOffWord(state, cpu)] === 0
      if (was === 0) {
        steps[cpu] = 0
        return
      }
      const count = (steps[cpu] as number) + 1
      steps[cpu] = count
      if (!on) return
      const of = longest[cpu] as Map<number, number>
      if (count > (of.get(site[cpu] as number) ?? 0)) of.set(site[cpu] as number, count)
    },
    sections: () =>
      longest
        .flatMap((of, cpu) =>
          [...of].map(([number, count]) => ({ cpu, place: formatSite(tree.sites[number] ?? UNKNOWN_SITE), steps: count })),
        )
        .sort((a, b) => b.steps - a.steps || a.cpu - b.cpu),
  }
}

/** The longest of each CPU and place in several reports. */
export function mergeSections(all: readonly IrqOffSection[]): readonly IrqOffSection[] {
  const longest = new Map<string, IrqOffSection>()
  for (const one of all) {
    const key = `${one.cpu} ${one.place}`
    if (one.steps > (longest.get(key)?.steps ?? 0)) longest.set(key, one)
  }
  return [...longest.values()].sort((a, b) => b.steps - a.steps || a.cpu - b.cpu)
}
