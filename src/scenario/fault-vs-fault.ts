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
    return { calls: [[mm.write(page, 1)], [mm.write(page, 2)]] }
  },
  expect: 'safe',
})
