// The architectures that a machine can have, by name. A machine records the index: append, never reorder.
import type { Arch } from './arch.ts'
import { powerpc64Hash64k } from './powerpc64-hash-64k.ts'
import { x86_64 } from './x86-64.ts'
import { x86Pae, x86PaeIrqsOffUntilUnmap, x86PaeIrqsOn } from './x86-pae.ts'

/** Every architecture, in the order of its number in a machine's globals. */
export const architectures: readonly Arch[] = Object.freeze([x86_64, powerpc64Hash64k, x86Pae, x86PaeIrqsOn, x86PaeIrqsOffUntilUnmap])
