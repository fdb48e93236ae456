// The architectures that a machine can have: every exported Arch of this room, by file. A machine records the index.
// Written by scripts/registry.mjs when the project is built.
import type { Arch } from './arch.ts'
import { arm64Pages16k, arm64Pages4k, arm64Pages64k } from './arm64.ts'
import { powerpc64Hash64k } from './powerpc64-hash-64k.ts'
import { powerpc64Radix64k } from './powerpc64-radix-64k.ts'
import { s390, s390FiveLevel, s390FourLevel } from './s390.ts'
import { sparc64 } from './sparc64.ts'
import { x86_64FiveLevels } from './x86-64-5level.ts'
import { x86_64 } from './x86-64.ts'
import { x86Pae, x86PaeIrqsOffUntilUnmap, x86PaeIrqsOn } from './x86-pae.ts'

/** Every one, in the order of its number in a machine's globals. */
export const architectures: readonly Arch[] = Object.freeze([
  arm64Pages4k,
  arm64Pages16k,
  arm64Pages64k,
  powerpc64Hash64k,
  powerpc64Radix64k,
  s390,
  s390FourLevel,
  s390FiveLevel,
  sparc64,
  x86_64FiveLevels,
  x86_64,
  x86Pae,
  x86PaeIrqsOn,
  x86PaeIrqsOffUntilUnmap,
])
