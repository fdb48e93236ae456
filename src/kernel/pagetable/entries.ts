// Page-table entries. A PTE is `pfn << 10 | flags`; an entry of an upper level is the word address of the table below
// it | flags (tables are aligned to 8 words or more). Both live in the low word of an 8-byte slot.
import { cmpxchg, readOnce, writeOnce, xchg } from '../machine/instructions.ts'

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
  return pte === 0
}

/** pte_present: a frame is mapped, be it readable to the hardware or not (PROT_NONE). */
export function ptePresent(pte: number): boolean {
  return (pte & (Pte.present | Pte.protnone)) !== 0
}

/** ptep_get_lockless / ptep_get. */
export function ptepGet(ptep: number): number {
  return readOnce(ptep)
}

/** set_pte_at: the caller holds the page-table lock and the entry was none or is only being widened. */
export function setPte(ptep: number, pte: number): void {
  writeOnce(ptep, pte)
}

/** ptep_get_and_clear: atomic, because the hardware may set accessed and dirty at any time. Returns the old entry. */
export function ptepGetAndClear(ptep: number): number {
  return xchg(ptep, 0)
}

/** Replaces `old` by `pte` if the hardware did not change the entry meanwhile. Returns whether it did replace. */
export function ptepTryReplace(ptep: number, old: number, pte: number): boolean {
  return cmpxchg(ptep, old, pte) === old
}

/** pmdp_get_lockless: the whole entry as it is or was a moment ago. */
export function pmdpGetLockless(pmdp: number): number {
  return readOnce(pmdp)
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
