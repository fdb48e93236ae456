// copy_page_range: fork's copy of one VMA's entries. Anonymous pages are shared from then on, so both sides lose the right
// to write; whoever writes first copies (or takes the page over, once the other has gone).
import { ENTRY_WORDS } from '../arch/arch.ts'
import { atomicAnd, load, readOnce, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { addMmCounter, Rss } from '../memory/mm.ts'
import { Page, PageFlag, pfnToPage } from '../memory/page.ts'
import { inodeRss } from '../memory/page-cache.ts'
import { dupRmap, getPage, pageAnon } from '../memory/rmap.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { Pte, ptePfn, ptePresent, ptepGet, ptepTryReplace, setPte } from './entries.ts'
import { findPmd, pmdAlloc, pteAlloc } from './levels.ts'
import { pteOffsetMapLock, pteOffsetMapRwNolock, pteUnmap, pteUnmapUnlock } from './pte-offset-map.ts'
import { pmdAddrEnd } from './zap.ts'

/**
 * Copies the entries of the pages from `start` to `end` (exclusive) from `parent` to `child`. mmap_lock of both is held for
 * writing and the parent's VMA is write-locked. Returns 0, or 1 without memory. The caller flushes the parent's TLBs.
 */
export function copyPageRange(child: number, parent: number, start: number, end: number): number {
  let vpn = start
  while (vpn < end) {
    const next = pmdAddrEnd(vpn, end)
    const from = findPmd(parent, vpn)
    if (from !== 0 && ptepGet(from) !== 0) {
      const to = pmdAlloc(child, vpn)
      if (to === 0 || pteAlloc(child, to) !== 0) return 1
      copyPteRange(child, to, from, vpn, next)
    }
    vpn = next
  }
  return 0
}

function copyPteRange(child: number, to: number, from: number, start: number, end: number): void {
  const source = pteOffsetMapLock(from, start)
  if (source === 0) return
  const cpu = thisCpu()
  const sourcePtl = load(cpu + Cpu.out1)
  const target = pteOffsetMapRwNolock(to, start)
  if (target !== 0) {
    const targetPtl = load(cpu + Cpu.out1)
    spinLock(targetPtl)
    for (let i = 0; i < end - start; i++) {
      if (ptePresent(readOnce(source + i * ENTRY_WORDS))) copyPresentPte(child, source + i * ENTRY_WORDS, target + i * ENTRY_WORDS)
    }
    spinUnlock(targetPtl)
    pteUnmap(target)
  }
  pteUnmapUnlock(source, sourcePtl)
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
