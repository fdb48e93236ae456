// Annotations in the stepped build: same names as the native file, handed to the observer with their place. Marks are noted here,
// also while code runs again: whoever reads them has seen it run before.
import { marks, observer } from './announce.ts'
import { Op } from './ops.ts'

/** See the native file. */
export function allocated(p: number, count: number, kind: number, site: number): void {
  if (observer !== null) observer(Op.allocated, p, count, kind, site)
}
/** See the native file. */
export function freed(p: number, count: number, kind: number, site: number): void {
  if (observer !== null) observer(Op.freed, p, count, kind, site)
}
/** See the native file. */
export function lockAcquired(p: number, exclusive: number, site: number): void {
  if (observer !== null) observer(Op.lockAcquired, p, exclusive, 0, site)
}
/** See the native file. */
export function lockReleased(p: number, site: number): void {
  if (observer !== null) observer(Op.lockReleased, p, 0, 0, site)
}
/** See the native file. */
export function rcuReadEnter(site: number): void {
  if (observer !== null) observer(Op.rcuReadEnter, 0, 0, 0, site)
}
/** See the native file. */
export function rcuReadExit(site: number): void {
  if (observer !== null) observer(Op.rcuReadExit, 0, 0, 0, site)
}
/** See the native file. */
export function rcuQueued(head: number, site: number): void {
  if (observer !== null) observer(Op.rcuQueued, head, 0, 0, site)
}
/** See the native file. */
export function rcuInvoked(head: number, site: number): void {
  if (observer !== null) observer(Op.rcuInvoked, head, 0, 0, site)
}
/** See the native file. */
export function kmapLocal(p: number, site: number): void {
  if (observer !== null) observer(Op.kmapLocal, p, 0, 0, site)
}
/** See the native file. */
export function kunmapLocal(p: number, site: number): void {
  if (observer !== null) observer(Op.kunmapLocal, p, 0, 0, site)
}
/** See the native file. */
export function mightSleep(site: number): void {
  if (observer !== null) observer(Op.mightSleep, 0, 0, 0, site)
}
/** See the native file. */
export function reached(n: number): boolean {
  marks[n] = 1
  return true
}

/** Kinds of allocation that the annotations name. */
export const Kind = Object.freeze({ page: 1, table: 2, slab: 3, typesafeSlab: 4, tablePart: 5 })
