// x86 with PAE: three levels, entries of two 32-bit halves, which nobody but the hardware reads in one go. Remote TLBs are
// flushed by IPI. PTE tables may lie in high memory (HIGHPTE), so that the entries of PMDs have a high half as well.
import { type Arch, EntryRead, Invalidate } from './arch.ts'

/**
 * 4 KiB pages, 32-bit addresses, four entries at the top. The low half of the real thing holds 20 bits of a frame number: 4 GiB,
 * more than our machines have. Here it holds fewer, so that both halves matter. Small: pages of 64 words, tables of 4, 16, 4.
 */
export const x86Pae: Arch = Object.freeze({
  name: 'x86-pae',
  draft: false,
  pageShift: 12,
  levelBits: Object.freeze([9, 9, 2]),
  pteTableWords: 1024,
  pteFragments: 1,
  upperTablesArePages: true,
  invalidate: Invalidate.ipi,
  entryRead: EntryRead.irqOff,
  highPte: true,
  userAddressBits: 32,
  tlbEntries: 256,
  pcpBatch: 32,
  lowFrameBits: 6,
  small: Object.freeze({
    pageShift: 8,
    levelBits: Object.freeze([2, 4, 2]),
    pteTableWords: 64,
    userAddressBits: 16,
    tlbEntries: 16,
    pcpBatch: 8,
    lowFrameBits: 1,
  }),
})

/** The same with interrupts on while an entry is read, and no IPI: low, high, and low again is all there is. */
export const x86PaeIrqsOn: Arch = Object.freeze({ ...x86Pae, name: 'x86-pae-irqs-on', draft: true, entryRead: EntryRead.retry })

/** The same with interrupts off from `pteOffsetMap` to `pteUnmap` (pte_access_start and pte_access_end of thread 001). */
export const x86PaeIrqsOffUntilUnmap: Arch = Object.freeze({
  ...x86Pae,
  name: 'x86-pae-irqs-off-until-unmap',
  draft: true,
  entryRead: EntryRead.irqOffUntilUnmap,
})
