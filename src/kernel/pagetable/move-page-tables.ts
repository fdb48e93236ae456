// move_page_tables: moves the entries of a range to another place of the same address space, for mremap: a whole table at once where it is
// all to move and lands on an empty slot. The old range is flushed before the page-table locks are dropped: from then on someone else
// may free the pages under their new address, flushing only that (CVE-2018-18281).
import { ENTRY_READ, ENTRY_WORDS, EntryRead, PMD_SHIFT } from '../arch/arch.ts'
import { load, readOnce, thisCpu, writeOnce } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { Mm } from '../memory/mm.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { clearHigh, pteNone, ptepGetAndClear, setPte, upperGet, upperIsTable, upperNone, upperSet } from './entries.ts'
import { findPmd, pmdAlloc, pteAlloc } from './levels.ts'
import { pteLockptr, pteOffsetMapLock, pteOffsetMapRwNolock, pteUnmap, pteUnmapUnlock } from './pte-offset-map.ts'
import { flushTlbMmRange } from './tlb-flush.ts'

/** How many pages from `vpn` on, at most `left`, stay within one PMD entry at both places. */
function extent(vpn: number, target: number, left: number): number {
  const span = 1 << PMD_SHIFT
  const here = span - (vpn & (span - 1))
  const there = span - (target & (span - 1))
  return Math.min(here, there, left)
}

/** Whether an extent of `count` pages is all that a table maps. */
function isWholeTable(count: number): boolean {
  return count === 1 << PMD_SHIFT
}

/** Makes sure that every table that the move needs at `target` is there. Returns 0, or 1 without memory. */
export function movePrepare(mm: number, from: number, pages: number, target: number): number {
  for (let done = 0; done < pages; ) {
    const count = extent(from + done, target + done, pages - done)
    if (findPmd(mm, from + done) !== 0) {
      const pmd = pmdAlloc(mm, target + done)
      // Where a whole table moves its slot is enough.
      if (pmd === 0 || (!isWholeTable(count) && pteAlloc(mm, pmd) !== 0)) return 1
    }
    done += count
  }
  return 0
}

/**
 * Moves the entries of `pages` pages at `from` to `target`, after `movePrepare`. mmap_lock is held for writing and both
 * VMAs are write-locked, so that no fault is on either range.
 */
export function movePageTables(mm: number, from: number, pages: number, target: number): void {
  for (let done = 0; done < pages; ) {
    const count = extent(from + done, target + done, pages - done)
    const oldPmd = findPmd(mm, from + done)
    const newPmd = findPmd(mm, target + done)
    const moved = isWholeTable(count) && oldPmd !== 0 && newPmd !== 0 ? moveTable(mm, oldPmd, from + done, newPmd) : false
    if (!moved && oldPmd !== 0 && newPmd !== 0) movePtes(mm, oldPmd, from + done, newPmd, target + done, count)
    done += count
  }
}

/**
 * move_normal_pmd: moves the table below slot `oldPmd`, whose pages begin at page `from`, to slot `newPmd`. Returns false, nothing done, if
 * there is none, or one at the new place already. Besides page_table_lock, which is the lock of both slots, the table's own is taken: a
 * fault that holds no lock of the VMA may be at work in the table and take it for the one at the old place until it lets go. (Linux
 * takes the locks of the slots alone; with speculative faults that was wrong in Android.)
 */
function moveTable(mm: number, oldPmd: number, from: number, newPmd: number): boolean {
  spinLock(mm + Mm.pageTableLock)
  const pmdval = upperGet(oldPmd)
  const moves = upperIsTable(pmdval) && upperNone(upperGet(newPmd))
  if (moves) {
    const ptl = pteLockptr(pmdval)
    spinLock(ptl)
    writeOnce(oldPmd, 0)
    if (ENTRY_READ !== EntryRead.whole) clearHigh(oldPmd)
    upperSet(newPmd, pmdval)
    flushTlbMmRange(mm, from, from + (1 << PMD_SHIFT))
    spinUnlock(ptl)
  }
  spinUnlock(mm + Mm.pageTableLock)
  return moves
}

function movePtes(mm: number, oldPmd: number, from: number, newPmd: number, target: number, count: number): void {
  const oldPte = pteOffsetMapLock(oldPmd, from)
  if (oldPte === 0) return
  const cpu = thisCpu()
  const oldPtl = load(cpu + Cpu.out1)
  const newPte = pteOffsetMapRwNolock(newPmd, target)
  if (newPte === 0) {
    pteUnmapUnlock(oldPte, oldPtl)
    return
  }
  // Tables that share a page share its lock: it must not be taken twice.
  const newPtl = load(cpu + Cpu.out1)
  if (newPtl !== oldPtl) spinLock(newPtl)
  let moved = 0
  for (let i = 0; i < count; i++) {
    if (pteNone(readOnce(oldPte + i * ENTRY_WORDS))) continue
    setPte(newPte + i * ENTRY_WORDS, ptepGetAndClear(oldPte + i * ENTRY_WORDS))
    moved = 1
  }
  if (moved !== 0) flushTlbMmRange(mm, from, from + count)
  if (newPtl !== oldPtl) spinUnlock(newPtl)
  pteUnmap(newPte)
  pteUnmapUnlock(oldPte, oldPtl)
}
