// The interface of an architecture: a frozen file of facts, and the numbers that hot paths read, bound once per machine.
// Sizes are those of the real architecture; a scaled-down geometry keeps levels and fragments and shrinks the tables.

/** How a remote TLB is invalidated. */
export const Invalidate = Object.freeze({ ipi: 0, broadcast: 1 })

/** What an architecture is. Entries of tables are 8 bytes unless said. */
export interface Arch {
  readonly name: string
  /** log2 of the page size in bytes. */
  readonly pageShift: number
  /** log2 of the entries of the lowest table, then of each level above it up to the PGD (2 to 5 numbers). */
  readonly levelBits: readonly number[]
  /** Words of one PTE table, including what the hardware keeps beside the entries (hash slots). */
  readonly pteTableWords: number
  /** PTE tables that share one page (and its struct page and lock). */
  readonly pteFragments: number
  /** Whether tables above the PTE level are whole pages (else they come from slabs of their own size). */
  readonly upperTablesArePages: boolean
  /** How other CPUs' TLBs are invalidated. */
  readonly invalidate: number
  /** First page behind user space, in pages; bits of user virtual addresses. */
  readonly userAddressBits: number
}

/** Bytes of one page-table entry: two words, of which the low one carries frame number and flags. */
export const ENTRY_WORDS = 2

export let PAGE_SHIFT = 12
/** Words of a page. */
export let PAGE_WORDS = 1024
/** Entries of a PTE table. */
export let PTRS_PER_PTE = 512
/** log2 of the pages that one PMD, PUD, P4D, PGD entry covers; levels that an architecture lacks are folded into the PGD. */
export let PMD_SHIFT = 9
export let PUD_SHIFT = 18
export let PGD_SHIFT = 27
export let PTRS_PER_PMD = 512
export let PTRS_PER_PUD = 512
export let PTRS_PER_PGD = 512
export let PTE_TABLE_WORDS = 1024
export let PTE_FRAGMENTS = 1
export let UPPER_TABLES_ARE_PAGES = true
export let INVALIDATE = 0

/** Binds this thread to `arch`. Four levels are bound here; 3 and 5 fold or add one in `pagetable/levels.ts`. */
export function bindArch(arch: Arch): void {
  const [pte = 0, pmd = 0, pud = 0, pgd = 0] = arch.levelBits
  PAGE_SHIFT = arch.pageShift
  PAGE_WORDS = 1 << (arch.pageShift - 2)
  PTRS_PER_PTE = 1 << pte
  PTRS_PER_PMD = 1 << pmd
  PTRS_PER_PUD = 1 << pud
  PTRS_PER_PGD = 1 << pgd
  PMD_SHIFT = pte
  PUD_SHIFT = pte + pmd
  PGD_SHIFT = pte + pmd + pud
  PTE_TABLE_WORDS = arch.pteTableWords
  PTE_FRAGMENTS = arch.pteFragments
  UPPER_TABLES_ARE_PAGES = arch.upperTablesArePages
  INVALIDATE = arch.invalidate
}
