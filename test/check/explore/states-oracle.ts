// What plain enumeration of a program's interleavings says: where they end, and whether anything is wrong on the way. Data
// races are found here from lists of what is under way, without what the explorer keeps for that.
import { createBudget } from '../../../src/check/explore/budget.ts'
import { enumerate } from '../../../src/check/explore/enumerate.ts'
import { accesses } from '../../../src/check/explore/footprint.ts'
import { litmus } from '../../../src/check/explore/litmus.ts'
import type { Model } from '../../../src/check/explore/model.ts'
import type { RandomProgram } from './random-programs.ts'

/** Ends of executions as texts (words, registers, who waits), and whether something was wrong in any. */
export interface Ends {
  readonly ends: ReadonlySet<string>
  readonly wrong: boolean
}

/** The model of a program that adds to `ends` where executions end. */
export function observed(program: RandomProgram, ends: Set<string>): Model {
  const model = litmus(program)
  return {
    ...model,
    finish: (blocked) => {
      const words = Array.from({ length: program.words }, (_, i) => model.value(i + 1))
      ends.add(`${words.join()} ${program.registers.join()} ${blocked}`)
      return model.finish(blocked)
    },
  }
}

/** Enumerates interleavings with up to `preemptions` preemptions. Null if there are more than `enough`. */
export function enumerateEnds(program: RandomProgram, preemptions: number, enough: number): Ends | null {
  const ends = new Set<string>()
  const { watchPlain, ...model } = observed(program, ends)
  let wrong = false
  const underWay: number[][] = program.agents.map(() => [])
  const meet = (agent: number, object: number, writes: boolean): void => {
    for (const [other, list] of underWay.entries()) {
      if (other !== agent && list.some((one) => one >> 1 === object && (writes || (one & 1) !== 0))) wrong = true
    }
  }
  watchPlain?.((agent, object, _count, writes) => {
    meet(agent, object, writes)
    underWay[agent]?.push(object * 2 + (writes ? 1 : 0))
  })
  const watched: Model = {
    ...model,
    reset: () => {
      for (const list of underWay) list.length = 0
      model.reset()
    },
    step: (agent) => {
      const footprint = model.footprint(agent)
      const list = footprint < 0 ? [...accesses(model.footprints, footprint)] : footprint === 0 ? [] : [footprint]
      for (const single of list) meet(agent, single >> 1, (single & 1) !== 0)
      ;(underWay[agent] as number[]).length = 0
      model.step(agent)
    },
  }
  const tally = enumerate(watched, createBudget({ executions: enough }), 100, preemptions, false, (_path, failure) => {
    if (failure !== '') wrong = true
    return false
  })
  return tally.stopped !== '' ? null : { ends, wrong }
}
