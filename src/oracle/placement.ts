// Where a mapping without a fixed address goes: the hint if it is free, else the highest gap that is
// large enough, filled from its top (x86's arch_get_unmapped_area_topdown).

import { EINVAL, ENOMEM } from './constants.ts'
import { findVma, findVmaIndex, type Layout, type Space } from './space.ts'
import type { Vma } from './vma.ts'

/** The hint as do_mmap sees it: rounded down to a page, and not below the lowest mappable address. */
export function roundHint(layout: Layout, hint: number): number {
  const page = Math.floor(hint / layout.pageSize) * layout.pageSize
  return page !== 0 && page < layout.base ? layout.base : page
}

/** The highest free range of `length` bytes in [base, limit), or -ENOMEM. */
function highestGap(space: Space, length: number): number {
  const { base, limit } = space.layout
  let top = limit
  for (let index = findVmaIndex(space, limit - 1); index >= 0; index--) {
    const vma = space.vmas[index] as Vma | undefined
    if (vma === undefined) continue
    if (vma.end < top && top - vma.end >= length && vma.end >= base) return top - length
    if (vma.start < top) top = vma.start
  }
  return top - base >= length ? top - length : -ENOMEM
}

/**
 * The address of a new mapping (get_unmapped_area).
 *
 * @param hint wanted address in bytes; 0 for none. With `fixed` it is taken as it is.
 * @returns the address, -ENOMEM if nothing fits, -EINVAL if a fixed address is not page aligned.
 */
export function getUnmappedArea(space: Space, hint: number, length: number, fixed: boolean): number {
  const { taskSize, pageSize, base, end } = space.layout
  if (length > taskSize) return -ENOMEM
  if (fixed) {
    if (hint > taskSize - length) return -ENOMEM
    return hint % pageSize === 0 ? hint : -EINVAL
  }
  const wanted = Math.floor(hint / pageSize) * pageSize
  if (wanted >= base && wanted <= end - length && wanted !== 0) {
    const next = findVma(space, wanted)
    if (next === undefined || wanted + length <= next.start) return wanted
  }
  return highestGap(space, length)
}
