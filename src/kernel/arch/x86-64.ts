// x86_64 with four levels: whole-page tables of 512 entries, remote TLBs are flushed by IPI.
import { type Arch, Invalidate } from './arch.ts'

/** 4 KiB pages, 48-bit addresses of which user space has 47. */
export const x86_64: Arch = Object.freeze({
  name: 'x86_64',
  pageShift: 12,
  levelBits: Object.freeze([9, 9, 9, 9]),
  pteTableWords: 1024,
  pteFragments: 1,
  upperTablesArePages: true,
  invalidate: Invalidate.ipi,
  userAddressBits: 47,
})
