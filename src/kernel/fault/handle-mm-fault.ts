// handle_mm_fault: from a VMA that the design has made stable to the entry that the access needs.

import { pteNone, ptePresent, ptepGet } from '../pagetable/entries.ts'
import { pmdAlloc, pteAlloc } from '../pagetable/levels.ts'
import { pteOffsetMap, pteUnmap } from '../pagetable/pte-offset-map.ts'
import { vmaIsAnonymous } from '../vma/vma.ts'
import { doAnonymousPage } from './anonymous.ts'
import { doWpPage, ptepSetAccess } from './copy-on-write.ts'
import { FaultFlag, VmFault } from './fault.ts'
import { doFileFault } from './file.ts'

/**
 * Handles a fault at page `vpn` of `vma`. The VMA is stable: mmap_lock or its own lock is held, as `flags` say (see
 * `FaultFlag`). May sleep. Returns bits of `VmFault`; with `retry`, the lock has been released.
 */
export function handleMmFault(mm: number, vma: number, vpn: number, flags: number): number {
  const pmd = pmdAlloc(mm, vpn)
  if (pmd === 0) return VmFault.oom
  let ptep = pteOffsetMap(pmd, vpn)
  if (ptep === 0) {
    if (pteAlloc(mm, pmd) !== 0) return VmFault.oom
    ptep = pteOffsetMap(pmd, vpn)
    // The table went between allocation and map: let the access be repeated.
    if (ptep === 0) return 0
  }
  const pte = ptepGet(ptep)
  pteUnmap(ptep)
  return handlePteFault(mm, vma, vpn, pmd, pte, flags)
}

/**
 * handle_pte_fault: the fault, once the tables are there. `pte` is the entry as it was a moment ago, below PMD slot `pmd`; what
 * is installed goes through `design.pteMapLock`. Contract otherwise as `handleMmFault`.
 */
export function handlePteFault(mm: number, vma: number, vpn: number, pmd: number, pte: number, flags: number): number {
  if (pteNone(pte)) return vmaIsAnonymous(vma) ? doAnonymousPage(mm, vma, vpn, pmd, flags) : doFileFault(mm, vma, vpn, pmd, flags)
  if (!ptePresent(pte)) return 0
  if ((flags & FaultFlag.write) !== 0) return doWpPage(mm, vma, vpn, pmd, pte, flags)
  return ptepSetAccess(mm, vma, vpn, pmd, pte)
}
