// The matrix: every scenario on every combination for which its question makes sense, and its broken variants.

import { type Expectation, expectationOf, type Scenario, type Variant } from '../scenario.ts'
import { type Combination, isUsual, USUAL_DESIGNS } from './axes.ts'
import { ScenarioError } from './errors.ts'

/** One thing to check. */
export interface Cell {
  readonly scenario: Scenario
  readonly combination: Combination
  readonly variant: Variant | null
  /** Null where nobody has said what to expect: the combination was asked for from outside. */
  readonly expected: Expectation | null
}

/** What is wanted of each axis; all that make sense where it is left out. */
export interface Wanted {
  readonly designs?: readonly string[] | undefined
  readonly archs?: readonly string[] | undefined
  readonly freeing?: readonly string[] | undefined
  /** Broken variants: with the scenarios (`true`), none, or only the one of this name. */
  readonly variants?: boolean | string
}

/** The policy of Linux, used where a question does not depend on it. */
const USUAL_FREEING = ['rcu-batch']

/** Where a question that says nothing of architectures is checked by default: the others differ only in how entries are read. */
const USUAL_ARCHS = ['x86_64', 'powerpc64-hash-64k']

function both(own: readonly string[], wanted: readonly string[] | undefined): readonly string[] {
  return wanted === undefined ? own : own.filter((name) => wanted.includes(name))
}

/** The designs on which `scenario` is checked on `arch` by default. */
function designsOn(scenario: Scenario, arch: string): readonly string[] {
  if (scenario.designs !== undefined) return scenario.designs
  return scenario.archs !== undefined ? USUAL_DESIGNS : USUAL_DESIGNS.filter((design) => isUsual(design, arch))
}

/** The combinations on which `scenario` is checked by default. */
export function combinationsOf(scenario: Scenario): readonly Combination[] {
  return (scenario.archs ?? USUAL_ARCHS).flatMap((arch) =>
    designsOn(scenario, arch).flatMap((design) => (scenario.freeing ?? USUAL_FREEING).map((freeing) => ({ design, arch, freeing }))),
  )
}

/**
 * The cells of `scenarios`. Freeing policies that are asked for are used even where the scenario does not name them; so are forms of
 * designs and further architectures that are asked for, where it names none.
 */
export function cellsOf(scenarios: readonly Scenario[], wanted: Wanted = {}): readonly Cell[] {
  return scenarios.flatMap((scenario) => {
    const asked = wanted.freeing
    const freeing = asked === undefined ? (scenario.freeing ?? USUAL_FREEING) : asked
    const only = typeof wanted.variants === 'string' ? wanted.variants : null
    const plain = both(scenario.archs ?? wanted.archs ?? USUAL_ARCHS, wanted.archs).flatMap((arch) =>
      both(
        scenario.designs ?? wanted.designs ?? (wanted.archs === undefined ? designsOn(scenario, arch) : USUAL_DESIGNS),
        wanted.designs,
      ).flatMap((design) =>
        freeing.map((name): Cell => {
          const combination = { design, arch, freeing: name }
          const known = (scenario.freeing ?? USUAL_FREEING).includes(name)
          return { scenario, combination, variant: null, expected: known ? expectationOf(scenario, combination) : null }
        }),
      ),
    )
    if (wanted.variants === false || wanted.variants === undefined) return plain
    const broken = (scenario.variants ?? [])
      .filter(({ name }) => only === null || name === only)
      .map((variant) => variantCell(scenario, variant))
      .filter(({ combination }) => within(combination, wanted))
    return only === null ? [...plain, ...broken] : broken
  })
}

function variantCell(scenario: Scenario, variant: Variant): Cell {
  const first = combinationsOf(scenario)[0]
  if (first === undefined) throw new ScenarioError(`scenario ${scenario.name} names no combination`)
  return { scenario, combination: { ...first, ...variant.on }, variant, expected: { unsafe: variant.unsafe } }
}

function within({ design, arch, freeing }: Combination, wanted: Wanted): boolean {
  const has = (names: readonly string[] | undefined, name: string): boolean => names === undefined || names.includes(name)
  return has(wanted.designs, design) && has(wanted.archs, arch) && has(wanted.freeing, freeing)
}

/** `fault-vs-munmap [vma-lock, x86_64, rcu-batch]`, with the variant behind the name. */
export function cellName({ scenario, combination, variant }: Cell): string {
  const { design, arch, freeing } = combination
  return `${scenario.name}${variant === null ? '' : `:${variant.name}`} [${design}, ${arch}, ${freeing}]`
}
