// x86_64 with five levels (LA57): as with four, and a P4D between PGD and PUD.
import { type Arch, ONE_WORD } from './arch.ts'
import { x86_64 } from './x86-64.ts'

/**
 * 57-bit addresses, of which user space has 56; mmap hands out 47 unless a program names an address above them, so that most
 * programs use one entry of the PGD and one P4D table. Small: 4, 4, 4, 2, 2 entries, both entries of the PGD in user space.
 */
export const x86_64FiveLevels: Arch = Object.freeze({
  ...x86_64,
  name: 'x86_64-5level',
  levelBits: Object.freeze([9, 9, 9, 9, 9]),
  userAddressBits: 56,
  mapWindowBits: 47,
  small: Object.freeze({
    pageShift: 8,
    levelBits: Object.freeze([2, 2, 2, 1, 1]),
    pteTableWords: 64,
    userAddressBits: 16,
    tlbEntries: 16,
    pcpBatch: 8,
    lowFrameBits: ONE_WORD,
  }),
})
