// The levels above the PTE tables: offsets, and allocation of missing tables. A level that an architecture lacks is
// folded as in Linux: its offset function returns the slot of the level above. Addresses are virtual page numbers; the
// top bits of one lie in the machine's window table (see `arch/windows.ts`).
import {
  ENTRY_READ,
  ENTRY_WORDS,
  EntryRead,
  P4D_SHIFT,
  PGDIR_SHIFT,
  PMD_SHIFT,
  PTRS_PER_P4D,
  PTRS_PER_PGD,
  PTRS_PER_PMD,
  PTRS_PER_PTE,
  PTRS_PER_PUD,
  PUD_SHIFT,
} from '../arch/arch.ts'
import { WINDOW_SHIFT } from '../arch/windows.ts'
import { Global } from '../machine/globals.ts'
import { irqRestore, irqSave, load, readOnce, store, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { Mm } from '../memory/mm.ts'
import { rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { pmdpGetLockless, Upper, upperIsTable, upperNone, upperSet, upperTable } from './entries.ts'
import { Level, tableAlloc, tableFree } from './table-alloc.ts'
import { pteAllocGroup, tableGroup } from './table-group.ts'

/** Index into a table whose entries cover 2^`shift` pages each, for the real page number that `vpn` stands for. */
export function tableIndex(vpn: number, shift: number, entries: number): number {
  if (shift + 31 - Math.clz32(entries) <= WINDOW_SHIFT) return (vpn >>> shift) & (entries - 1)
  const top = load(Global.windows + (vpn >>> WINDOW_SHIFT))
  if (shift >= WINDOW_SHIFT) return (top >>> (shift - WINDOW_SHIFT)) & (entries - 1)
  return ((top << (WINDOW_SHIFT - shift)) | ((vpn & ((1 << WINDOW_SHIFT) - 1)) >>> shift)) & (entries - 1)
}

/** pgd_offset: the PGD slot of page `vpn`. */
export function pgdOffset(mm: number, vpn: number): number {
  return load(mm + Mm.pgd) + tableIndex(vpn, PGDIR_SHIFT, PTRS_PER_PGD) * ENTRY_WORDS
}

/** p4d_offset: the slot below `pgd`, or 0 when there is no table. */
export function p4dOffset(pgd: number, vpn: number): number {
  return PTRS_PER_P4D === 1 ? pgd : below(pgd, vpn, P4D_SHIFT, PTRS_PER_P4D)
}

/** pud_offset. */
export function pudOffset(p4d: number, vpn: number): number {
  return PTRS_PER_PUD === 1 ? p4d : below(p4d, vpn, PUD_SHIFT, PTRS_PER_PUD)
}

/** pmd_offset. */
export function pmdOffset(pud: number, vpn: number): number {
  return PTRS_PER_PMD === 1 ? pud : below(pud, vpn, PMD_SHIFT, PTRS_PER_PMD)
}

/** Index of page `vpn` in its PTE table. */
export function pteIndex(vpn: number): number {
  return vpn & (PTRS_PER_PTE - 1)
}

/** pmdp_get_lockless_start: until `pmdpGetLocklessEnd`, entries of two halves are read as `pmdpGetLockless` needs it. */
export function pmdpGetLocklessStart(): void {
  if (ENTRY_READ >= EntryRead.irqOff) irqSave()
}

/** pmdp_get_lockless_end. */
export function pmdpGetLocklessEnd(): void {
  if (ENTRY_READ >= EntryRead.irqOff) irqRestore()
}

/** An upper entry, read without its lock: `pmdpGetLockless` with what it needs around it. */
export function upperGetLockless(slot: number): number {
  pmdpGetLocklessStart()
  const entry = pmdpGetLockless(slot)
  pmdpGetLocklessEnd()
  return entry
}

function below(slot: number, vpn: number, shift: number, entries: number): number {
  const entry = ENTRY_READ === EntryRead.whole ? readOnce(slot) : upperGetLockless(slot)
  return slotIn(entry, vpn, shift, entries)
}

/** The slot of page `vpn` in the table that upper entry `entry` names, whose entries cover 2^`shift` pages; 0 if it names none. */
export function slotIn(entry: number, vpn: number, shift: number, entries: number): number {
  if (!upperIsTable(entry)) return 0
  return upperTable(entry) + tableIndex(vpn, shift, entries) * ENTRY_WORDS
}

/** Walks to the PMD slot of page `vpn` without allocating. Returns 0 where an upper table is missing (mm_find_pmd). */
export function findPmd(mm: number, vpn: number): number {
  const p4d = p4dOffset(pgdOffset(mm, vpn), vpn)
  if (p4d === 0) return 0
  const pud = pudOffset(p4d, vpn)
  if (pud === 0) return 0
  return pmdOffset(pud, vpn)
}

/** The page behind the span of 2^`shift` pages that holds `vpn`, or `end` if that comes first. */
export function spanEnd(vpn: number, shift: number, end: number): number {
  // A span of more than a window ends with the window: the next one may be elsewhere in reality.
  const bits = Math.min(shift, WINDOW_SHIFT)
  const next = ((vpn >>> bits) + 1) << bits
  return next > 0 && next < end ? next : end
}

/**
 * The first page from `vpn` on, below `end`, that has a PTE table, or `end`. Its PMD slot goes to the CPU's `out2`. Passes
 * over what upper levels show to be empty, so that a walk over a sparse mapping costs what is there.
 */
export function nextPteTable(mm: number, vpn: number, end: number): number {
  let at = vpn
  while (at < end) {
    const p4d = p4dOffset(pgdOffset(mm, at), at)
    const pud = p4d === 0 ? 0 : pudOffset(p4d, at)
    const pmd = pud === 0 ? 0 : pmdOffset(pud, at)
    if (p4d === 0) at = spanEnd(at, PGDIR_SHIFT, end)
    else if (pud === 0) at = spanEnd(at, P4D_SHIFT, end)
    else if (pmd === 0) at = spanEnd(at, PUD_SHIFT, end)
    else if (upperNone(readOnce(pmd))) at = spanEnd(at, PMD_SHIFT, end)
    else {
      store(thisCpu() + Cpu.out2, pmd)
      return at
    }
  }
  return end
}

/** pmd_addr_end: the page behind the span of the PMD entry that holds `vpn`, or `end` if that comes first. */
export function pmdAddrEnd(vpn: number, end: number): number {
  return spanEnd(vpn, PMD_SHIFT, end)
}

/**
 * Walks to the PMD slot of page `vpn`, allocating missing tables (p4d_alloc, pud_alloc, pmd_alloc). Returns 0 without
 * memory. The caller holds mmap_lock or the VMA's lock: otherwise a table could be put where munmap has just cleaned up.
 */
export function pmdAlloc(mm: number, vpn: number): number {
  let slot = pgdOffset(mm, vpn)
  if (PTRS_PER_P4D !== 1) slot = descend(mm, slot, vpn, P4D_SHIFT, PTRS_PER_P4D, Level.p4d)
  if (slot !== 0 && PTRS_PER_PUD !== 1) slot = descend(mm, slot, vpn, PUD_SHIFT, PTRS_PER_PUD, Level.pud)
  if (slot !== 0 && PTRS_PER_PMD !== 1) slot = descend(mm, slot, vpn, PMD_SHIFT, PTRS_PER_PMD, Level.pmd)
  return slot
}

function descend(mm: number, slot: number, vpn: number, shift: number, entries: number, level: number): number {
  const entry = ENTRY_READ === EntryRead.whole ? readOnce(slot) : upperGetLockless(slot)
  if (upperIsTable(entry)) return slotIn(entry, vpn, shift, entries)
  if (!upperNone(entry) || upperPopulate(mm, slot, level, 0, 0) !== 0) return 0
  return below(slot, vpn, shift, entries)
}

/**
 * Puts a fresh table of `level` into the upper slot unless someone else did. With a `guard`, a word that must still hold `value` once
 * page_table_lock is held: else the slot is not touched. Returns 0; 1 without memory; 2 if the guard holds something else.
 */
function upperPopulate(mm: number, slot: number, level: number, guard: number, value: number): number {
  const table = tableAlloc(mm, level)
  if (table === 0) return 1
  spinLock(mm + Mm.pageTableLock)
  const refused = guard !== 0 && readOnce(guard) !== value
  const theirs = refused || !upperNone(readOnce(slot))
  if (!theirs) upperSet(slot, table | Upper.present)
  spinUnlock(mm + Mm.pageTableLock)
  if (theirs) tableFree(mm, table, level)
  return refused ? 2 : 0
}

/** pte_alloc: makes sure that the PMD slot has (or had) a PTE table. Returns 0, or 1 without memory. Contract as `pmdAlloc`. */
export function pteAlloc(mm: number, pmd: number): number {
  if (!upperNone(readOnce(pmd))) return 0
  return tableGroup() > 1 ? pteAllocGroup(mm, pmd) : upperPopulate(mm, pmd, Level.pte, 0, 0)
}

/**
 * The first upper entry on the way to page `vpn` that names no table, whose level goes to the CPU's `out2`; or 0 if all tables are
 * there. In an RCU section: what it walks through may be on its way out.
 */
function missingTable(mm: number, vpn: number): number {
  const cpu = thisCpu()
  const pgd = pgdOffset(mm, vpn)
  store(cpu + Cpu.out2, Level.p4d)
  const p4d = p4dOffset(pgd, vpn)
  if (p4d === 0) return pgd
  store(cpu + Cpu.out2, Level.pud)
  const pud = pudOffset(p4d, vpn)
  if (pud === 0) return p4d
  store(cpu + Cpu.out2, Level.pmd)
  const pmd = pmdOffset(pud, vpn)
  if (pmd === 0) return pud
  store(cpu + Cpu.out2, Level.pte)
  return upperIsTable(upperGetLockless(pmd)) ? 0 : pmd
}

/**
 * Makes the tables that are missing on the way to page `vpn`, for a fault that holds neither mmap_lock nor its VMA. Instead, each
 * is put in only if word `guard` still holds `value` under page_table_lock. Whoever frees the tables around `vpn` changes the word
 * and then takes and drops that lock before it looks for them: so what was put in before is seen, and later nothing is, nor is
 * an entry touched that is gone. Returns 0; 1 without memory; 2 if the guard holds something else. May sleep.
 */
export function populateGuarded(mm: number, vpn: number, guard: number, value: number): number {
  for (;;) {
    rcuReadLock()
    const slot = missingTable(mm, vpn)
    rcuReadUnlock()
    if (slot === 0) return 0
    const failed = upperPopulate(mm, slot, load(thisCpu() + Cpu.out2), guard, value)
    if (failed !== 0) return failed
  }
}
