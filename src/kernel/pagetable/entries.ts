// Page-table entries. A PTE is `pfn << 10 | flags`; an entry of an upper level is the word address of the table below
// it | flags (tables are aligned to 8 words or more). Both live in the low word of an 8-byte slot; on x86 PAE some bits of the
// frame live in the high word, and who stores both keeps to an order: present only once the high half is there.
import { EMPTY_PTE, ENTRY_READ, ENTRY_WORDS, EntryRead, PTE_LOW, UPPER_LOW } from '../arch/arch.ts'
import {
  cmpxchg,
  orEntryWhole,
  rcuAssignPointer,
  readEntryWhole,
  readOnce,
  smpRmb,
  smpWmb,
  store,
  writeOnce,
  xchg,
  zeroPage,
} from '../machine/instructions.ts'

/** Flags of a PTE. `protnone`: the kernel's idea of present, which the hardware does not see (PROT_NONE). */
export const Pte = Object.freeze({ present: 1, write: 2, exec: 4, accessed: 8, dirty: 16, special: 32, protnone: 64 })
/** Position of the frame number in a PTE. */
export const PFN_SHIFT = 10

/** Flags of an upper entry. `leaf`: maps memory itself (a huge page). */
export const Upper = Object.freeze({ present: 1, leaf: 2, bad: 4 })

/** pte_pfn. */
export function ptePfn(pte: number): number {
  return pte >>> PFN_SHIFT
}

/** pfn_pte: an entry for frame `pfn` with `flags` (see `Pte`). */
export function pfnPte(pfn: number, flags: number): number {
  return (pfn << PFN_SHIFT) | flags
}

/** pte_none: nothing is mapped and nothing is remembered. */
export function pteNone(pte: number): boolean {
  return pte === EMPTY_PTE
}

/** Empties `words` words of PTE tables (a multiple of 16), which are the caller's alone. */
export function clearPtes(table: number, words: number): void {
  zeroPage(table, words)
  if (EMPTY_PTE !== 0) for (let p = table; p < table + words; p += ENTRY_WORDS) store(p, EMPTY_PTE)
}

/** pte_present: a frame is mapped, be it readable to the hardware or not (PROT_NONE). */
export function ptePresent(pte: number): boolean {
  return (pte & (Pte.present | Pte.protnone)) !== 0
}

/** ptep_get: the caller holds the page-table lock, or compares again under it: of two halves, each may be of another time. */
export function ptepGet(ptep: number): number {
  return ENTRY_READ === EntryRead.whole ? readOnce(ptep) : getHalves(ptep)
}

/** ptep_get_lockless: the whole entry as it is or was a moment ago, under the conditions of `pmdpGetLockless`. */
export function ptepGetLockless(ptep: number): number {
  return ENTRY_READ === EntryRead.whole ? readOnce(ptep) : getHalvesLockless(ptep)
}

/**
 * pmdp_get_lockless: the whole entry as it is or was a moment ago. Where it has two halves that is true only while no present
 * entry can be replaced by another present one: for what a TLB flush or `pmdpGetLocklessSync` comes in between, with interrupts
 * off (see `pmdpGetLocklessStart`).
 */
export function pmdpGetLockless(pmdp: number): number {
  return ENTRY_READ === EntryRead.whole ? readOnce(pmdp) : getHalvesLockless(pmdp)
}

/** set_pte_at: the caller holds the page-table lock and the entry was none or is only being widened. */
export function setPte(ptep: number, pte: number): void {
  if (ENTRY_READ !== EntryRead.whole) setHigh(ptep, pte & ~PTE_LOW)
  writeOnce(ptep, pte & PTE_LOW)
}

/** ptep_get_and_clear: atomic, because the hardware may set accessed and dirty at any time. Returns the old entry. */
export function ptepGetAndClear(ptep: number): number {
  const low = xchg(ptep, EMPTY_PTE)
  // Nobody else stores to the high half: the lock is held, and for the hardware the entry is gone.
  return ENTRY_READ === EntryRead.whole ? low : low | xchg(ptep + 1, 0)
}

/**
 * Replaces `old` by `pte`, of the same frame, if the hardware did not change the entry meanwhile. The caller holds the
 * page-table lock. Returns whether it did replace.
 */
export function ptepTryReplace(ptep: number, old: number, pte: number): boolean {
  const low = old & PTE_LOW
  return cmpxchg(ptep, low, pte & PTE_LOW) === low
}

/** An entry as the hardware reads it: always whole. */
export function hardwareGet(p: number): number {
  return ENTRY_READ === EntryRead.whole ? readOnce(p) : readEntryWhole(p)
}

/** The hardware sets accessed, and dirty, in a PTE: `bits` in addition to `pte`, if it still is that. Returns whether it did. */
export function hardwareSet(ptep: number, pte: number, bits: number): boolean {
  return ENTRY_READ === EntryRead.whole ? cmpxchg(ptep, pte, pte | bits) === pte : orEntryWhole(ptep, pte, bits) !== 0
}

/** An upper entry; nobody changes it meanwhile. */
export function upperGet(slot: number): number {
  return ENTRY_READ === EntryRead.whole ? readOnce(slot) : getHalves(slot)
}

/** pmd_populate and its like: publishes a table. The slot was none, and its lock is held. */
export function upperSet(slot: number, entry: number): void {
  if (ENTRY_READ !== EntryRead.whole) setHigh(slot, entry & ~UPPER_LOW)
  rcuAssignPointer(slot, entry & UPPER_LOW)
}

/** The second part of pmd_clear and its like, where entries have two halves: the low one is 0 already. */
export function clearHigh(slot: number): void {
  smpWmb()
  writeOnce(slot + 1, 0)
}

// Entries of two halves. None is what has nothing in its low half, whatever the high one says: that is stored first and
// cleared last. These are functions of their own so that what an entry of one word needs stays small enough to be inlined.

function getHalves(p: number): number {
  const low = readOnce(p)
  return low === 0 ? 0 : low | readOnce(p + 1)
}

function getHalvesLockless(p: number): number {
  for (;;) {
    const low = readOnce(p)
    if (low === 0) return 0
    smpRmb()
    const high = readOnce(p + 1)
    smpRmb()
    if (readOnce(p) === low) return low | high
  }
}

function setHigh(p: number, high: number): void {
  writeOnce(p + 1, high)
  smpWmb()
}

/** pmd_none and its like for every upper level. */
export function upperNone(entry: number): boolean {
  return entry === 0
}

/** Whether the entry points to a table (present, not a leaf, not bad). */
export function upperIsTable(entry: number): boolean {
  return (entry & 7) === Upper.present
}

/** The first word of the table that an upper entry points to. */
export function upperTable(entry: number): number {
  return entry & ~7
}
