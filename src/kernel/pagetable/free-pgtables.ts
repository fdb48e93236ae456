// free_pgtables: unhooks the tables that an unmapped range leaves empty. A table goes only if its whole span lies between
// `floor` (the end of the VMA below) and `ceiling` (the start of the VMA above): then nobody can reach it. The VMAs are
// out of the tree; mmap_lock is held, possibly downgraded.
import {
  ENTRY_READ,
  ENTRY_WORDS,
  EntryRead,
  P4D_SHIFT,
  PGDIR_SHIFT,
  PMD_SHIFT,
  PTRS_PER_P4D,
  PTRS_PER_PMD,
  PTRS_PER_PUD,
  PUD_SHIFT,
} from '../arch/arch.ts'
import { WINDOW_SHIFT } from '../arch/windows.ts'
import { writeOnce } from '../machine/instructions.ts'
import { clearHigh, upperGet, upperNone, upperTable } from './entries.ts'
import { pgdOffset, spanEnd, tableIndex } from './levels.ts'
import { tlbRemoveTable } from './mmu-gather.ts'
import { Level } from './table-alloc.ts'
import { groupEnd, groupStart } from './table-group.ts'

/** The bounds that free everything: at exit. */
export const FLOOR_ALL = 0
export const CEILING_ALL = 0x7fffffff

/** free_pgd_range: frees the tables for the pages from `start` to `end` (exclusive) and for the groups that they lie in. A gather is under way on this CPU. */
export function freePgdRange(mm: number, start: number, end: number, floor: number, ceiling: number): void {
  // Tables that were allocated together go together, also those without a page of the range below them.
  let vpn = groupStart(start)
  const last = groupEnd(end)
  while (vpn < last) {
    const next = spanEnd(vpn, PGDIR_SHIFT, last)
    const slot = pgdOffset(mm, vpn)
    if (PTRS_PER_P4D !== 1) freeBelow(slot, Level.p4d, PGDIR_SHIFT, vpn, next, floor, ceiling)
    else if (PTRS_PER_PUD !== 1) freeBelow(slot, Level.pud, PGDIR_SHIFT, vpn, next, floor, ceiling)
    else if (PTRS_PER_PMD !== 1) freeBelow(slot, Level.pmd, PGDIR_SHIFT, vpn, next, floor, ceiling)
    else freeTable(slot, Level.pte, PGDIR_SHIFT, vpn, floor, ceiling)
    vpn = next
  }
}

/** Frees what lies below the table of `level` in `slot`, whose entries' tables are one level down; then the table itself. */
function freeBelow(slot: number, level: number, shift: number, start: number, end: number, floor: number, ceiling: number): void {
  const entry = upperGet(slot)
  if (upperNone(entry)) return
  const below = level === Level.p4d ? P4D_SHIFT : level === Level.pud ? PUD_SHIFT : PMD_SHIFT
  const down = level === Level.p4d && PTRS_PER_PUD !== 1 ? Level.pud : level !== Level.pmd && PTRS_PER_PMD !== 1 ? Level.pmd : Level.pte
  let vpn = start
  while (vpn < end) {
    const next = spanEnd(vpn, below, end)
    const child = upperTable(entry) + tableIndex(vpn, below, 1 << (shift - below)) * ENTRY_WORDS
    if (down === Level.pte) freeTable(child, down, below, vpn, floor, ceiling)
    else freeBelow(child, down, below, vpn, next, floor, ceiling)
    vpn = next
  }
  freeTable(slot, level, shift, start, floor, ceiling)
}

/** Unhooks the table of `level` in `slot`, which covers 2^`shift` pages around `vpn`, if its span is within the bounds. */
function freeTable(slot: number, level: number, shift: number, vpn: number, floor: number, ceiling: number): void {
  const entry = upperGet(slot)
  if (upperNone(entry)) return
  const everything = floor === FLOOR_ALL && ceiling === CEILING_ALL
  if (shift > WINDOW_SHIFT) {
    // Its span is more than one window: whether it is empty is only known when the whole mm goes, and then by a look.
    if (!everything || !isEmpty(upperTable(entry), level)) return
  } else if (!everything) {
    const low = (vpn >>> shift) << shift
    if (low < floor || low + (1 << shift) > ceiling) return
  }
  writeOnce(slot, 0)
  if (ENTRY_READ !== EntryRead.whole) clearHigh(slot)
  tlbRemoveTable(upperTable(entry), level)
}

function isEmpty(table: number, level: number): boolean {
  const entries = level === Level.p4d ? PTRS_PER_P4D : level === Level.pud ? PTRS_PER_PUD : PTRS_PER_PMD
  for (let i = 0; i < entries; i++) if (!upperNone(upperGet(table + i * ENTRY_WORDS))) return false
  return true
}
