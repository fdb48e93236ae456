// Anonymous memory: the zero page for a read, a fresh zeroed page for a write.
import { PAGE_WORDS } from '../arch/arch.ts'
import { design } from '../design/design.ts'
import { Global } from '../machine/globals.ts'
import { load, readOnce, thisCpu, zeroPage } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { addMmCounter, Rss } from '../memory/mm.ts'
import { pageToPfn, pageToVirt } from '../memory/page.ts'
import { addNewAnonRmap, putPage } from '../memory/rmap.ts'
import { Pte, pfnPte, pteNone, ptepGet, setPte } from '../pagetable/entries.ts'
import { pteUnmapUnlock } from '../pagetable/pte-offset-map.ts'
import { anonVmaPrepare } from '../vma/anon-vma.ts'
import { linearPageIndex, Vm, Vma } from '../vma/vma.ts'
import { allocFaultPage } from './alloc-page.ts'
import { FaultFlag, VmFault } from './fault.ts'

/** The flags of an entry that gives what VMA flags allow, less the right to write (vm_page_prot). */
export function pteFlags(vmFlags: number): number {
  if ((vmFlags & Vm.access) === 0) return Pte.protnone | Pte.accessed
  return Pte.present | Pte.accessed | ((vmFlags & Vm.exec) !== 0 ? Pte.exec : 0)
}

/** maybe_mkwrite for a dirty entry of one's own page. */
export function writableFlags(vmFlags: number): number {
  return pteFlags(vmFlags) | Pte.dirty | ((vmFlags & Vm.write) !== 0 ? Pte.write : 0)
}

/**
 * vmf_anon_prepare: gives the VMA an anon_vma. That looks at neighbours, so a fault that holds only the VMA's lock must
 * come back under mmap_lock. Returns 0, or `VmFault.retry` (released) or `VmFault.oom`.
 */
export function vmfAnonPrepare(mm: number, vma: number, flags: number): number {
  if (readOnce(vma + Vma.anonVma) !== 0) return 0
  if ((flags & FaultFlag.vmaLock) !== 0) {
    design.releaseFault(mm, vma, flags)
    return VmFault.retry
  }
  return anonVmaPrepare(mm, vma) === 0 ? 0 : VmFault.oom
}

/** do_anonymous_page. The entry was none; returns bits of `VmFault`. */
export function doAnonymousPage(mm: number, vma: number, vpn: number, pmd: number, flags: number): number {
  const vmFlags = load(vma + Vma.flags)
  if ((vmFlags & Vm.userfault) !== 0) return VmFault.userfault
  if ((flags & FaultFlag.write) === 0) {
    const ptep = design.pteMapLock(mm, vma, pmd, vpn)
    if (ptep === 0) return 0
    const ptl = load(thisCpu() + Cpu.out1)
    if (pteNone(ptepGet(ptep))) setPte(ptep, pfnPte(load(Global.zeroPfn), pteFlags(vmFlags) | Pte.special))
    pteUnmapUnlock(ptep, ptl)
    return 0
  }
  const prepared = vmfAnonPrepare(mm, vma, flags)
  if (prepared !== 0) return prepared
  const page = allocFaultPage(vma, flags)
  if (page < 0) return -page
  zeroPage(pageToVirt(page), PAGE_WORDS)
  return installAnonPage(mm, vma, vpn, pmd, page)
}

/**
 * Maps the fresh page, which belongs to the fault alone, where the entry is still none; takes over its reference. The VMA has
 * an anon_vma. Returns 0: the access is tried again in any case.
 */
export function installAnonPage(mm: number, vma: number, vpn: number, pmd: number, page: number): number {
  const ptep = design.pteMapLock(mm, vma, pmd, vpn)
  if (ptep === 0) {
    putPage(page)
    return 0
  }
  const ptl = load(thisCpu() + Cpu.out1)
  const mine = pteNone(ptepGet(ptep))
  if (mine) {
    addNewAnonRmap(page, readOnce(vma + Vma.anonVma), linearPageIndex(vma, vpn))
    addMmCounter(mm, Rss.anon, 1)
    setPte(ptep, pfnPte(pageToPfn(page), writableFlags(load(vma + Vma.flags))))
  }
  pteUnmapUnlock(ptep, ptl)
  // Another CPU was faster: its page is the one.
  if (!mine) putPage(page)
  return 0
}
