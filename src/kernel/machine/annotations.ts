// Annotations: what the kernel says about itself to the checker. Natively each is empty and V8 inlines it away; the
// stepped build puts its own file here.

/** `count` words at `p` now belong to whoever allocated them, as a `kind` of object (see `Kind`). */
export function allocated(_p: number, _count: number, _kind: number): void {}
/** The words at `p` went back to their allocator. Any later access by a section that did not see them die is a bug. */
export function freed(_p: number, _count: number, _kind: number): void {}
/** The executing CPU holds lock `p` (`exclusive` 1 for writers and spinlocks). */
export function lockAcquired(_p: number, _exclusive: number): void {}
/** The executing CPU no longer holds lock `p`. */
export function lockReleased(_p: number): void {}
/** An RCU read-side section begins on the executing CPU. */
export function rcuReadEnter(): void {}
/** It ends. */
export function rcuReadExit(): void {}
/** `head` was given to `call_rcu`. */
export function rcuQueued(_head: number): void {}
/** The callback of `head` is about to be called: the head is queued no more. */
export function rcuInvoked(_head: number): void {}
/** The executing CPU maps the table of entry `p` for itself (kmap_local), or `kunmapLocal` undoes it. */
export function kmapLocal(_p: number): void {}
/** Undoes the latest `kmapLocal` that is not undone yet: another order is an error where tables lie in high memory. */
export function kunmapLocal(_p: number): void {}
/** The executing CPU may sleep here: an error inside RCU, irq-off or spinlock sections. */
export function mightSleep(): void {}
/** Mark `n` of a kernel in which places are marked (see src/check/ablate/marks.ts) is executed. Always true. */
export function reached(_n: number): boolean {
  return true
}

/** Kinds of allocation that the annotations name. `tablePart`: a table within a page of tables, not poisoned when it is freed. */
export const Kind = Object.freeze({ page: 1, table: 2, slab: 3, typesafeSlab: 4, tablePart: 5 })
