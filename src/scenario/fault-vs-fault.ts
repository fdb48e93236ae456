// May two faults fill the same page, with no page table there yet? One page and one table must remain, and nothing leak.
import { scenario } from './scenario.ts'

/** Two CPUs write to the same page of a mapping whose PTE table does not exist yet. */
export const faultVsFault = scenario({
  name: 'fault-vs-fault',
  question: 'May two faults on one page race to build its table and to install it?',
  asked: 'field: pte_offset_map_lock and its recheck, series of May 2023',
  cpus: 2,
  // Speculative faults populate nothing: theirs is speculative-fault-vs-fault.
  designs: ['mmap-lock', 'vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    if (stage.tablesPerPage > 1) {
      // A fragment of a page that others have begun: who begins one is first-faults-below-two-pmds.
      stage.now(0, mm.mmap(stage.table(6), 1))
      stage.now(0, mm.write(stage.table(6), 1))
    }
    return { calls: [[mm.write(page, 1)], [mm.write(page, 2)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'cleared-when-mapped',
      wrong: 'a fresh page is cleared when it is in the page table already',
      edits: [
        {
          file: 'fault/anonymous.ts',
          from: '  zeroPage(pageToVirt(page), PAGE_WORDS)\n  return installAnonPage(mm, vma, vpn, pmd, page)\n',
          to: '  const result = installAnonPage(mm, vma, vpn, pmd, page)\n  zeroPage(pageToVirt(page), PAGE_WORDS)\n  return result\n',
        },
      ],
      unsafe: /no order of the calls|not ordered|data race|freed/,
    },
  ],
})

/** Two CPUs write to pages below two PMDs: each needs a fragment, and there is no page of fragments yet. */
export const firstFaultsBelowTwoPmds = scenario({
  name: 'first-faults-below-two-pmds',
  question: 'May two faults begin a page of page-table fragments at the same time?',
  asked: 'field: pte_fragment_alloc, where one of two fresh pages wins',
  cpus: 2,
  archs: ['powerpc64-hash-64k'],
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2 * stage.tablePages))
    return { calls: [[mm.read(page)], [mm.read(page + stage.tablePages)]] }
  },
  expect: 'safe',
})
