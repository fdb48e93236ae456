// The interface of an architecture: a frozen file of facts, and the numbers that hot paths read, bound once per machine.
// Sizes are those of the real architecture; beside them each file gives a scaled-down geometry, which keeps levels and
// fragments and shrinks pages and tables, so that a machine under the checker is a few thousand words.

/** How a remote TLB is invalidated. */
export const Invalidate = Object.freeze({ ipi: 0, broadcast: 1 })

/**
 * How an entry is read by whoever does not hold its lock. `whole`: entries are read and written in one go. The others are for
 * entries of two halves, read low, high, and low again until both agree: `retry` with interrupts as they are; `irqOff` with
 * interrupts off meanwhile, and whoever unhooks a table sends an IPI to all before anything else can be put there;
 * `irqOffUntilUnmap` the same with interrupts off until `pteUnmap`.
 */
export const EntryRead = Object.freeze({ whole: 0, retry: 1, irqOff: 2, irqOffUntilUnmap: 3 })

/**
 * How the fragments of a page are handed out. `bump`: one after the other, each once, so that a page dies when all have been freed
 * (powerpc). `halves`: two, each again and again, with a list of pages that have one to spare (s390).
 */
export const Fragments = Object.freeze({ bump: 0, halves: 1 })

/** The sizes of an architecture. Entries of tables are 8 bytes unless said. */
export interface Geometry {
  /** log2 of the page size in bytes. */
  readonly pageShift: number
  /** log2 of the entries of a PTE table, then of each level above it up to the PGD: 2 to 5 numbers. */
  readonly levelBits: readonly number[]
  /** Words of one PTE table, including what the hardware keeps beside the entries (hash slots). */
  readonly pteTableWords: number
  /** log2 of how many pages a table above the PTE level has, where those are pages: 0 if left out. */
  readonly upperTableOrder?: number
  /** Bits of a user virtual address. */
  readonly userAddressBits: number
  /** Bits of the addresses below which mmap places what names none (DEFAULT_MAP_WINDOW); left out where that is all of user space. */
  readonly mapWindowBits?: number
  /** Entries of each CPU's software TLB: a power of two, at most `TLB_ENTRIES`. */
  readonly tlbEntries: number
  /** Frames that move between the zone and a CPU's list at a time. */
  readonly pcpBatch: number
  /** Bits of a frame number that an entry's low half holds, the high half having the others; `ONE_WORD` where entries are whole. */
  readonly lowFrameBits: number
}

/** What an architecture is. */
export interface Arch extends Geometry {
  readonly name: string
  /** A form that was proposed and is wrong somewhere: there to be shown so, only where it is asked for. */
  readonly draft: boolean
  /** PTE tables that share one page (and its struct page and lock). */
  readonly pteFragments: number
  /** How they are handed out: a value of `Fragments`, `bump` if left out. */
  readonly fragments?: number
  /** Whether tables above the PTE level are whole pages (else they come from slabs of their own size). */
  readonly upperTablesArePages: boolean
  /** The same for the PGD, where it is otherwise there: it may have fewer entries than the others, or more. */
  readonly pgdIsPage?: boolean
  /** What the low word of a PTE holds that maps nothing: 0 if left out. An entry that maps something never has this value. */
  readonly emptyPte?: number
  /** How other CPUs' TLBs are invalidated: a value of `Invalidate`. */
  readonly invalidate: number
  /** How entries are read without their lock: a value of `EntryRead`. */
  readonly entryRead: number
  /** Whether PTE tables may lie in memory that must be mapped before use (HIGHPTE): maps are then undone in reverse order. */
  readonly highPte: boolean
  /** The same levels and fragments, few entries, tiny pages. */
  readonly small: Geometry
}

/** Which of an architecture's two geometries a machine has: real sizes, or the scaled-down ones. */
export const GeometryId = Object.freeze({ real: 0, small: 1 })

/** The sizes that `arch` has in geometry `id` (see `GeometryId`). */
export function geometryOf(arch: Arch, id: number): Geometry {
  return id === GeometryId.small ? arch.small : arch
}

/** Words of one page-table entry: 8 bytes, of which the low word carries flags and (see `lowFrameBits`) the frame number. */
export const ENTRY_WORDS = 2
/** `lowFrameBits` of an architecture whose low words carry all there is. */
export const ONE_WORD = 22

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
/** A value of `Fragments`. */
export let FRAGMENTS = 0
export let UPPER_TABLES_ARE_PAGES = true
export let PGD_IS_PAGE = true
export let UPPER_TABLE_ORDER = 0
export let EMPTY_PTE = 0
export let INVALIDATE = 0
/** A value of `EntryRead`. */
export let ENTRY_READ = 0
/** The bits of a PTE and of an upper entry that lie in the low half; the others lie in the high one, in their own places. */
export let PTE_LOW = -1
export let UPPER_LOW = -1
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
  FRAGMENTS = arch.fragments ?? Fragments.bump
  UPPER_TABLES_ARE_PAGES = arch.upperTablesArePages
  PGD_IS_PAGE = arch.pgdIsPage ?? arch.upperTablesArePages
  UPPER_TABLE_ORDER = sizes.upperTableOrder ?? 0
  EMPTY_PTE = arch.emptyPte ?? 0
  INVALIDATE = arch.invalidate
  ENTRY_READ = arch.entryRead
  const whole = arch.entryRead === EntryRead.whole
  PTE_LOW = whole ? -1 : (1 << (10 + sizes.lowFrameBits)) - 1
  UPPER_LOW = whole ? -1 : (1 << (sizes.pageShift - 2 + sizes.lowFrameBits)) - 1
  TLB_MASK = sizes.tlbEntries - 1
  PCP_BATCH = sizes.pcpBatch
}
