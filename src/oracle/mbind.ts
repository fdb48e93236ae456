// mbind: the mappings of a range get a memory policy, or lose it. Where pages lie is not the model's: it knows which node they had better
// come from.
import * as c from './constants.ts'
import { modifyPolicy } from './merge.ts'
import { findVma, pageAlign, type Space } from './space.ts'

/**
 * mbind(2) with MPOL_PREFERRED and one node, or (`node` undefined) with MPOL_DEFAULT.
 *
 * @returns 0; -EINVAL for an unaligned address; -EFAULT, nothing changed, for a hole in the range, or, with MPOL_DEFAULT, if nothing in it
 * is mapped.
 */
export function mbind(space: Space, address: number, length: number, node: number | undefined): number {
  if (address % space.layout.pageSize !== 0) return -c.EINVAL
  const end = address + pageAlign(space.layout, length)
  const mapped = space.vmas.filter((vma) => vma.start < end && vma.end > address)
  const covered = mapped.reduce((sum, vma) => sum + Math.min(vma.end, end) - Math.max(vma.start, address), 0)
  if (end > address && (node === undefined ? covered === 0 : covered < end - address)) return -c.EFAULT
  for (let at = address; at < end; ) {
    const vma = findVma(space, at)
    if (vma === undefined || vma.start >= end) break
    const from = Math.max(vma.start, at)
    at = vma.policy === node ? vma.end : modifyPolicy(space, vma, from, Math.min(vma.end, end), node).end
  }
  return 0
}
