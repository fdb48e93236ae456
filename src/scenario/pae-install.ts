// The order in which the halves of an entry are stored on x86 PAE: an entry becomes present when its low half is stored, so the
// high one must be there before and go after it; and none is what has no low half.
import { scenario } from './scenario.ts'

const ASKED = 'thread 001, pmdp_get_lockless() on PAE; field: native_set_pte and native_pte_clear of x86 with PAE'

/** Both CPUs touch a page of a range that has no tables yet: one stores what the other reads. */
export const paeInstall = scenario({
  name: 'pae-install',
  question: 'May a fault or the hardware come upon an entry of two halves while it is installed?',
  asked: ASKED,
  cpus: 2,
  archs: ['x86-pae'],
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    // The mapping begins below, so that it has its anon_vma; the page is in the first table of another PMD table.
    const below = stage.table(15)
    const page = stage.table(16) + 1
    stage.now(0, mm.mmap(below, page - below + 1))
    stage.now(0, mm.write(below, 1))
    return { calls: [[mm.write(page, 1)], [mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'pmd-low-half-first',
      wrong: 'a table is made present before the high half of its entry is there',
      edits: [
        {
          file: 'pagetable/entries.ts',
          from: '  if (ENTRY_READ !== EntryRead.whole) setHigh(slot, entry & ~UPPER_LOW)\n  rcuAssignPointer(slot, entry & UPPER_LOW)\n',
          to: '  rcuAssignPointer(slot, entry & UPPER_LOW)\n  if (ENTRY_READ !== EntryRead.whole) setHigh(slot, entry & ~UPPER_LOW)\n',
        },
      ],
      unsafe: /torn read/,
    },
    {
      name: 'pte-low-half-first',
      wrong: 'a page is made present before the high half of its entry is there',
      edits: [
        {
          file: 'pagetable/entries.ts',
          from: '  if (ENTRY_READ !== EntryRead.whole) setHigh(ptep, pte & ~PTE_LOW)\n  writeOnce(ptep, pte & PTE_LOW)\n',
          to: '  writeOnce(ptep, pte & PTE_LOW)\n  if (ENTRY_READ !== EntryRead.whole) setHigh(ptep, pte & ~PTE_LOW)\n',
        },
      ],
      unsafe: /torn read/,
    },
    {
      name: 'none-by-both-halves',
      wrong: 'a slot of which only the high half is stored so far is not taken for none',
      edits: [{ file: 'pagetable/entries.ts', from: '    if (low === 0) return 0\n', to: '' }],
      unsafe: /no order of the calls explains/,
    },
  ],
})

/** CPU 0 touches a page while CPU 1 drops it: the hardware, or the fault, comes upon the entry as it is cleared. */
export const paeClear = scenario({
  name: 'pae-clear',
  question: 'May a fault or the hardware come upon an entry of two halves while it is cleared?',
  asked: ASKED,
  cpus: 2,
  archs: ['x86-pae'],
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(1, mm.write(page, 1))
    return { calls: [[mm.read(page)], [mm.dontneed(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'high-half-first',
      wrong: 'the high half is cleared while the entry is still present',
      edits: [
        {
          file: 'pagetable/entries.ts',
          from: '  const low = xchg(ptep, EMPTY_PTE)\n  // Nobody else stores to the high half: the lock is held, and for the hardware the entry is gone.\n  return ENTRY_READ === EntryRead.whole ? low : low | xchg(ptep + 1, 0)\n',
          to: '  const high = xchg(ptep + 1, 0)\n  return xchg(ptep, EMPTY_PTE) | high\n',
        },
      ],
      unsafe: /torn read/,
    },
  ],
})
