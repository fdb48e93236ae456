// zap_pte_range: clears the entries of a range and hands their pages to the mmu_gather. The lock of each PTE table is held
// while its entries are cleared; pages are freed after the flush that the gather makes.
import { ENTRY_WORDS } from '../arch/arch.ts'
import { atomicOr, load, readOnce, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { addMmCounter, Rss } from '../memory/mm.ts'
import { Page, PageFlag, pfnToPage } from '../memory/page.ts'
import { inodeRss } from '../memory/page-cache.ts'
import { pageAnon, removeRmap } from '../memory/rmap.ts'
import { Pte, pteNone, ptePfn, ptepGetAndClear } from './entries.ts'
import { nextPteTable, pmdAddrEnd } from './levels.ts'
import { tlbAddRange, tlbRemovePage } from './mmu-gather.ts'
import { pteOffsetMapLock, pteUnmapUnlock } from './pte-offset-map.ts'

/** unmap_page_range: unmaps the pages from `start` to `end` (exclusive) of `mm`. A gather is under way on this CPU. */
export function unmapPageRange(mm: number, start: number, end: number): void {
  let vpn = nextPteTable(mm, start, end)
  while (vpn < end) {
    const next = pmdAddrEnd(vpn, end)
    zapPteRange(mm, load(thisCpu() + Cpu.out2), vpn, next)
    vpn = nextPteTable(mm, next, end)
  }
}

function zapPteRange(mm: number, pmd: number, start: number, end: number): void {
  let ptep = pteOffsetMapLock(pmd, start)
  if (ptep === 0) return
  const mapped = ptep
  const ptl = load(thisCpu() + Cpu.out1)
  for (let vpn = start; vpn < end; vpn++) {
    if (!pteNone(readOnce(ptep))) zapPte(mm, ptep, vpn)
    ptep += ENTRY_WORDS
  }
  pteUnmapUnlock(mapped, ptl)
}

function zapPte(mm: number, ptep: number, vpn: number): void {
  const pte = ptepGetAndClear(ptep)
  if (pteNone(pte)) return
  tlbAddRange(vpn, vpn + 1)
  if ((pte & Pte.special) !== 0) return
  const page = pfnToPage(ptePfn(pte))
  addMmCounter(mm, pageAnon(page) ? Rss.anon : inodeRss(load(page + Page.mapping)), -1)
  if ((pte & Pte.dirty) !== 0 && !pageAnon(page)) atomicOr(page + Page.flags, PageFlag.dirty)
  removeRmap(page)
  tlbRemovePage(page)
}
