// sparc64: 8 KiB pages, tables of 1024 entries that are whole pages. Remote TLBs are flushed by cross calls, which are IPIs.
import { type Arch, EntryRead, Invalidate, ONE_WORD } from './arch.ts'

/**
 * Four levels, 53-bit addresses with a hole in the middle: user space is the 52 bits below it, as on the newest processors.
 * Small: pages of 64 words, four entries at each level.
 */
export const sparc64: Arch = Object.freeze({
  name: 'sparc64',
  draft: false,
  pageShift: 13,
  levelBits: Object.freeze([10, 10, 10, 10]),
  pteTableWords: 2048,
  pteFragments: 1,
  upperTablesArePages: true,
  invalidate: Invalidate.ipi,
  entryRead: EntryRead.whole,
  highPte: false,
  userAddressBits: 52,
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
