// The interface of an architecture: a frozen file of facts, and the numbers that hot paths read, bound once per machine.
// Sizes are those of the real architecture; beside them each file gives a scaled-down geometry, which keeps levels and
// fragments and shrinks pages and tables, so that a machine under the checker is a few thousand words.

/** How a remote TLB is invalidated. */
export const Invalidate = Object.freeze({ ipi: 0, broadcast: 1 })

/** The sizes of an architecture. Entries of tables are 8 bytes unless said. */
export interface Geometry {
  /** log2 of the page size in bytes. */
  readonly pageShift: number
  /** log2 of the entries of a PTE table, then of each level above it up to the PGD: 2 to 5 numbers. */
  readonly levelBits: readonly number[]
  /** Words of one PTE table, including what the hardware keeps beside the entries (hash slots). */
  readonly pteTableWords: number
  /** Bits of a user virtual address. */
  readonly userAddressBits: number
  /** Entries of each CPU's software TLB: a power of two, at most `TLB_ENTRIES`. */
  readonly tlbEntries: number
  /** Frames that move between the zone and a CPU's list at a time. */
  readonly pcpBatch: number
}

/** What an architecture is. */
export interface Arch extends Geometry {
  readonly name: string
  /** PTE tables that share one page (and its struct page and lock). */
  readonly pteFragments: number
  /** Whether tables above the PTE level are whole pages (else they come from slabs of their own size). */
  readonly upperTablesArePages: boolean
  /** How other CPUs' TLBs are invalidated: a value of `Invalidate`. */
  readonly invalidate: number
  /** The same levels and fragments, few entries, tiny pages. */
  readonly small: Geometry
}

/** Which of an architecture's two geometries a machine has: real sizes, or the scaled-down ones. */
export const GeometryId = Object.freeze({ real: 0, small: 1 })

/** The sizes that `arch` has in geometry `id` (see `GeometryId`). */
export function geometryOf(arch: Arch, id: number): Geometry {
  return id === GeometryId.small ? arch.small : arch
}

/** Words of one page-table entry: 8 bytes, of which the low word carries frame number and flags. */
export const ENTRY_WORDS = 2

export let PAGE_SHIFT = 12
/** Words of a page. */
export let PAGE_WORDS = 1024
/** Entries of one table of each level; 1 for a level that the architecture lacks (it is folded into the one above). */
export let PTRS_PER_PTE = 512
export let PTRS_PER_PMD = 512
export let PTRS_PER_PUD = 512
export let PTRS_PER_P4D = 1
export let PTRS_PER_PGD = 512
/** log2 of the pages that one entry of each level covers. */
export let PMD_SHIFT = 9
export let PUD_SHIFT = 18
export let P4D_SHIFT = 27
export let PGDIR_SHIFT = 27
export let PTE_TABLE_WORDS = 1024
export let PTE_FRAGMENTS = 1
export let UPPER_TABLES_ARE_PAGES = true
export let INVALIDATE = 0
/** Index mask of the software TLB. */
export let TLB_MASK = 255
export let PCP_BATCH = 32

/** Binds this thread to `arch` in geometry `id` (see `GeometryId`). */
export function bindArch(arch: Arch, id: number): void {
  const sizes = geometryOf(arch, id)
  const bits = sizes.levelBits
  const levels = bits.length
  const pmd = levels >= 3 ? bits[1]! : 0
  const pud = levels >= 4 ? bits[2]! : 0
  const p4d = levels >= 5 ? bits[3]! : 0
  PAGE_SHIFT = sizes.pageShift
  PAGE_WORDS = 1 << (sizes.pageShift - 2)
  PTRS_PER_PTE = 1 << bits[0]!
  PTRS_PER_PMD = 1 << pmd
  PTRS_PER_PUD = 1 << pud
  PTRS_PER_P4D = 1 << p4d
  PTRS_PER_PGD = 1 << bits[levels - 1]!
  PMD_SHIFT = bits[0]!
  PUD_SHIFT = PMD_SHIFT + pmd
  P4D_SHIFT = PUD_SHIFT + pud
  PGDIR_SHIFT = P4D_SHIFT + p4d
  PTE_TABLE_WORDS = sizes.pteTableWords
  PTE_FRAGMENTS = arch.pteFragments
  UPPER_TABLES_ARE_PAGES = arch.upperTablesArePages
  INVALIDATE = arch.invalidate
  TLB_MASK = sizes.tlbEntries - 1
  PCP_BATCH = sizes.pcpBatch
}
