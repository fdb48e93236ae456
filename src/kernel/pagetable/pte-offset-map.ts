// The pte_offset_map family: from a PMD slot to an entry of the PTE table below it. RCU is held from map to unmap, so the
// table stays valid memory; but it may already be unlinked and empty, so a map may fail and a locker must look again.
// Rules of the series "arch: allow pte_offset_map[_lock]() to fail" (May and June 2023).
import { ENTRY_READ, ENTRY_WORDS, EntryRead } from '../arch/arch.ts'
import { kmapLocal, kunmapLocal } from '../machine/annotations.ts'
import { irqRestore, irqSave, load, store, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { Page, virtToPage } from '../memory/page.ts'
import { rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { pmdpGetLockless, upperGet, upperIsTable, upperTable } from './entries.ts'
import { pmdpGetLocklessEnd, pmdpGetLocklessStart, pteIndex } from './levels.ts'

/** pte_lockptr: the split page-table lock of the table that PMD value `pmdval` names; all fragments of a page share one. */
export function pteLockptr(pmdval: number): number {
  return virtToPage(upperTable(pmdval)) + Page.ptl
}

/**
 * pte_offset_map: the entry of page `vpn` below PMD slot `pmd`, with RCU held until `pteUnmap`; or 0 (RCU not held) when
 * there is no table now. The PMD value that was used goes to the CPU's `out0`. The entry may change at any time.
 */
export function pteOffsetMap(pmd: number, vpn: number): number {
  rcuReadLock()
  const pmdval = ENTRY_READ === EntryRead.whole ? pmdpGetLockless(pmd) : pmdpGetIrqOff(pmd)
  store(thisCpu() + Cpu.out0, pmdval)
  if (!upperIsTable(pmdval)) {
    if (ENTRY_READ === EntryRead.irqOffUntilUnmap) irqRestore()
    rcuReadUnlock()
    return 0
  }
  const ptep = upperTable(pmdval) + pteIndex(vpn) * ENTRY_WORDS
  kmapLocal(ptep)
  return ptep
}

function pmdpGetIrqOff(pmd: number): number {
  pmdpGetLocklessStart()
  const pmdval = pmdpGetLockless(pmd)
  if (ENTRY_READ !== EntryRead.irqOffUntilUnmap) pmdpGetLocklessEnd()
  return pmdval
}

/**
 * pte_offset_kernel: the entry of page `vpn` below PMD slot `pmd` of the kernel's own page tables, whose tables are never freed:
 * no RCU, nothing to undo. For a user's page `pteOffsetMap` is due.
 */
export function pteOffsetKernel(pmd: number, vpn: number): number {
  return upperTable(upperGet(pmd)) + pteIndex(vpn) * ENTRY_WORDS
}

/** Maps the entry of page `vpn` in the table that PMD value `pmdval` names and that the caller has locked; until `pteUnmap`. */
export function pteMapLocked(pmdval: number, vpn: number): number {
  rcuReadLock()
  if (ENTRY_READ === EntryRead.irqOffUntilUnmap) irqSave()
  const ptep = upperTable(pmdval) + pteIndex(vpn) * ENTRY_WORDS
  kmapLocal(ptep)
  return ptep
}

/** pte_unmap: ends what `pteOffsetMap` began. Maps nest: the last one is unmapped first. */
export function pteUnmap(ptep: number): void {
  kunmapLocal(ptep)
  if (ENTRY_READ === EntryRead.irqOffUntilUnmap) irqRestore()
  rcuReadUnlock()
}

/**
 * pte_offset_map_lock: like `pteOffsetMap`, with the table's lock held (its address goes to `out1`). After taking the
 * lock the PMD is looked at again: if it no longer names that table, the search begins anew. 0 when there is no table.
 */
export function pteOffsetMapLock(pmd: number, vpn: number): number {
  for (;;) {
    const ptep = pteOffsetMap(pmd, vpn)
    if (ptep === 0) return 0
    const pmdval = load(thisCpu() + Cpu.out0)
    const ptl = pteLockptr(pmdval)
    spinLock(ptl)
    if (pmdpGetLockless(pmd) === pmdval) {
      store(thisCpu() + Cpu.out1, ptl)
      return ptep
    }
    spinUnlock(ptl)
    pteUnmap(ptep)
  }
}

/** pte_unmap_unlock. */
export function pteUnmapUnlock(ptep: number, ptl: number): void {
  spinUnlock(ptl)
  pteUnmap(ptep)
}

/**
 * pte_offset_map_ro_nolock: like `pteOffsetMap`, and the address of the mapped table's lock in `out1`, not taken. The table
 * may be unlinked already, also once the lock is taken: for reading only.
 */
export function pteOffsetMapRoNolock(pmd: number, vpn: number): number {
  const ptep = pteOffsetMap(pmd, vpn)
  if (ptep !== 0) store(thisCpu() + Cpu.out1, pteLockptr(load(thisCpu() + Cpu.out0)))
  return ptep
}

/**
 * pte_offset_map_rw_nolock: like `pteOffsetMapRoNolock`; whoever then takes the lock to write must first see that the PMD
 * still holds the value in `out0` (`pmdSame`).
 */
export function pteOffsetMapRwNolock(pmd: number, vpn: number): number {
  return pteOffsetMapRoNolock(pmd, vpn)
}

/** pmd_same: whether the PMD slot still holds `pmdval`. */
export function pmdSame(pmd: number, pmdval: number): boolean {
  return pmdpGetLockless(pmd) === pmdval
}
