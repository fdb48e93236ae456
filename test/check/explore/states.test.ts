// Search with merged states against plain enumeration on random programs: the same ends, the same programs found wrong,
// whichever of its reductions are on; known programs; budgets.
import { describe, expect, it } from 'vitest'
import { lockedCounter, storeBuffering, treiber } from '../../../bench/check/programs.ts'
import { createBudget } from '../../../src/check/explore/budget.ts'
import { explore } from '../../../src/check/explore/explore.ts'
import { litmus } from '../../../src/check/explore/litmus.ts'
import type { Model } from '../../../src/check/explore/model.ts'
import { exploreStates } from '../../../src/check/explore/states.ts'
import { createSearch, goBack, type Rules, runOnce } from '../../../src/check/explore/states-search.ts'
import { createSharing } from '../../../src/check/explore/states-sharing.ts'
import { clearTable, createTable, enterState, FULL, Merge, NEW } from '../../../src/check/explore/states-table.ts'
import { type Flavour, randomProgram } from './random-programs.ts'
import { type Ends, enumerateEnds, observed } from './states-oracle.ts'

const PROGRAMS = Number(process.env.GRACEWALK_FUZZ ?? 150)
const ENOUGH = Number(process.env.GRACEWALK_FUZZ_INTERLEAVINGS ?? 2000)
/** States of programs that are too large to enumerate, without reductions. */
const LARGEST = 1500
const FLAVOURS: readonly Flavour[] = ['accesses', 'locks', 'waits', 'futexes', 'mixed', 'scattered', 'plain']

const RULES: readonly Rules[] = [
  { sleep: false, local: false, learn: true },
  { sleep: true, local: false, learn: true },
  { sleep: false, local: true, learn: true },
  { sleep: true, local: true, learn: true },
  { sleep: true, local: true, learn: false },
]

type RandomProgram = ReturnType<typeof randomProgram>

/** Null if there are more states than `most`, or executions that are too long. */
function searchEnds(program: RandomProgram, bound: number, rules: Rules, most = 100_000): Ends | null {
  const ends = new Set<string>()
  let wrong = false
  const onViolation = (): boolean => {
    wrong = true
    return false
  }
  const { stopped, cut } = exploreStates(observed(program, ends), {
    bound,
    maxSteps: 1000,
    states: most,
    budget: createBudget({}),
    onViolation,
    rules,
  })
  if (stopped.endsWith('states is spent') || stopped.endsWith('steps')) return null
  if (stopped !== '' || (bound < 0 && cut)) throw new Error(`stopped: ${stopped}`)
  return { ends, wrong }
}

/** What differs between two, or ''. Executions that went wrong are not followed further, so that ends then may be fewer. */
function difference(expected: Ends, found: Ends): string {
  if (expected.wrong !== found.wrong) return expected.wrong ? 'what is wrong was not found' : 'something was found wrong that is not'
  const strange = [...found.ends].filter((end) => !expected.ends.has(end))
  const missed = expected.wrong ? [] : [...expected.ends].filter((end) => !found.ends.has(end))
  return strange.length + missed.length === 0 ? '' : `of ${expected.ends.size} ends ${missed.length} missed, ${strange.length} strange`
}

/** Compares programs of a flavour until there were enough of them. */
function compareAll(flavour: Flavour, bound: number, rules: readonly Rules[]): string[] {
  const failures: string[] = []
  let compared = 0
  for (let seed = 0; compared < PROGRAMS; seed++) {
    const program = randomProgram(seed, flavour, seed % 2 === 1)
    const expected = enumerateEnds(program, bound < 0 ? 1000 : bound, ENOUGH)
    if (expected === null) continue
    compared++
    for (const one of rules) {
      const differs = difference(expected, searchEnds(program, bound, one) as Ends)
      if (differs !== '') failures.push(`seed ${seed} ${JSON.stringify(one)}: ${differs}: ${program.text}`)
    }
  }
  return failures.slice(0, 5)
}

describe('finds the ends and the errors that enumeration finds', () => {
  it.each(FLAVOURS)('%s', (flavour) => {
    expect(compareAll(flavour, -1, RULES)).toEqual([])
  })

  it.each(FLAVOURS)('%s, with bounded preemptions', (flavour) => {
    for (const bound of [0, 1, 2]) expect(compareAll(flavour, bound, [RULES[0], RULES[3], RULES[4]] as Rules[])).toEqual([])
  })
})

describe('reductions keep all ends of larger programs, also of those that may run for ever', () => {
  it.each<Flavour>([...FLAVOURS, 'loops'])('%s', (flavour) => {
    const failures: string[] = []
    for (let seed = 0, compared = 0; compared < PROGRAMS / 3; seed++) {
      const program = randomProgram(seed, flavour, true, 5)
      const expected = searchEnds(program, -1, RULES[0] as Rules, LARGEST)
      if (expected === null) continue
      compared++
      for (const rules of RULES.slice(1)) {
        const found = searchEnds(program, -1, rules, LARGEST)
        // A loop of local steps ends with the bound on steps.
        const differs = found === null ? '' : difference(expected, found)
        if (differs !== '') failures.push(`seed ${seed} ${JSON.stringify(rules)}: ${differs}: ${program.text}`)
      }
    }
    expect(failures.slice(0, 5)).toEqual([])
  })
})

