// Users of a reference count: an object (its count, whether it is alive, how often it was freed) that each holder may free.
import { atomicAdd, readOnce, writeOnce } from '../../kernel/machine/instructions.ts'
import { struct } from '../../kernel/machine/struct.ts'
import { refcountDecAndTest, refcountInc, refcountIncNotZero } from '../../kernel/sync/refcount.ts'

export const Counted = struct({ count: 1, alive: 1, freed: 1 })

/** What calls return: all is well, there was no object any more, a dead object was used, an object was freed twice. */
export const Saw = Object.freeze({ well: 0, none: 1, dead: 2, freedTwice: 3 })

/** Makes `object` one that is alive and has `count` references. */
export function make(object: number, count: number): number {
  writeOnce(object + Counted.count, count)
  writeOnce(object + Counted.alive, 1)
  return 0
}

/** Drops a reference, and frees the object with the last one. */
export function put(object: number): number {
  if (refcountDecAndTest(object + Counted.count) === 0) return Saw.well
  writeOnce(object + Counted.alive, 0)
  return atomicAdd(object + Counted.freed, 1) === 1 ? Saw.well : Saw.freedTwice
}

/** Finds the object without a reference, takes one if it still can, uses it and drops it. */
export function getAndPut(object: number): number {
  if (refcountIncNotZero(object + Counted.count) === 0) return Saw.none
  if (readOnce(object + Counted.alive) === 0) return Saw.dead
  return put(object)
}

/** Has a reference, takes another one, and drops both. */
export function shareAndPut(object: number): number {
  refcountInc(object + Counted.count)
  const first = put(object)
  if (readOnce(object + Counted.alive) === 0) return Saw.dead
  return first !== Saw.well ? first : put(object)
}
