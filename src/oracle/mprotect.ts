// mprotect: VMA by VMA from the left, keeping what was done when it has to stop.

import * as c from './constants.ts'
import { modifyFlags } from './merge.ts'
import { findVmaIndex, pageAlign, type Space } from './space.ts'
import { type Vma, vmaIsAnonymous } from './vma.ts'

/**
 * The VM_* bits after mprotect, including VM_ACCOUNT: a private mapping that becomes writable is charged
 * from then on; anonymous memory that stops being writable before its first fault is uncharged. Mappings
 * that are charged and not charged do not merge, so this shows in /proc/self/maps.
 */
function protectedFlags(vma: Vma, prot: number): number {
  const old = vma.flags
  const flags = (old & ~c.VM_ACCESS_FLAGS) | (prot & c.VM_ACCESS_FLAGS)
  if (flags === old) return flags
  if ((flags & c.VM_WRITE) !== 0) {
    const charged = (old & (c.VM_ACCOUNT | c.VM_WRITE | c.VM_SHARED | c.VM_NORESERVE)) !== 0
    return charged ? flags : flags | c.VM_ACCOUNT
  }
  return vmaIsAnonymous(vma) && vma.anonVma === undefined ? flags & ~c.VM_ACCOUNT : flags
}

/** True if the VM_MAY* bits refuse what `prot` asks for. */
function denied(vma: Vma, prot: number): boolean {
  return (prot & c.VM_ACCESS_FLAGS & ~(vma.flags >> 4)) !== 0
}

/**
 * mprotect(2).
 *
 * @returns 0; -EINVAL for an unaligned address; -ENOMEM if the range begins in a hole (nothing is
 * changed) or has one (what lies before the hole is changed); -EACCES if a VMA refuses `prot` (the ones
 * before it are changed).
 */
export function mprotect(space: Space, address: number, length: number, prot: number): number {
  if (address % space.layout.pageSize !== 0) return -c.EINVAL
  if (length === 0) return 0
  const end = address + pageAlign(space.layout, length)
  let at = address
  while (at < end) {
    const vma = space.vmas[findVmaIndex(space, at)]
    if (vma === undefined || vma.start > at) return -c.ENOMEM
    if (denied(vma, prot)) return -c.EACCES
    const flags = protectedFlags(vma, prot)
    const stop = Math.min(vma.end, end)
    at = flags === vma.flags ? vma.end : modifyFlags(space, vma, at, stop, flags).end
  }
  return 0
}