describe('a state met again', () => {
  // As if one Worker had come to the beginning with agents 0 and 1 asleep, and then another with all awake.
  it('owes what slept when it was met before', () => {
    const failures: string[] = []
    let met = 0
    for (let seed = 0; seed < PROGRAMS; seed++) {
      const program = randomProgram(seed, 'accesses', true)
      const expected = searchEnds(program, -1, RULES[0] as Rules) as Ends
      const ends = new Set<string>()
      const model = observed(program, ends)
      const sharing = createSharing(model)
      const table = createTable(10_000)
      const visit = (asleep: number): number => {
        const search = createSearch(model, table, sharing, null, 1000, -1, RULES[1] as Rules, () => false)
        for (let anew = true; anew || goBack(search); anew = false) {
          if (anew) search.asleep[0] = asleep
          runOnce(search, anew)
        }
        return search.tally.transitions
      }
      // First all that is shared is learned.
      const options = { bound: -1, maxSteps: 1000, states: 10_000, budget: createBudget({}), onViolation: () => true }
      exploreStates(model, { ...options, sharing })
      ends.clear()
      visit(0b11)
      if (visit(0) > 0) met++
      if (difference(expected, { ends, wrong: false }) !== '') failures.push(`seed ${seed}: ${program.text}`)
      if (visit(0) + visit(0b1) > 0) failures.push(`seed ${seed}: owes something still`)
    }
    expect(failures.slice(0, 5)).toEqual([])
    expect(met).toBeGreaterThan(PROGRAMS / 3)
  })
})

describe('the table of states', () => {
  it('keeps what states have in common, or the least, and grows up to its limit', () => {
    const table = createTable(2000)
    const ask = (i: number, payload: number, merge: number): number => enterState(table, Math.imul(i, 0x9e3779b1), i ^ 5, payload, merge)
    for (let i = 0; i < 2000; i++) expect(ask(i, i & 7, Merge.intersection)).toBe(NEW)
    for (let i = 0; i < 2000; i++) expect(ask(i, 5, Merge.intersection)).toBe(i & 7)
    for (let i = 0; i < 2000; i++) expect(ask(i, 3, Merge.least)).toBe(i & 5)
    for (let i = 0; i < 2000; i++) expect(ask(i, 9, Merge.least)).toBe(Math.min(i & 5, 3))
    expect(ask(2000, 0, Merge.least)).toBe(FULL)
    clearTable(table)
    expect(ask(7, 1, Merge.least)).toBe(NEW)
  })
})

describe('store buffering', () => {
  it('takes each step between two states once, but for steps of who is alone', () => {
    const options = { bound: -1, maxSteps: 100, states: 100_000, budget: createBudget({}), onViolation: () => true }
    const { tally } = exploreStates(litmus(storeBuffering(4)), options)
    const awake = exploreStates(litmus(storeBuffering(4)), { ...options, rules: RULES[2] as Rules })
    expect(tally.states).toBe(awake.tally.states)
    // Who alone can go on is not put to sleep: the last thread's last steps are taken from each state before them.
    expect(tally.transitions).toBeLessThan(tally.states + tally.states / 10)
    expect(awake.tally.transitions).toBeGreaterThan(tally.transitions)
  })
})

describe('budgets', () => {
  const model = (): Model => litmus(treiber(3))

  it('end the search with a word', () => {
    expect(explore(model(), { mode: 'states' })).toMatchObject({ verdict: 'proved', message: '', states: 1458, sharedObjects: 4 })
    expect(explore(model(), { mode: 'states', states: 1457 })).toMatchObject({
      verdict: 'stopped',
      message: 'the budget of 1457 states is spent',
    })
    expect(explore(model(), { mode: 'states', executions: 100 })).toMatchObject({
      verdict: 'stopped',
      message: 'the budget of 100 executions is spent',
    })
    expect(explore(model(), { mode: 'states', maxSteps: 10 })).toMatchObject({
      verdict: 'stopped',
      message: 'an execution has more than 10 steps',
    })
    expect(explore(model(), { mode: 'check', states: 100 }).verdict).toBe('stopped')
  })

  it('leave the chance that states were taken for one another', () => {
    expect(explore(model(), { mode: 'states' }).collisionChance).toBeCloseTo(1458 ** 2 / 2 ** 65, 20)
    expect(explore(model()).collisionChance).toBe(0)
  })

  it('need states that can be told apart', () => {
    const { digest: _, ...blind } = model()
    expect(() => explore(blind, { mode: 'states' })).toThrow('no digest')
    expect(explore(blind, { mode: 'bounded', preemptions: 1 })).toMatchObject({ verdict: 'bounded', states: 0 })
  })
})

describe('a locked counter', () => {
  it('has few states where it has millions of traces', () => {
    const { tally, stopped } = exploreStates(litmus(lockedCounter(4, 4)), {
      bound: -1,
      maxSteps: 100,
      states: 10_000,
      budget: createBudget({}),
      onViolation: () => true,
    })
    expect({ stopped, states: tally.states, transitions: tally.transitions }).toEqual({ stopped: '', states: 2625, transitions: 4000 })
  })
})
