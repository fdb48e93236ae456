// The architectures that a machine can have: every exported Arch of this room, by file. A machine records the index.
// Written by scripts/registry.mjs when the project is built.
import type { Arch } from './arch.ts'
import { powerpc64Hash64k } from './powerpc64-hash-64k.ts'
import { s390, s390FiveLevel, s390FourLevel } from './s390.ts'
import { x86_64 } from './x86-64.ts'
import { x86Pae, x86PaeIrqsOffUntilUnmap, x86PaeIrqsOn } from './x86-pae.ts'

/** Every one, in the order of its number in a machine's globals. */
export const architectures: readonly Arch[] = Object.freeze([
  powerpc64Hash64k,
  s390,
  s390FourLevel,
  s390FiveLevel,
  x86_64,
  x86Pae,
  x86PaeIrqsOn,
  x86PaeIrqsOffUntilUnmap,
])
