// What a scenario is: a small concurrent program on the kernel's own entries, the question that it answers, and the verdict
// that is expected of each combination. One file per question, named after it; `all.ts` lists them.

import { AXES, AXIS_NAMES, type Combination, isValue, LISTS, type WholeCombination, wholeCombination } from './runner/axes.ts'
import type { Call } from './runner/calls.ts'
import { ScenarioError } from './runner/errors.ts'
import type { Stage } from './runner/stage.ts'

/** `safe`: no execution is wrong. Otherwise a part of what the checker must say is wrong, or a pattern of it. */
export type Expectation = 'safe' | { readonly unsafe: RegExp }

/** The kernel with one thing wrong, to show that the scenario notices. */
export interface Variant {
  readonly name: string
  /** What is wrong, in a sentence. */
  readonly wrong: string
  /** File of the kernel (`sync/srcu.ts`), text in it that occurs once, and what stands there instead. */
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[]
  /** What the checker must say. */
  readonly unsafe: RegExp
  /** The combination on which it is checked; by default the scenario's first. */
  readonly on?: Partial<Combination>
}

/** A scenario. */
export interface Scenario {
  /** Its file's name: words with hyphens. */
  readonly name: string
  readonly question: string
  /** Where it was asked: a thread, a commit, a paper. */
  readonly asked: string
  /** At most 3. */
  readonly cpus: number
  /** The combinations for which the question makes sense; all of an axis where it is left out. */
  readonly designs?: readonly string[]
  readonly archs?: readonly string[]
  /**
   * Of designs, architectures and freeing policies those that are asked if nobody says which: for questions whose answer does not depend
   * on them, or that the matrix asks of all. The others are asked where they are wanted.
   */
  readonly usually?: { readonly designs?: readonly string[]; readonly archs?: readonly string[]; readonly freeing?: readonly string[] }
  /** Freeing policies; `rcu-batch` alone where it is left out. */
  readonly freeing?: readonly string[]
  /** What finds VMAs, flavours of RCU, ways to allocate tables; the usual one alone where it is left out (see `USUAL`). */
  readonly indexes?: readonly string[]
  readonly rcus?: readonly string[]
  readonly tables?: readonly string[]
  /**
   * Sets the address space up and says what each CPU does then, one call after the other. Whatever it does itself happens
   * before the first interleaving.
   */
  setUp(stage: Stage): Play | Promise<Play>
  readonly expect: Expectation | ((combination: WholeCombination) => Expectation)
  readonly variants?: readonly Variant[]
}

/** What happens on the stage. */
export interface Play {
  /** For each CPU its calls. */
  readonly calls: readonly (readonly Call[])[]
  /** Judges the end of an execution by what the calls of each CPU returned: what is wrong, or ''. */
  readonly check?: (results: readonly (readonly number[])[]) => string
  /**
   * False: results and contents are not compared with those of the calls made one after another. For plays in which a program writes to
   * an address space in a way that no description tells. Default true.
   */
  readonly sequential?: boolean
  /** Words with names of their own, for counterexamples. */
  readonly labels?: ReadonlyMap<number, string>
  /** What CPU 0 does after each execution, before leaks are looked for: gives back what the program still holds. */
  readonly after?: readonly Call[]
}

/** A scenario, checked for what can be seen of it. Throws `ScenarioError`. */
export function scenario(definition: Scenario): Scenario {
  const { name, cpus } = definition
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) throw new ScenarioError(`scenario name '${name}' must be lower-case words with hyphens`)
  const wrong = (what: string): ScenarioError => new ScenarioError(`scenario ${name}: ${what}`)
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > 3) throw new ScenarioError(`scenario ${name} has ${cpus} CPUs; 1 to 3 can be checked`)
  if (typeof definition.setUp !== 'function') throw wrong('setUp must be a function')
  for (const axis of Object.keys(LISTS) as (keyof typeof LISTS)[]) {
    const chosen = definition[axis]
    if (chosen?.length === 0) throw wrong(`${axis} is empty, so there is no combination to check`)
    for (const value of chosen ?? []) if (!isValue(axis, value)) throw wrong(unknownValue(axis, value))
  }
  if (typeof definition.expect !== 'function' && !isExpectation(definition.expect)) throw wrong(NO_EXPECTATION)
  const variants = (definition.variants ?? []).map((variant) => variant.name)
  const twice = variants.find((one, i) => variants.indexOf(one) !== i)
  if (twice !== undefined) throw wrong(`two variants are called ${twice}`)
  return definition
}

const NO_EXPECTATION = "expect must be 'safe' or { unsafe: /pattern/ }, or a function of the combination that returns one"

function isExpectation(value: unknown): value is Expectation {
  return value === 'safe' || (typeof value === 'object' && value !== null && 'unsafe' in value && value.unsafe instanceof RegExp)
}

/** That an axis has no such value, and which it has. */
export function unknownValue(axis: keyof typeof AXES, value: string): string {
  return `there is no ${AXIS_NAMES[axis]} '${value}'; there are ${AXES[axis].join(', ')}`
}

/** What is expected of `definition` on `combination`. */
export function expectationOf(definition: Scenario, combination: Combination): Expectation {
  const expected = typeof definition.expect === 'function' ? definition.expect(wholeCombination(combination)) : definition.expect
  if (!isExpectation(expected)) throw new ScenarioError(`scenario ${definition.name}: ${NO_EXPECTATION}`)
  return expected
}
