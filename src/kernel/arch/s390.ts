// s390: a PTE table has 256 entries, 2 KiB, so that two share a page; the tables above have 2048 entries, 16 KiB (CRST). An entry that
// maps nothing is not zero. Invalidation is broadcast (IPTE, IDTE). Without KVM's page status extensions, which give a table 4 KiB.
import { type Arch, EntryRead, Fragments, type Geometry, Invalidate, ONE_WORD } from './arch.ts'

/**
 * 4 KiB pages, three levels (region-third, segment, page table): 42-bit addresses, what a process begins with. Halves of a page are
 * handed out again (`s390-fragments.ts`). The invalid bit of a real PTE is 0x400; in our words that is a frame number's, and the bit
 * below it, which no entry that maps something has, stands for it. Empty upper entries are 0 here; the real ones have an invalid bit
 * (0x20) and their table's type. Small: halves of 32 words, of which a table uses 8, and upper tables of one page, lest CPUs meet at the
 * zone's lock for each.
 */
export const s390: Arch = Object.freeze({
  name: 's390',
  draft: false,
  pageShift: 12,
  levelBits: Object.freeze([8, 11, 11]),
  pteTableWords: 512,
  pteFragments: 2,
  fragments: Fragments.halves,
  upperTablesArePages: true,
  upperTableOrder: 2,
  emptyPte: 0x200,
  invalidate: Invalidate.broadcast,
  entryRead: EntryRead.whole,
  highPte: false,
  userAddressBits: 42,
  tlbEntries: 256,
  pcpBatch: 32,
  lowFrameBits: ONE_WORD,
  small: Object.freeze({
    pageShift: 8,
    levelBits: Object.freeze([2, 4, 2]),
    pteTableWords: 32,
    userAddressBits: 16,
    tlbEntries: 16,
    pcpBatch: 8,
    lowFrameBits: ONE_WORD,
  }),
})

// Upper tables of two pages, so that what frees the pages of a table together is checked somewhere.
const smallFourLevel: Geometry = Object.freeze({
  pageShift: 8,
  levelBits: Object.freeze([2, 2, 2, 2]),
  pteTableWords: 32,
  upperTableOrder: 1,
  userAddressBits: 16,
  tlbEntries: 16,
  pcpBatch: 8,
  lowFrameBits: ONE_WORD,
})
const smallFiveLevel: Geometry = Object.freeze({
  pageShift: 8,
  levelBits: Object.freeze([2, 2, 2, 1, 1]),
  pteTableWords: 32,
  userAddressBits: 16,
  tlbEntries: 16,
  pcpBatch: 8,
  lowFrameBits: ONE_WORD,
})

/** Four levels: 53-bit addresses. The real thing adds levels while a process runs, once it maps beyond what it has; here from boot. */
export const s390FourLevel: Arch = Object.freeze({
  ...s390,
  name: 's390-4level',
  levelBits: Object.freeze([8, 11, 11, 11]),
  userAddressBits: 53,
  small: smallFourLevel,
})

/** Five levels: 64-bit addresses, of which user space has 53 here, what a number of JavaScript holds exactly. */
export const s390FiveLevel: Arch = Object.freeze({
  ...s390,
  name: 's390-5level',
  levelBits: Object.freeze([8, 11, 11, 11, 11]),
  userAddressBits: 53,
  small: smallFiveLevel,
})
