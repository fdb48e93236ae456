// The matrix: every scenario on every combination for which its question makes sense, and its broken variants.

import { isDesignFile } from '../../machine/own-design.ts'
import { type Expectation, expectationOf, type Scenario, type Variant } from '../scenario.ts'
import { type Combination, combinationText, isUsual, LISTS, shortCombination, USUAL, USUAL_DESIGNS, wholeCombination } from './axes.ts'
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
  readonly indexes?: readonly string[] | undefined
  readonly rcus?: readonly string[] | undefined
  readonly tables?: readonly string[] | undefined
  /** Whether the scenarios were named: then those that are about `vma-lock` are asked of designs of the user's, too. */
  readonly named?: boolean
  /** Broken variants: with the scenarios (`true`), none, or only the one of this name. */
  readonly variants?: boolean | string
}

/** Linux's, used where a question does not depend on it. */
const USUAL_LISTS = { freeing: ['rcu-batch'], indexes: [USUAL.index], rcus: [USUAL.rcu], tables: [USUAL.tables] } as const

/** The axes of which values are used that a scenario does not name. */
const OPEN_AXES = ['freeing', 'indexes', 'rcus', 'tables'] as const

type OpenValues = Pick<Combination, 'freeing' | 'index' | 'rcu' | 'tables'>

/** Each choice of the open axes: what is asked for, else what `scenario` names, else what is usual. */
function openValues(scenario: Scenario, wanted: Wanted = {}): readonly OpenValues[] {
  const usual = { freeing: scenario.usually?.freeing, indexes: undefined, rcus: undefined, tables: undefined }
  const of = (axis: (typeof OPEN_AXES)[number]): readonly string[] => wanted[axis] ?? usual[axis] ?? scenario[axis] ?? USUAL_LISTS[axis]
  return of('freeing').flatMap((freeing) =>
    of('indexes').flatMap((index) => of('rcus').flatMap((rcu) => of('tables').map((tables) => ({ freeing, index, rcu, tables })))),
  )
}

/** What `scenario` expects of `combination`; null where it says nothing of one of its values. */
export function expectedOf(scenario: Scenario, combination: Combination): Expectation | null {
  const whole = wholeCombination(combination)
  const named = OPEN_AXES.every((axis) => (scenario[axis] ?? USUAL_LISTS[axis]).includes(whole[LISTS[axis]]))
  return named ? expectationOf(scenario, whole) : null
}

/** Where a question that says nothing of architectures is checked by default: the others differ only in how entries are read. */
const USUAL_ARCHS = ['x86_64', 'powerpc64-hash-64k']

function both(own: readonly string[], wanted: readonly string[] | undefined): readonly string[] {
  return wanted === undefined ? own : own.filter((name) => wanted.includes(name))
}

/** The designs on which `scenario` is checked on `arch` by default. */
function designsOn(scenario: Scenario, arch: string): readonly string[] {
  if (scenario.designs !== undefined) return scenario.designs
  if (scenario.usually?.designs !== undefined) return scenario.usually.designs
  return USUAL_DESIGNS.filter((design) => isUsual(design, arch))
}

/** The architectures on which `scenario` is checked by default. */
function archsOf(scenario: Scenario): readonly string[] {
  return scenario.usually?.archs ?? scenario.archs ?? USUAL_ARCHS
}

/** The combinations on which `scenario` is checked by default. */
export function combinationsOf(scenario: Scenario): readonly Combination[] {
  return archsOf(scenario).flatMap((arch) =>
    designsOn(scenario, arch).flatMap((design) => openValues(scenario).map((open) => shortCombination({ design, arch, ...open }))),
  )
}

/**
 * The cells of `scenarios`. Freeing policies, indexes, flavours of RCU and ways to allocate tables that are asked for are used even
 * where the scenario does not name them; so are forms of designs and further architectures that are asked for, where it names none.
 */
export function cellsOf(scenarios: readonly Scenario[], wanted: Wanted = {}): readonly Cell[] {
  return scenarios.flatMap((scenario) => {
    const open = openValues(scenario, wanted)
    const only = typeof wanted.variants === 'string' ? wanted.variants : null
    const archs = wanted.archs === undefined ? archsOf(scenario) : (scenario.archs ?? wanted.archs)
    const plain = both(archs, wanted.archs).flatMap((arch) =>
      both(
        designsOf(scenario, wanted) ?? wanted.designs ?? (wanted.archs === undefined ? designsOn(scenario, arch) : USUAL_DESIGNS),
        wanted.designs,
      ).flatMap((design) =>
        open.map((values): Cell => {
          const combination = shortCombination({ design, arch, ...values })
          return { scenario, combination, variant: null, expected: expectedOf(scenario, combination) }
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

/** The designs of which `scenario` may be asked, where it names any. */
function designsOf({ designs }: Scenario, { designs: wanted = [], named = false }: Wanted): readonly string[] | undefined {
  return named && designs?.includes('vma-lock') ? [...designs, ...wanted.filter(isDesignFile)] : designs
}

/** Those of `scenarios` that name the designs that they are about, none of which is wanted. */
export function aboutOtherDesigns(scenarios: readonly Scenario[], wanted: Wanted): readonly Scenario[] {
  const { designs } = wanted
  return designs === undefined ? [] : scenarios.filter((one) => both(designsOf(one, wanted) ?? designs, designs).length === 0)
}

function variantCell(scenario: Scenario, variant: Variant): Cell {
  const first = combinationsOf(scenario)[0]
  if (first === undefined) throw new ScenarioError(`scenario ${scenario.name} names no combination`)
  const combination = shortCombination({ ...first, ...variant.on })
  return { scenario, combination, variant, expected: { unsafe: variant.unsafe } }
}

function within(combination: Combination, wanted: Wanted): boolean {
  const whole = wholeCombination(combination)
  return Object.entries(LISTS).every(([list, axis]) => wanted[list as keyof typeof LISTS]?.includes(whole[axis]) ?? true)
}

/** `fault-vs-munmap [vma-lock, x86_64, rcu-batch]`, with the variant behind the name. */
export function cellName({ scenario, combination, variant }: Cell): string {
  return `${scenario.name}${variant === null ? '' : `:${variant.name}`} [${combinationText(combination)}]`
}
