// do_wp_page: a write to a page that is mapped without the right to write. The page is taken over if nobody else has it,
// else copied; shared file pages are made writable and dirty.
import { PAGE_WORDS } from '../arch/arch.ts'
import { design } from '../design/design.ts'
import { atomicOr, copyPage, load, readOnce, thisCpu, writeOnce, zeroPage } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { addMmCounter, Rss } from '../memory/mm.ts'
import { copyLivePage, Page, PageFlag, pageToPfn, pageToVirt, pfnToPage } from '../memory/page.ts'
import { inodeRss } from '../memory/page-cache.ts'
import { addNewAnonRmap, getPage, pageAnon, pageRefs, putPage, removeRmap } from '../memory/rmap.ts'
import { Pte, pfnPte, ptePfn, ptePresent, ptepGet, ptepGetAndClear, ptepTryReplace, setPte } from '../pagetable/entries.ts'
import { pteUnmapUnlock } from '../pagetable/pte-offset-map.ts'
import { flushTlbMmRange } from '../pagetable/tlb-flush.ts'
import { linearPageIndex, Vm, Vma } from '../vma/vma.ts'
import { allocFaultPage } from './alloc-page.ts'
import { vmfAnonPrepare, writableFlags } from './anonymous.ts'

/** Sets accessed in an entry that allows the access already: the hardware may have lost a race with another CPU. */
export function ptepSetAccess(mm: number, vma: number, vpn: number, pmd: number, pte: number): number {
  const ptep = design.pteMapLock(mm, vma, pmd, vpn)
  if (ptep === 0) return 0
  const ptl = load(thisCpu() + Cpu.out1)
  // PROT_NONE entries become present again when the VMA allows access; see `changeProtection`.
  if (ptepGet(ptep) === pte && (pte & Pte.present) !== 0) ptepTryReplace(ptep, pte, pte | Pte.accessed)
  pteUnmapUnlock(ptep, ptl)
  return 0
}

/** Whether an anonymous page may be written in place: known to be exclusive, or nobody else has a reference. */
function mayReuse(page: number): boolean {
  if (!pageAnon(page)) return false
  if ((readOnce(page + Page.flags) & PageFlag.anonExclusive) !== 0) return true
  return pageRefs(page) === 1
}

/** do_wp_page. The VMA allows writing; the entry `pte` was present. Returns bits of `VmFault`. */
export function doWpPage(mm: number, vma: number, vpn: number, pmd: number, pte: number, flags: number): number {
  const vmFlags = load(vma + Vma.flags)
  const ptep = design.pteMapLock(mm, vma, pmd, vpn)
  if (ptep === 0) return 0
  const ptl = load(thisCpu() + Cpu.out1)
  const now = ptepGet(ptep)
  if (!ptePresent(now) || ptePfn(now) !== ptePfn(pte) || (now & Pte.write) !== 0) {
    // Changed meanwhile, or writable already: set dirty for the hardware and let the access be repeated.
    if ((now & (Pte.present | Pte.write)) === (Pte.present | Pte.write)) ptepTryReplace(ptep, now, now | Pte.accessed | Pte.dirty)
    pteUnmapUnlock(ptep, ptl)
    return 0
  }
  const page = pfnToPage(ptePfn(now))
  const special = (now & Pte.special) !== 0
  if ((vmFlags & Vm.shared) !== 0 || (!special && mayReuse(page))) {
    if ((vmFlags & Vm.shared) !== 0) atomicOr(page + Page.flags, PageFlag.dirty)
    else writeOnce(page + Page.flags, load(page + Page.flags) | PageFlag.anonExclusive)
    // The hardware may set accessed at the same time.
    while (!ptepTryReplace(ptep, ptepGet(ptep), (ptepGet(ptep) & ~Pte.protnone) | writableFlags(vmFlags)));
    pteUnmapUnlock(ptep, ptl)
    return 0
  }
  if (!special) getPage(page)
  pteUnmapUnlock(ptep, ptl)
  const result = wpPageCopy(mm, vma, vpn, pmd, now, flags)
  if (!special) putPage(page)
  return result
}

/** wp_page_copy: replaces the page behind entry `old`, to which the caller has a reference, by a copy. */
function wpPageCopy(mm: number, vma: number, vpn: number, pmd: number, old: number, flags: number): number {
  const prepared = vmfAnonPrepare(mm, vma, flags)
  if (prepared !== 0) return prepared
  const copy = allocFaultPage(vma, flags)
  if (copy < 0) return -copy
  const page = pfnToPage(ptePfn(old))
  const special = (old & Pte.special) !== 0
  if (special) zeroPage(pageToVirt(copy), PAGE_WORDS)
  else if (pageAnon(page)) copyPage(pageToVirt(copy), pageToVirt(page), PAGE_WORDS)
  // Others may write to the file through shared mappings.
  else copyLivePage(pageToVirt(copy), pageToVirt(page))
  const ptep = design.pteMapLock(mm, vma, pmd, vpn)
  if (ptep === 0) {
    putPage(copy)
    return 0
  }
  const ptl = load(thisCpu() + Cpu.out1)
  const now = ptepGet(ptep)
  if (!ptePresent(now) || ptePfn(now) !== ptePfn(old) || (now & Pte.write) !== 0) {
    pteUnmapUnlock(ptep, ptl)
    putPage(copy)
    return 0
  }
  // Clear, flush, then set: no CPU may write to the copy while another still reads the old page through its TLB.
  ptepGetAndClear(ptep)
  flushTlbMmRange(mm, vpn, vpn + 1)
  addNewAnonRmap(copy, readOnce(vma + Vma.anonVma), linearPageIndex(vma, vpn))
  setPte(ptep, pfnPte(pageToPfn(copy), writableFlags(load(vma + Vma.flags))))
  if (special) addMmCounter(mm, Rss.anon, 1)
  else {
    removeRmap(page)
    if (!pageAnon(page)) {
      addMmCounter(mm, inodeRss(load(page + Page.mapping)), -1)
      addMmCounter(mm, Rss.anon, 1)
    }
  }
  pteUnmapUnlock(ptep, ptl)
  if (!special) putPage(page)
  return 0
}
