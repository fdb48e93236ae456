// arm64 with its three page sizes: tables are whole pages but for the top one, and remote TLBs are invalidated by broadcast
// (TLBI): no IPI is ever sent for a flush, so that whoever has interrupts off holds nobody up.
import { type Arch, EntryRead, type Geometry, Invalidate, ONE_WORD } from './arch.ts'

const SMALL_4K: Geometry = Object.freeze({
  pageShift: 8,
  levelBits: Object.freeze([2, 2, 2, 2]),
  pteTableWords: 64,
  userAddressBits: 16,
  tlbEntries: 16,
  pcpBatch: 8,
  lowFrameBits: ONE_WORD,
})
const SMALL_16K: Geometry = Object.freeze({ ...SMALL_4K, levelBits: Object.freeze([2, 2, 3, 1]) })
const SMALL_64K: Geometry = Object.freeze({ ...SMALL_4K, levelBits: Object.freeze([2, 4, 2]) })

/**
 * 4 KiB pages, four levels of 512 entries. User space has all 48 bits: the kernel's half of the addresses hangs off another
 * register. Small: pages of 64 words, four entries at each level.
 */
export const arm64Pages4k: Arch = Object.freeze({
  name: 'arm64-4k',
  draft: false,
  pageShift: 12,
  levelBits: Object.freeze([9, 9, 9, 9]),
  pteTableWords: 1024,
  pteFragments: 1,
  upperTablesArePages: true,
  invalidate: Invalidate.broadcast,
  entryRead: EntryRead.whole,
  highPte: false,
  userAddressBits: 48,
  tlbEntries: 256,
  pcpBatch: 32,
  lowFrameBits: ONE_WORD,
  small: SMALL_4K,
})

/** 16 KiB pages, tables of 2048 entries, of which the fourth level has two: a PGD of 16 bytes, from a slab. Small: 4, 4, 8, 2. */
export const arm64Pages16k: Arch = Object.freeze({
  ...arm64Pages4k,
  name: 'arm64-16k',
  pageShift: 14,
  levelBits: Object.freeze([11, 11, 11, 1]),
  pteTableWords: 4096,
  pgdIsPage: false,
  small: SMALL_16K,
})

/** 64 KiB pages, three levels; a PTE table of 8192 entries maps 512 MiB, the PGD has 64 entries, from a slab. Small: 4, 16, 4. */
export const arm64Pages64k: Arch = Object.freeze({
  ...arm64Pages4k,
  name: 'arm64-64k',
  pageShift: 16,
  levelBits: Object.freeze([13, 13, 6]),
  pteTableWords: 16384,
  pgdIsPage: false,
  small: SMALL_64K,
})
