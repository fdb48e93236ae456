// Who gives an empty page table back holds mmap_lock for reading, so that the sequence count does not change. A fault that has
// walked to the table must see by itself that it is still linked, once it holds the table's lock.
import { scenario } from './scenario.ts'

/** CPU 0 faults on a page of the table that CPU 1 empties and gives back. */
export const speculativeFaultVsTableReclaim = scenario({
  name: 'speculative-fault-vs-table-reclaim',
  question: 'May empty page tables be given back, under mmap_lock for reading, beside faults that hold nothing?',
  asked: 'thread 002, D. Hildenbrand, 9 July 2021: how does it protect against page table reclaim?',
  cpus: 2,
  designs: ['speculative', 'speculative-irq'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, stage.tablePages))
    stage.now(0, mm.write(page, 1))
    return { calls: [[mm.write(page + 1, 7)], [mm.dontneed(page, stage.tablePages)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'pmd-not-looked-at-again',
      wrong: 'the PMD is compared before the lock is taken and not after, as in the posted series',
      edits: [
        {
          file: 'design/speculative.ts',
          from: `  if (upperGetLockless(pmd) !== pmdval) {
    spinUnlock(ptl)
    return refuse(Outcome.pmdChanged, form)
  }
`,
          to: '',
        },
      ],
      unsafe: /counters of mm|leak|no order of the calls explains/,
    },
  ],
})
