// Which part of the conformance suite runs for which design on which architecture. The first architectures see all of it with every
// design that is no form of another; forms there, and those designs elsewhere, see every eighth case or list, forms elsewhere every
// sixteenth, each pair another part. CONFORMANCE=all runs all of it everywhere.
import { designs } from '../src/kernel/design/designs.ts'
import { soundArchitectures } from '../src/machine/shape.ts'
import { FIRST_ARCHS } from '../src/scenario/runner/axes.ts'

const PARTS = 8

/** Design, architecture, and of how many parts it runs which one: item `i` of a list is its own if `i % parts === part`. */
export type ConformancePair = readonly [design: string, arch: string, parts: number, part: number]

/** Every design on every architecture that is no draft: drafts of designs too, which are right as long as one CPU is alone. */
export const sequentialCombinations: readonly ConformancePair[] = designs.flatMap((design, d) =>
  soundArchitectures.map(({ name }, a): ConformancePair => {
    const first = FIRST_ARCHS.includes(name)
    const form = design.formOf !== undefined
    const parts = process.env.CONFORMANCE === 'all' || (first && !form) ? 1 : first || !form ? PARTS : 2 * PARTS
    return [design.name, name, parts, (d + a) % parts]
  }),
)

const DRAFTS = designs.filter(({ draft }) => draft === true).map(({ name }) => name)

/** The same without drafts. */
export const combinations: readonly ConformancePair[] = sequentialCombinations.filter(([design]) => !DRAFTS.includes(design))

/** Designs that are no forms on the first architectures, forms on one, and the default one everywhere: for tests that take seconds each. */
export const pairs: readonly (readonly [design: string, arch: string])[] = combinations.flatMap(([design, arch, parts]) =>
  parts === 1 || design === 'vma-lock' || arch === 'x86_64' ? [[design, arch] as const] : [],
)

/** Designs whose VMAs hang in an rbtree: a lock for everything, and look-ups without one, validated. */
export const rbtreeCombinations: readonly ConformancePair[] = ['mmap-lock', 'speculative', 'vma-lock'].flatMap((design, d) =>
  ['x86_64', 'powerpc64-hash-64k'].map((arch, a): ConformancePair => {
    const whole = process.env.CONFORMANCE === 'all' || (arch === 'x86_64' && design !== 'vma-lock')
    return [design, arch, whole ? 1 : PARTS, whole ? 0 : (d + a) % PARTS]
  }),
)

/** The further axes with another value than the usual one, and where the suite is run with it, in part. */
export const furtherAxes: readonly (readonly [
  name: string,
  axes: { readonly rcu?: string; readonly tables?: string },
  pairs: readonly (readonly [design: string, arch: string])[],
])[] = [
  [
    'preemptible RCU',
    { rcu: 'preemptible' },
    [
      ['vma-lock', 'x86_64'],
      ['speculative', 'x86_64'],
      ['rcu-fault', 'x86_64'],
      ['speculative-irq', 'powerpc64-hash-64k'],
    ],
  ],
  [
    'tables by the page',
    { tables: 'sixteen' },
    [
      ['vma-lock', 'powerpc64-hash-64k'],
      ['speculative', 'powerpc64-hash-64k'],
    ],
  ],
]

/** The items of `list` that a pair of `parts` and `part` runs. */
export function share<T>(list: readonly T[], parts: number, part: number): readonly T[] {
  return list.filter((_, i) => i % parts === part)
}
