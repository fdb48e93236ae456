// Splitting a VMA, and changing the flags of a part of one. mmap_lock is held for writing.
import { design } from '../design/design.ts'
import { Errno } from '../machine/errno.ts'
import { Global } from '../machine/globals.ts'
import { load, store } from '../machine/instructions.ts'
import { getFile } from '../memory/file.ts'
import { mpolGet } from '../memory/mempolicy.ts'
import { Mm } from '../memory/mm.ts'
import { anonVmaClone, unlinkAnonVmas } from './anon-vma.ts'
import { vmaSplitFile } from './i-mmap.ts'
import { vmaMergeExistingRange, vmgSet, vmgSetPolicy } from './merge.ts'
import { Vma, vmAreaDup } from './vma.ts'
import { vmaTreeLink } from './vma-tree.ts'

/**
 * split_vma: cuts `vma` at page `at`, strictly inside it. The lower part stays `vma`, the upper part is a new VMA.
 * Returns the new one, or -ENOMEM (also when the mm has as many VMAs as it may), nothing changed.
 */
export function splitVma(mm: number, vma: number, at: number): number {
  if (load(mm + Mm.mapCount) >= load(Global.maxMapCount)) return -Errno.ENOMEM
  const upper = vmAreaDup(vma, mm)
  if (upper === 0) return -Errno.ENOMEM
  store(upper + Vma.start, at)
  store(upper + Vma.pgoff, (load(vma + Vma.pgoff) + at - load(vma + Vma.start)) | 0)
  if (anonVmaClone(upper, vma, 1) !== 0) {
    design.vmaFree(upper)
    return -Errno.ENOMEM
  }
  design.vmaStartWrite(vma)
  // Nobody can lock the upper part before the writer is done.
  design.vmaStartWrite(upper)
  design.vmaAttach(upper)
  const error = vmaTreeLink(mm, upper)
  if (error !== 0) {
    design.vmaDetach(upper)
    unlinkAnonVmas(upper)
    design.vmaFree(upper)
    return error
  }
  if (load(upper + Vma.file) !== 0) getFile(load(upper + Vma.file))
  mpolGet(load(upper + Vma.policy))
  vmaSplitFile(vma, upper, at)
  store(mm + Mm.mapCount, load(mm + Mm.mapCount) + 1)
  return upper
}

/**
 * vma_modify_flags: finds or makes the VMA for the pages from `start` to `end` of `vma` once they have `flags`: by merging
 * with a neighbour that has them, else by splitting. The caller sets the flags. Returns the VMA, write-locked; or -errno.
 */
export function vmaModifyFlags(mm: number, vma: number, start: number, end: number, flags: number): number {
  const pgoff = (load(vma + Vma.pgoff) + start - load(vma + Vma.start)) | 0
  vmgSet(mm, start, end, flags, pgoff, load(vma + Vma.file), vma)
  return vmaModify(mm, vma, start, end)
}

/**
 * vma_modify_policy: the same for pages that are about to go by `policy` (0: none). The caller gives it to the VMA; contract otherwise as
 * `vmaModifyFlags`.
 */
export function vmaModifyPolicy(mm: number, vma: number, start: number, end: number, policy: number): number {
  const pgoff = (load(vma + Vma.pgoff) + start - load(vma + Vma.start)) | 0
  vmgSet(mm, start, end, load(vma + Vma.flags), pgoff, load(vma + Vma.file), vma)
  vmgSetPolicy(policy)
  return vmaModify(mm, vma, start, end)
}

/** vma_modify: merges or splits for the range of `vma` that is described for the merge. */
function vmaModify(mm: number, vma: number, start: number, end: number): number {
  const merged = vmaMergeExistingRange(vma)
  if (merged !== 0) return merged
  let middle = vma
  if (load(middle + Vma.start) < start) {
    middle = splitVma(mm, middle, start)
    if (middle < 0) return middle
  }
  if (load(middle + Vma.end) > end) {
    const upper = splitVma(mm, middle, end)
    if (upper < 0) return upper
  }
  design.vmaStartWrite(middle)
  return middle
}
