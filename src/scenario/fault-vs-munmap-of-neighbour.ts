// May a fault run beside a munmap of the VMA next to its own, whose tables it shares? free_pgtables must leave the tables
// that the neighbour needs (floor and ceiling), and the lookup must not stumble over the tree's rebuilding.
import { READ_ONLY } from './runner/calls.ts'
import { scenario } from './scenario.ts'

/** CPU 0 faults in one VMA while CPU 1 unmaps the one beside it, below the same PTE table. */
export const faultVsMunmapOfNeighbour = scenario({
  name: 'fault-vs-munmap-of-neighbour',
  question: 'May a fault race a munmap of the neighbouring VMA below the same page table?',
  asked: 'thread 003, Splitting the mmap_sem, February 2020',
  cpus: 2,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.mmap(page + 1, 1, READ_ONLY))
    stage.now(0, mm.read(page + 1))
    return { calls: [[mm.write(page, 7)], [mm.munmap(page + 1, 1)]] }
  },
  expect: 'safe',
})
