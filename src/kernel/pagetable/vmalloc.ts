// A small mapping of the kernel's own: pages at addresses that a caller owns, in the tables of an mm without VMAs that stands for
// init_mm. Its tables stay until that mm goes, so that walking them takes no RCU (`pteOffsetKernel`). In the kernel, all of it.
import { Errno } from '../machine/errno.ts'
import { pageToPfn, pfnToPage } from '../memory/page.ts'
import { Pte, pfnPte, pteNone, ptePfn, ptepGet, ptepGetAndClear, setPte, upperGet, upperNone } from './entries.ts'
import { findPmd, pmdAlloc, pteAlloc } from './levels.ts'
import { pteOffsetKernel } from './pte-offset-map.ts'

const KERNEL_RIGHTS = Pte.present | Pte.write | Pte.accessed | Pte.dirty

/** vmap of one page: maps `page` at page `vpn`, which is the caller's and empty. Returns 0, or -ENOMEM. */
export function vmapPage(initMm: number, vpn: number, page: number): number {
  const pmd = pmdAlloc(initMm, vpn)
  if (pmd === 0 || pteAlloc(initMm, pmd) !== 0) return -Errno.ENOMEM
  setPte(pteOffsetKernel(pmd, vpn), pfnPte(pageToPfn(page), KERNEL_RIGHTS))
  return 0
}

/** vmalloc_to_page: the struct page mapped at page `vpn`, which somebody keeps mapped, or 0. */
export function vmallocToPage(initMm: number, vpn: number): number {
  const pmd = findPmd(initMm, vpn)
  if (pmd === 0 || upperNone(upperGet(pmd))) return 0
  const ptep = pteOffsetKernel(pmd, vpn)
  const pte = ptepGet(ptep)
  return pteNone(pte) ? 0 : pfnToPage(ptePfn(pte))
}

/** vunmap of one page, which is the caller's. Returns what was mapped there. No TLB of this machine holds kernel addresses. */
export function vunmapPage(initMm: number, vpn: number): number {
  return pfnToPage(ptePfn(ptepGetAndClear(pteOffsetKernel(findPmd(initMm, vpn), vpn))))
}
