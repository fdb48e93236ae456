// powerpc64, hash MMU, 64 KiB pages: a PTE table is 2 KiB of entries and 2 KiB of hash slots, so that sixteen of them
// share one page, one struct page and one lock. Invalidation is broadcast (tlbie).
import { type Arch, EntryRead, Invalidate, ONE_WORD } from './arch.ts'

/**
 * 64 KiB pages, 52-bit addresses; upper tables of 8 KiB and 2 KiB come from slabs. User space defaults to 47 bits. Small: a
 * PTE table is 4 entries and as many hash slots, 16 of them a page of 256 words; upper tables have 4 entries (8 words).
 */
export const powerpc64Hash64k: Arch = Object.freeze({
  name: 'powerpc64-hash-64k',
  draft: false,
  pageShift: 16,
  levelBits: Object.freeze([8, 10, 10, 8]),
  pteTableWords: 1024,
  pteFragments: 16,
  upperTablesArePages: false,
  invalidate: Invalidate.broadcast,
  entryRead: EntryRead.whole,
  highPte: false,
  userAddressBits: 47,
  tlbEntries: 256,
  pcpBatch: 32,
  lowFrameBits: ONE_WORD,
  small: Object.freeze({
    pageShift: 10,
    levelBits: Object.freeze([2, 2, 2, 2]),
    pteTableWords: 16,
    userAddressBits: 18,
    tlbEntries: 16,
    pcpBatch: 8,
    lowFrameBits: ONE_WORD,
  }),
})
