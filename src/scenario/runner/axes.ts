// What can be selected: the axes, and the names of every value of them.
import { architectures } from '../../kernel/arch/architectures.ts'
import { designs } from '../../kernel/design/designs.ts'
import { freeings } from '../../kernel/pagetable/freeing.ts'

/** What the argument is about: one value of each axis, by name. */
export interface Combination {
  readonly design: string
  readonly arch: string
  readonly freeing: string
}

/** Names of every value of the axes. */
export const AXES = Object.freeze({
  designs: Object.freeze(designs.map(({ name }) => name)),
  archs: Object.freeze(architectures.map(({ name }) => name)),
  freeing: Object.freeze(freeings.map(({ name }) => name)),
})

/**
 * What a recording is replayed on unless others are asked for: one table per page, sixteen per page with broadcast flushes, and
 * entries of two halves.
 */
export const FIRST_ARCHS: readonly string[] = Object.freeze(['x86_64', 'powerpc64-hash-64k', 'x86-pae'])

/** The designs about which a scenario that names none asks: forms of another are left out. */
export const USUAL_DESIGNS: readonly string[] = Object.freeze(designs.filter(({ formOf }) => formOf === undefined).map(({ name }) => name))

/** Whether a scenario that names neither designs nor architectures asks about `design` on `arch`. */
export function isUsual(design: string, arch: string): boolean {
  return designs.find(({ name }) => name === design)?.usualArchs?.includes(arch) ?? true
}

/** Names of each axis as a message calls it. */
export const AXIS_NAMES = Object.freeze({ designs: 'design', archs: 'architecture', freeing: 'freeing policy' })
