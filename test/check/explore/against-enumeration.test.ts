// Optimal reduction against plain enumeration on random programs: each trace once, none missed, no redundant execution.
import { describe, expect, it } from 'vitest'
import { createBudget } from '../../../src/check/explore/budget.ts'
import { enumerate } from '../../../src/check/explore/enumerate.ts'
import { litmus } from '../../../src/check/explore/litmus.ts'
import { exploreOptimal } from '../../../src/check/explore/optimal.ts'
import { type Flavour, randomProgram, traceOf } from './random-programs.ts'

const PROGRAMS = Number(process.env.GRACEWALK_FUZZ ?? 250)
const ENOUGH = Number(process.env.GRACEWALK_FUZZ_INTERLEAVINGS ?? 3000)

/** Compares the two on one program. Returns what differs, '' if nothing, or null if there are too many interleavings. */
function compare(seed: number, flavour: Flavour): string | null {
  let end = 'somebody waits'
  const program = {
    ...randomProgram(seed, flavour),
    check: (words: Int32Array) => {
      end = words.join()
      return ''
    },
  }
  const model = litmus(program)
  const again = litmus(program)
  const expected = new Map<string, number>()
  const ends = new Map<string, string>()
  let differing = 0
  const tally = enumerate(model, createBudget({ executions: ENOUGH }), 100, 1000, false, (path) => {
    const key = traceOf(again, path)
    expected.set(key, 0)
    // Equivalent interleavings must come to the same end, or they are not equivalent.
    if (ends.has(key) && ends.get(key) !== end) differing++
    ends.set(key, end)
    end = 'somebody waits'
    return false
  })
  if (tally.stopped !== '') return null
  let strange = 0
  const optimal = exploreOptimal(model, createBudget({}), 100, (trace) => {
    const key = traceOf(again, Array.from(trace.agentOf.subarray(0, trace.depth)))
    const times = expected.get(key)
    if (times === undefined) strange++
    else expected.set(key, times + 1)
    return false
  })
  const missed = [...expected.values()].filter((times) => times === 0).length
  const twice = [...expected.values()].filter((times) => times > 1).length
  if (missed + twice + strange + differing + optimal.redundant === 0) return ''
  return `seed ${seed}: of ${expected.size} traces ${missed} missed, ${twice} twice, ${strange} strange, ${differing} differ, ${optimal.redundant} redundant: ${program.text}`
}

describe('optimal reduction visits each trace once', () => {
  it.each<Flavour>(['accesses', 'locks', 'waits', 'futexes', 'mixed'])('%s', (flavour) => {
    const failures: string[] = []
    let compared = 0
    for (let seed = 0; compared < PROGRAMS; seed++) {
      const failure = compare(seed, flavour)
      if (failure === null) continue
      compared++
      if (failure !== '') failures.push(failure)
    }
    expect(failures.slice(0, 5)).toEqual([])
  })
})
