// change_protection: gives the present entries of a range the rights that their VMA now has. Rights are only taken away
// here, except to pages that are known to be exclusive; a write that is now allowed faults once and finds out.
import { ENTRY_WORDS } from '../arch/arch.ts'
import { load, readOnce, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { Page, PageFlag, pfnToPage } from '../memory/page.ts'
import { Pte, ptePfn, ptePresent, ptepGetAndClear, setPte } from './entries.ts'
import { nextPteTable, pmdAddrEnd } from './levels.ts'
import { tlbAddRange } from './mmu-gather.ts'
import { pteOffsetMapLock, pteUnmapUnlock } from './pte-offset-map.ts'

const RIGHTS = Pte.present | Pte.protnone | Pte.exec | Pte.write

/**
 * Changes the pages from `start` to `end` (exclusive): `rights` are the flags of an entry without the right to write;
 * `mayWrite` 1 lets exclusive dirty pages keep or get it. The VMA is write-locked; a gather is under way, which flushes.
 */
export function changeProtection(mm: number, start: number, end: number, rights: number, mayWrite: number): void {
  let vpn = nextPteTable(mm, start, end)
  while (vpn < end) {
    const next = pmdAddrEnd(vpn, end)
    changePteRange(load(thisCpu() + Cpu.out2), vpn, next, rights, mayWrite)
    vpn = nextPteTable(mm, next, end)
  }
}

function changePteRange(pmd: number, start: number, end: number, rights: number, mayWrite: number): void {
  let ptep = pteOffsetMapLock(pmd, start)
  if (ptep === 0) return
  const mapped = ptep
  const ptl = load(thisCpu() + Cpu.out1)
  for (let vpn = start; vpn < end; vpn++) {
    if (ptePresent(readOnce(ptep))) {
      // Cleared first: the hardware must not set dirty in an entry that we are rewriting.
      const old = ptepGetAndClear(ptep)
      let pte = (old & ~RIGHTS) | (rights & RIGHTS)
      if (mayWrite !== 0 && exclusiveAndDirty(old)) pte |= Pte.write
      setPte(ptep, pte)
      if (pte !== old) tlbAddRange(vpn, vpn + 1)
    }
    ptep += ENTRY_WORDS
  }
  pteUnmapUnlock(mapped, ptl)
}

/** can_change_pte_writable for private anonymous pages. */
function exclusiveAndDirty(pte: number): boolean {
  if ((pte & Pte.special) !== 0 || (pte & Pte.dirty) === 0) return false
  return (readOnce(pfnToPage(ptePfn(pte)) + Page.flags) & PageFlag.anonExclusive) !== 0
}
