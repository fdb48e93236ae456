// x86_64 with four levels: whole-page tables of 512 entries, remote TLBs are flushed by IPI.
import { type Arch, EntryRead, Invalidate, ONE_WORD } from './arch.ts'

/** 4 KiB pages, 48-bit addresses of which user space has 47. Small: pages of 64 words, four entries at each level. */
export const x86_64: Arch = Object.freeze({
  name: 'x86_64',
  draft: false,
  pageShift: 12,
  levelBits: Object.freeze([9, 9, 9, 9]),
  pteTableWords: 1024,
  pteFragments: 1,
  upperTablesArePages: true,
  invalidate: Invalidate.ipi,
  entryRead: EntryRead.whole,
  highPte: false,
  userAddressBits: 47,
  tlbEntries: 256,
  pcpBatch: 32,
  lowFrameBits: ONE_WORD,
  small: Object.freeze({
    pageShift: 8,
    levelBits: Object.freeze([2, 2, 2, 2]),
    pteTableWords: 64,
    userAddressBits: 16,
    tlbEntries: 16,
    pcpBatch: 8,
    lowFrameBits: ONE_WORD,
  }),
})
