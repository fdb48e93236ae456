// Reclaim of empty page tables (CONFIG_PT_RECLAIM, 2024): MADV_DONTNEED over the whole span of a PTE table gives the table back,
// under mmap_lock for reading only, while faults go on in the same VMA. This is why `pteOffsetMapLock` may fail and looks at
// the PMD a second time.
import { ENTRY_READ, ENTRY_WORDS, EntryRead, PTRS_PER_PTE } from '../arch/arch.ts'
import { load, readOnce, thisCpu, writeOnce } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { Mm } from '../memory/mm.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { pteNone, upperIsTable, upperTable } from './entries.ts'
import { tablesOutliveRcuReaders } from './freeing.ts'
import { nextPteTable, pmdAddrEnd } from './levels.ts'
import { tlbRemoveTable } from './mmu-gather.ts'
import { pteLockptr } from './pte-offset-map.ts'
import { Level } from './table-alloc.ts'

/**
 * Gives back the empty PTE tables whose whole span lies between the pages `start` and `end` (exclusive), where the machine's
 * policy frees tables through RCU (faults hold no more than that while they map an entry) and entries are read whole. mmap_lock
 * is held for reading, and a gather is under way on this CPU.
 */
export function reclaimPtTables(mm: number, start: number, end: number): void {
  // Of two halves, a table that comes before the flush for this one would be taken for it (see `pmdpGetLockless`).
  if (ENTRY_READ !== EntryRead.whole || !tablesOutliveRcuReaders()) return
  let vpn = nextPteTable(mm, start, end)
  while (vpn < end) {
    const next = pmdAddrEnd(vpn, end)
    if (next - vpn === PTRS_PER_PTE) tryToFreePte(mm, load(thisCpu() + Cpu.out2))
    vpn = nextPteTable(mm, next, end)
  }
}

/** try_to_free_pte: unhooks the table in PMD slot `pmd` if it is empty. The PMD's lock is taken before the table's own. */
function tryToFreePte(mm: number, pmd: number): void {
  spinLock(mm + Mm.pageTableLock)
  const pmdval = readOnce(pmd)
  let empty = upperIsTable(pmdval)
  if (empty) {
    const ptl = pteLockptr(pmdval)
    spinLock(ptl)
    empty = isEmpty(upperTable(pmdval))
    if (empty) writeOnce(pmd, 0)
    spinUnlock(ptl)
  }
  spinUnlock(mm + Mm.pageTableLock)
  if (empty) tlbRemoveTable(upperTable(pmdval), Level.pte)
}

function isEmpty(table: number): boolean {
  for (let i = 0; i < PTRS_PER_PTE; i++) if (!pteNone(readOnce(table + i * ENTRY_WORDS))) return false
  return true
}
