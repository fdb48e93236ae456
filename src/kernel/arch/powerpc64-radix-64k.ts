// powerpc64, radix MMU, 64 KiB pages: a PTE table is 32 entries, 256 bytes, so that 256 of them share one page, one struct page
// with its refcount and rcu_head, and one lock. Invalidation is broadcast (tlbie).
import { type Arch, EntryRead, Invalidate, ONE_WORD } from './arch.ts'

/**
 * 64 KiB pages, 52-bit addresses, of which mmap hands out 47 unless asked for more; PMD and PUD tables of 4 KiB come from slabs, the
 * PGD of 8192 entries fills a page. Small: a PTE table is 4 entries (8 words, the least that an upper entry can point to), and all
 * 256 fragments are kept, because how many share a page is the point: pages have 2048 words.
 */
export const powerpc64Radix64k: Arch = Object.freeze({
  name: 'powerpc64-radix-64k',
  draft: false,
  pageShift: 16,
  levelBits: Object.freeze([5, 9, 9, 13]),
  pteTableWords: 64,
  pteFragments: 256,
  upperTablesArePages: false,
  pgdIsPage: true,
  invalidate: Invalidate.broadcast,
  entryRead: EntryRead.whole,
  highPte: false,
  userAddressBits: 52,
  mapWindowBits: 47,
  tlbEntries: 256,
  pcpBatch: 32,
  lowFrameBits: ONE_WORD,
  small: Object.freeze({
    pageShift: 13,
    levelBits: Object.freeze([2, 2, 2, 2]),
    pteTableWords: 8,
    userAddressBits: 21,
    tlbEntries: 16,
    pcpBatch: 8,
    lowFrameBits: ONE_WORD,
  }),
})
