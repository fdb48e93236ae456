// Could interrupts stay off from pteOffsetMap to pteUnmap (pte_access_start and pte_access_end), rather than only while the PMD
// is read? Who holds a page-table lock may be waiting for an IPI to be answered, and who waits for that lock would not answer.
import { scenario } from './scenario.ts'

/** CPU 0 breaks copy on write of a page, which flushes under the table's lock, while CPU 1 faults in the page beside it. */
export const paeIrqsOffUntilUnmap = scenario({
  name: 'pae-irqs-off-until-unmap',
  question: 'May interrupts be off from pteOffsetMap to pteUnmap, lock included?',
  asked: 'thread 001, "I infer that what you need is a pte_access_start() and a pte_access_end()", 11 May 2023',
  cpus: 2,
  archs: ['x86-pae', 'x86-pae-irqs-off-until-unmap'],
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page, 3))
    stage.callsOn(stage.now(0, mm.fork()), [])
    stage.now(1, mm.read(page))
    return { calls: [[mm.write(page, 9)], [mm.read(page + 1)]] }
  },
  expect: ({ arch }) => (arch === 'x86-pae' ? 'safe' : { unsafe: /deadlock|lock order: .* IPI acknowledgement/ }),
})
