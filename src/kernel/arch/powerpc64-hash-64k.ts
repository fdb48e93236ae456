// powerpc64, hash MMU, 64 KiB pages: a PTE table is 2 KiB of entries and 2 KiB of hash slots, so that sixteen of them
// share one page, one struct page and one lock. Invalidation is broadcast (tlbie).
import { type Arch, Invalidate } from './arch.ts'

/** 64 KiB pages, 52-bit addresses; upper tables of 8 KiB and 2 KiB come from slabs. User space defaults to 47 bits. */
export const powerpc64Hash64k: Arch = Object.freeze({
  name: 'powerpc64-hash-64k',
  pageShift: 16,
  levelBits: Object.freeze([8, 10, 10, 8]),
  pteTableWords: 1024,
  pteFragments: 16,
  upperTablesArePages: false,
  invalidate: Invalidate.broadcast,
  userAddressBits: 47,
})
