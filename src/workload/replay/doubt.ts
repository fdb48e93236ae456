// What is not certain after a race: for single pages the values that they may hold, for ranges the mappings that may be there.
// Whatever happens to such pages later without a race makes them certain again.
import { copyRanges, createRanges, type RangeMap, setRange, visitRanges } from '../program/ranges.ts'

/** Values that a page may hold; `any`: whatever some write to it stored, or nothing. */
export type Values = ReadonlySet<number> | 'any'
/** Descriptions of mappings that may be there; `*` stands for every one. */
export type Mappings = ReadonlySet<string>

/** The doubts about one address space. */
export interface Doubt {
  readonly values: Map<number, Values>
  readonly mappings: RangeMap<Mappings>
}

/** No doubt. */
export function createDoubt(): Doubt {
  return { values: new Map(), mappings: createRanges() }
}

/** What fork gives the child. */
export function copyDoubt(from: Doubt): Doubt {
  return { values: new Map(from.values), mappings: copyRanges(from.mappings) }
}

/** Pages [start, end) hold what they are known to hold. */
export function settleValues(doubt: Doubt, start: number, end: number): void {
  if (doubt.values.size === 0) return
  if (end - start < doubt.values.size) for (let page = start; page < end; page++) doubt.values.delete(page)
  else for (const page of doubt.values.keys()) if (page >= start && page < end) doubt.values.delete(page)
}

/** Pages [start, end) are mapped as they are known to be. */
export function settleMappings(doubt: Doubt, start: number, end: number): void {
  if (doubt.mappings.blocks.length > 0) setRange(doubt.mappings, start, end, undefined)
}

/** Pages [start, end) may be mapped in these ways as well. */
export function doubtMappings(doubt: Doubt, start: number, end: number, mappings: Mappings): void {
  const pieces: [number, number, Mappings][] = []
  visitRanges(doubt.mappings, start, end, (from, to, known) => {
    pieces.push([from, to, known === undefined ? mappings : new Set([...known, ...mappings])])
  })
  for (const [from, to, set] of pieces) setRange(doubt.mappings, from, to, set)
}

/** Whether anything in [start, end) is doubtful. */
export function mappingsDoubted(doubt: Doubt, start: number, end: number): boolean {
  if (doubt.mappings.blocks.length === 0) return false
  let doubted = false
  visitRanges(doubt.mappings, start, end, (_from, _to, set) => {
    if (set !== undefined) doubted = true
  })
  return doubted
}

/** Whether all of [start, end) may be mapped as `found` says. */
export function mappingAllowed(doubt: Doubt, start: number, end: number, found: string): boolean {
  let allowed = doubt.mappings.blocks.length > 0
  visitRanges(doubt.mappings, start, end, (_from, _to, set) => {
    if (set === undefined || !(set.has('*') || set.has(found))) allowed = false
  })
  return allowed
}
