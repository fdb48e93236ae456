// copy_page_range: fork's copy of one VMA's entries. Anonymous pages are shared from then on, so both sides lose the right
// to write; whoever writes first copies (or takes the page over, once the other has gone). A pinned page stays the parent's
// own, and the child gets its copy at once: else the parent's next write would leave the pin behind.
import { ENTRY_WORDS } from '../arch/arch.ts'
import { atomicAnd, load, readOnce, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { addMmCounter, Rss } from '../memory/mm.ts'
import { copyLivePage, Page, PageFlag, pageToPfn, pageToVirt, pfnToPage } from '../memory/page.ts'
import { allocPage } from '../memory/page-alloc.ts'
import { inodeRss } from '../memory/page-cache.ts'
import { pageMaybePinned } from '../memory/pin.ts'
import { addNewAnonRmap, dupRmap, getPage, pageAnon } from '../memory/rmap.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { PFN_SHIFT, Pte, pfnPte, ptePfn, ptePresent, ptepGet, ptepTryReplace, setPte } from './entries.ts'
import { nextPteTable, pmdAddrEnd, pmdAlloc, pteAlloc } from './levels.ts'
import { pteOffsetMapLock, pteOffsetMapRwNolock, pteUnmap, pteUnmapUnlock } from './pte-offset-map.ts'

const PTE_FLAGS = (1 << PFN_SHIFT) - 1

/**
 * Copies the entries of the pages from `start` to `end` (exclusive) from `parent` to `child`. mmap_lock of both is held for
 * writing and the parent's VMA is write-locked. `anonVma` and `pgoff`: the child VMA's, for pages that are copied. Returns 0, or
 * 1 without memory. The caller flushes the parent's TLBs.
 */
export function copyPageRange(child: number, parent: number, start: number, end: number, anonVma: number, pgoff: number): number {
  let vpn = nextPteTable(parent, start, end)
  while (vpn < end) {
    const from = load(thisCpu() + Cpu.out2)
    const next = pmdAddrEnd(vpn, end)
    const to = pmdAlloc(child, vpn)
    if (to === 0 || pteAlloc(child, to) !== 0) return 1
    if (copyPteRange(child, to, from, vpn, next, anonVma, (pgoff + vpn - start) | 0) !== 0) return 1
    vpn = nextPteTable(parent, next, end)
  }
  return 0
}

function copyPteRange(child: number, to: number, from: number, start: number, end: number, anonVma: number, pgoff: number): number {
  const source = pteOffsetMapLock(from, start)
  if (source === 0) return 0
  let failed = 0
  const cpu = thisCpu()
  const sourcePtl = load(cpu + Cpu.out1)
  const target = pteOffsetMapRwNolock(to, start)
  if (target !== 0) {
    const targetPtl = load(cpu + Cpu.out1)
    spinLock(targetPtl)
    for (let i = 0; i < end - start && failed === 0; i++) {
      const at = source + i * ENTRY_WORDS
      if (!ptePresent(readOnce(at))) continue
      if (mustCopy(ptepGet(at))) failed = copyPinnedPage(child, at, target + i * ENTRY_WORDS, anonVma, (pgoff + i) | 0)
      else copyPresentPte(child, at, target + i * ENTRY_WORDS)
    }
    spinUnlock(targetPtl)
    pteUnmap(target)
  }
  pteUnmapUnlock(source, sourcePtl)
  return failed
}

/** folio_needs_cow_for_dma: whether `pte` maps an anonymous page of the parent's own that is pinned. */
function mustCopy(pte: number): boolean {
  if ((pte & Pte.special) !== 0) return false
  const page = pfnToPage(ptePfn(pte))
  return pageAnon(page) && (readOnce(page + Page.flags) & PageFlag.anonExclusive) !== 0 && pageMaybePinned(page)
}

/** copy_present_page: gives the child a page of its own. Returns 0, or 1 without memory. */
function copyPinnedPage(child: number, source: number, target: number, anonVma: number, pgoff: number): number {
  const copy = allocPage(0)
  if (copy === 0) return 1
  const pte = ptepGet(source)
  // It stays writable: the parent's threads, and whoever has pinned it, go on.
  copyLivePage(pageToVirt(copy), pageToVirt(pfnToPage(ptePfn(pte))))
  addNewAnonRmap(copy, anonVma, pgoff)
  addMmCounter(child, Rss.anon, 1)
  setPte(target, pfnPte(pageToPfn(copy), (pte & PTE_FLAGS) | Pte.dirty))
  return 0
}

function copyPresentPte(child: number, source: number, target: number): void {
  let pte = ptepGet(source)
  // ptep_set_wrprotect: the hardware may set accessed or dirty meanwhile.
  while ((pte & Pte.write) !== 0 && !ptepTryReplace(source, pte, pte & ~Pte.write)) pte = ptepGet(source)
  const shared = pte & ~(Pte.write | Pte.accessed)
  if ((pte & Pte.special) === 0) {
    const page = pfnToPage(ptePfn(pte))
    getPage(page)
    dupRmap(page)
    if (pageAnon(page)) atomicAnd(page + Page.flags, ~PageFlag.anonExclusive)
    addMmCounter(child, pageAnon(page) ? Rss.anon : inodeRss(load(page + Page.mapping)), 1)
  }
  setPte(target, shared)
}
