// What can be selected: the axes, and the names of every value of them.
import { Fragments, Invalidate } from '../../kernel/arch/arch.ts'
import { architectures } from '../../kernel/arch/architectures.ts'
import { designs } from '../../kernel/design/designs.ts'
import { rcuFlavours, tableAllocations, vmaIndexes } from '../../kernel/machine/axes.ts'
import { freeings } from '../../kernel/pagetable/freeing.ts'
import { isDesignFile } from '../../machine/own-design.ts'

/** What the argument is about: one value of each axis, by name. Of the last three a value that is left out is the usual one. */
export interface Combination {
  readonly design: string
  readonly arch: string
  readonly freeing: string
  /** What finds a VMA: `maple`. */
  readonly index?: string
  /** The flavour of RCU: `quiescent` or `preemptible`. */
  readonly rcu?: string
  /** How many page tables are allocated at a time: `one` or `sixteen`. */
  readonly tables?: string
}

/** A combination in which nothing is left out. */
export type WholeCombination = Required<Combination>

/** The values of those axes that a combination may leave out, and that are said only where they are others. */
export const USUAL = Object.freeze({ index: 'maple', rcu: 'quiescent', tables: 'one' })

const FURTHER = ['index', 'rcu', 'tables'] as const

/** `combination` with what it leaves out. */
export function wholeCombination(combination: Combination): WholeCombination {
  return { ...USUAL, ...combination }
}

/** `combination` without what is usual: equal combinations become equal objects. */
export function shortCombination({ design, arch, freeing, ...further }: Combination): Combination {
  return { design, arch, freeing, ...Object.fromEntries(notUsual(further)) }
}

/** The values that are not the usual ones, in the order of the axes. */
export function unusualValues(combination: Partial<Combination>): readonly string[] {
  return notUsual(combination).map(([, value]) => value)
}

function notUsual(combination: Partial<Combination>): readonly (readonly [axis: (typeof FURTHER)[number], value: string])[] {
  return FURTHER.flatMap((axis) => {
    const value = combination[axis]
    return value === undefined || value === USUAL[axis] ? [] : [[axis, value] as const]
  })
}

/** The policy of freeing page tables that is meant where none is named. */
export const USUAL_FREEING = 'rcu-batch'

/** The policy of `freeing`, where it is not the usual one, and behind it the values of further axes that are not. */
export function unusualChoices(chosen: Partial<Combination>): readonly string[] {
  const { freeing = USUAL_FREEING } = chosen
  return [...(freeing === USUAL_FREEING ? [] : [freeing]), ...unusualValues(chosen)]
}

/**
 * Whether the policy called `freeing` is one of its own on `arch`: policies about the halves of a page are another's equal where tables
 * are none.
 */
export function isDistinct(freeing: string, arch: string): boolean {
  const headBits = freeings.find(({ name }) => name === freeing)?.headBits !== undefined
  return !headBits || architectures.find(({ name }) => name === arch)?.fragments === Fragments.halves
}

/** `vma-lock, x86_64, rcu-batch`, and behind it what is not usual. */
export function combinationText(combination: Combination): string {
  return [combination.design, combination.arch, combination.freeing, ...unusualValues(combination)].join(', ')
}

/** The options of the command line that ask for `combination`. */
export function combinationFlags(combination: Combination): string {
  const { design, arch, freeing } = combination
  const more = notUsual(combination).map(([axis, value]) => ` --${axis} ${value}`)
  return `--design ${design} --arch ${arch} --freeing ${freeing}${more.join('')}`
}

/** Names of every value of the axes. */
export const AXES = Object.freeze({
  designs: Object.freeze(designs.map(({ name }) => name)),
  archs: Object.freeze(architectures.map(({ name }) => name)),
  freeing: Object.freeze(freeings.map(({ name }) => name)),
  indexes: Object.freeze(vmaIndexes.map(({ name }) => name)),
  rcus: Object.freeze(rcuFlavours.map(({ name }) => name)),
  tables: Object.freeze(tableAllocations.map(({ name }) => name)),
})

/** Whether `value` can stand on `axis`: one of its names, or on that of designs a file of the user's. */
export function isValue(axis: keyof typeof AXES, value: string): boolean {
  return AXES[axis].includes(value) || (axis === 'designs' && isDesignFile(value))
}

/**
 * What a recording is replayed on unless others are asked for: one table per page, sixteen per page with broadcast flushes, and
 * entries of two halves.
 */
export const FIRST_ARCHS: readonly string[] = Object.freeze(['x86_64', 'powerpc64-hash-64k', 'x86-pae'])

/** The designs about which a scenario that names none asks: forms of another, and drafts, are left out. */
export const USUAL_DESIGNS: readonly string[] = Object.freeze(
  designs.filter(({ formOf, draft }) => formOf === undefined && draft !== true).map(({ name }) => name),
)

/** Whether a scenario that names no designs asks about `design` on `arch`. */
export function isUsual(design: string, arch: string): boolean {
  return designs.find(({ name }) => name === design)?.usualArchs?.includes(arch) ?? true
}

/** Whether the architecture called `name` flushes other CPUs' TLBs by IPI, which a CPU with interrupts off holds up; else by broadcast. */
export function flushesByIpi(name: string): boolean {
  return architectures.find((arch) => arch.name === name)?.invalidate === Invalidate.ipi
}

/** Names of each axis as a message calls it. */
export const AXIS_NAMES = Object.freeze({
  designs: 'design',
  archs: 'architecture',
  freeing: 'freeing policy',
  indexes: 'VMA index',
  rcus: 'RCU flavour',
  tables: 'table allocation',
})

/** Which list of a scenario, or of what is wanted, names values of which axis. */
export const LISTS = Object.freeze({
  designs: 'design',
  archs: 'arch',
  freeing: 'freeing',
  indexes: 'index',
  rcus: 'rcu',
  tables: 'tables',
} as const)
