// The locking designs that a machine can have, by number. A machine records the number: append, never reorder.
import type { Design } from './design.ts'
import { mmapLock } from './mmap-lock.ts'
import { speculative, speculativeFile, speculativeIrq } from './speculative.ts'
import { vmaLock } from './vma-lock.ts'

/** Every built-in design. */
export const designs: readonly Design[] = Object.freeze([mmapLock, vmaLock, speculative, speculativeIrq, speculativeFile])
