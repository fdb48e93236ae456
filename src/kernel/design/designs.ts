// The locking designs that a machine can have: every exported Design of this room, by file. A machine records the index.
// Written by scripts/registry.mjs when the project is built.
import type { Design } from './design.ts'
import { mmapLock, mmapLockHeld } from './mmap-lock.ts'
import { rcuFault, rcuFaultDropsLock } from './rcu-fault.ts'
import { speculative, speculativeFile, speculativeIrq } from './speculative.ts'
import { srcuPrototype } from './srcu-prototype.ts'
import { srcu, srcuSync } from './srcu.ts'
import { vmaLockSeq } from './vma-lock-seq.ts'
import { vmaLock } from './vma-lock.ts'

/** Every one, in the order of its number in a machine's globals. */
export const designs: readonly Design[] = Object.freeze([
  mmapLock,
  mmapLockHeld,
  rcuFault,
  rcuFaultDropsLock,
  speculative,
  speculativeIrq,
  speculativeFile,
  srcuPrototype,
  srcu,
  srcuSync,
  vmaLockSeq,
  vmaLock,
])
