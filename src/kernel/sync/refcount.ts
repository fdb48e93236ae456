// Reference counts with the "not from zero" rule: an object whose count is 0 is dead and must not come back.
import { atomicAdd, cmpxchg, readOnce } from '../machine/instructions.ts'

/** refcount_inc_not_zero. Returns 1, or 0 if the object is already dying. */
export function refcountIncNotZero(p: number): number {
  let old = readOnce(p)
  for (;;) {
    if (old === 0) return 0
    const seen = cmpxchg(p, old, old + 1)
    if (seen === old) return 1
    old = seen
  }
}

/** refcount_inc: the caller already has a reference. */
export function refcountInc(p: number): void {
  atomicAdd(p, 1)
}

/** refcount_dec_and_test. Returns 1 if the caller's reference was the last. */
export function refcountDecAndTest(p: number): number {
  return atomicAdd(p, -1) === 0 ? 1 : 0
}
