// When a VMA gets an anon_vma, from whom, and what fork does to it. Merging depends on all of this.
// Facts: Linux 6.18 mm/rmap.c (anon_vma_prepare, anon_vma_fork) and mm/vma.c (find_mergeable_anon_vma).

import { VM_ACCESS_FLAGS } from './constants.ts'
import { findVmaIndex, type Space } from './space.ts'
import type { AnonVma, Vma } from './vma.ts'

let lastId = 0

function newAnonVma(forked: boolean): AnonVma {
  lastId++
  return { id: lastId, forked }
}

/** Two touching VMAs that mprotect could make mergeable may share an anon_vma from the start. */
function compatible(space: Space, lower: Vma, upper: Vma): boolean {
  return (
    lower.end === upper.start &&
    lower.file === upper.file &&
    ((lower.flags ^ upper.flags) & ~VM_ACCESS_FLAGS) === 0 &&
    upper.pgoff === lower.pgoff + (upper.start - lower.start) / space.layout.pageSize
  )
}

/** Gives `vma` an anon_vma if it has none: the upper neighbour's, else the lower's, else a new one. */
export function anonVmaPrepare(space: Space, vma: Vma): void {
  if (vma.anonVma !== undefined) return
  const index = findVmaIndex(space, vma.start)
  const next = space.vmas[index + 1]
  const prev = space.vmas[index - 1]
  if (next?.anonVma !== undefined && !next.anonVma.forked && compatible(space, vma, next)) {
    vma.anonVma = next.anonVma
  } else if (prev?.anonVma !== undefined && !prev.anonVma.forked && compatible(space, prev, vma)) {
    vma.anonVma = prev.anonVma
  } else {
    vma.anonVma = newAnonVma(false)
  }
}

/** The anon_vma of the child's copy: a new one chained behind the parent's; none if the parent has none. */
export function anonVmaFork(parent: Vma): AnonVma | undefined {
  return parent.anonVma === undefined ? undefined : newAnonVma(true)
}
