// mbind: gives the mappings of a range a memory policy, or takes it away. Pages that are there stay where they are; pages of files and of
// shared memory go by no policy (in Linux those of shared memory have one of their own).
import { Errno } from '../machine/errno.ts'
import { load, rcuAssignPointer } from '../machine/instructions.ts'
import { Mpol, mpolEqual, mpolGet, mpolNew, mpolPut, NODES } from '../memory/mempolicy.ts'
import { findVma } from '../vma/find-vma.ts'
import { mmapWriteLock, mmapWriteUnlock } from '../vma/mmap-lock.ts'
import { vmaModifyPolicy } from '../vma/split.ts'
import { Vma } from '../vma/vma.ts'
import { enterKernel, exitKernel } from './entry.ts'

/**
 * mbind of `pages` pages from page `start`: with `Mpol.preferred` their pages come from `node` (0 or 1) if it has some, with `Mpol.default`
 * from anywhere. Returns 0; -EINVAL for another mode or node; -EFAULT, nothing changed, for a hole (`Mpol.default`: if nothing is
 * mapped); -ENOMEM, what lies before is changed.
 */
export function sysMbind(mm: number, start: number, pages: number, mode: number, node: number): number {
  if (mode !== Mpol.default && (mode !== Mpol.preferred || node < 0 || node >= NODES)) return -Errno.EINVAL
  if (pages === 0) return 0
  enterKernel()
  const policy = mode === Mpol.default ? 0 : mpolNew(node)
  let result = -Errno.ENOMEM
  if (mode === Mpol.default || policy !== 0) {
    mmapWriteLock(mm)
    result = checkRange(mm, start, start + pages, mode)
    if (result === 0) result = bindRange(mm, start, start + pages, policy)
    mmapWriteUnlock(mm)
  }
  mpolPut(policy)
  exitKernel()
  return result
}

/** queue_pages_range, as far as it looks at mappings. Returns 0 or -EFAULT. */
function checkRange(mm: number, start: number, end: number, mode: number): number {
  let at = start
  while (at < end) {
    const vma = findVma(mm, at)
    const from = vma === 0 ? end : load(vma + Vma.start)
    if (from >= end && at === start) return -Errno.EFAULT
    if (from > at && mode !== Mpol.default) return -Errno.EFAULT
    if (from >= end) return 0
    at = load(vma + Vma.end)
  }
  return 0
}

function bindRange(mm: number, start: number, end: number, policy: number): number {
  let vma = findVma(mm, start)
  while (vma !== 0 && load(vma + Vma.start) < end) {
    const target = mbindRange(mm, vma, Math.max(start, load(vma + Vma.start)), Math.min(end, load(vma + Vma.end)), policy)
    if (target < 0) return target
    vma = findVma(mm, load(target + Vma.end))
  }
  return 0
}

/** mbind_range: gives `policy` to the pages from `start` to `end` of `vma`. Returns the VMA that holds them now, or -ENOMEM. */
function mbindRange(mm: number, vma: number, start: number, end: number, policy: number): number {
  if (mpolEqual(load(vma + Vma.policy), policy)) return vma
  const target = vmaModifyPolicy(mm, vma, start, end, policy)
  if (target >= 0) vmaReplacePolicy(target, policy)
  return target
}

/** vma_replace_policy. The VMA is write-locked; faults that hold nothing but RCU may be looking at its old policy. */
function vmaReplacePolicy(vma: number, policy: number): void {
  const old = load(vma + Vma.policy)
  if (mpolEqual(old, policy)) return
  mpolGet(policy)
  rcuAssignPointer(vma + Vma.policy, policy)
  mpolPut(old)
}
