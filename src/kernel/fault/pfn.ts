// The fault on device memory, as its driver handles it: vmf_insert_pfn of a page that is the driver's. The entry is special: it says which
// frame, and nobody counts it.
import { design } from '../design/design.ts'
import { load, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { fileInode } from '../memory/file.ts'
import { Inode } from '../memory/inode.ts'
import { Page, pageToPfn } from '../memory/page.ts'
import { Pte, pfnPte, pteNone, ptepGet, setPte } from '../pagetable/entries.ts'
import { pteUnmapUnlock } from '../pagetable/pte-offset-map.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { linearPageIndex, Vma } from '../vma/vma.ts'
import { pteFlags, writableFlags } from './anonymous.ts'
import { FaultFlag, VmFault } from './fault.ts'

/** The entry was none, and the VMA maps a device, shared. Returns bits of `VmFault`. */
export function doPfnFault(mm: number, vma: number, vpn: number, pmd: number, flags: number): number {
  const inode = fileInode(load(vma + Vma.file))
  const index = linearPageIndex(vma, vpn)
  // Until the entry is there: the driver who takes the page away first makes sure that nobody maps it any more, then looks for entries.
  spinLock(inode + Inode.deviceLock)
  const there = index >= 0 && index < load(inode + Inode.pages)
  if (there) insertPfn(mm, vma, vpn, pmd, pageToPfn(load(inode + Inode.device) + index * Page.size), flags)
  spinUnlock(inode + Inode.deviceLock)
  return there ? 0 : VmFault.sigbus
}

/** insert_pfn. The access is tried again in any case. */
function insertPfn(mm: number, vma: number, vpn: number, pmd: number, pfn: number, flags: number): void {
  const ptep = design.pteMapLock(mm, vma, pmd, vpn)
  if (ptep === 0) return
  const ptl = load(thisCpu() + Cpu.out1)
  const vmFlags = load(vma + Vma.flags)
  const rights = (flags & FaultFlag.write) !== 0 ? writableFlags(vmFlags) : pteFlags(vmFlags)
  if (pteNone(ptepGet(ptep))) setPte(ptep, pfnPte(pfn, rights | Pte.special))
  pteUnmapUnlock(ptep, ptl)
}
