// MADV_DONTNEED goes from VMA to VMA under mmap_lock for reading: none of them may go meanwhile.
import type { Call, Calls } from './runner/calls.ts'
import { type Scenario, scenario } from './scenario.ts'

function adviceVsMunmap(name: string, question: string, advise: (mm: Calls, page: number) => Call): Scenario {
  return scenario({
    name,
    question,
    asked: 'field: madvise_lock, mmap_lock for reading; munmap downgrades only once its VMAs are out of the tree',
    cpus: 2,
    archs: ['x86_64'],
    setUp: (stage) => {
      const mm = stage.newMm()
      const page = stage.table(4)
      stage.now(0, mm.mmap(page, 2))
      stage.now(0, mm.write(page, 1))
      return { calls: [[advise(mm, page)], [mm.munmap(page, 2)]] }
    },
    expect: 'safe',
    variants: [
      {
        name: 'not-locked',
        wrong: 'the range is walked without mmap_lock',
        edits: [
          { file: 'syscall/madvise.ts', from: '  mmapReadLock(mm)\n  tlbGatherMmu(mm)\n', to: '  tlbGatherMmu(mm)\n' },
          { file: 'syscall/madvise.ts', from: '  tlbFinishMmu()\n  mmapReadUnlock(mm)\n', to: '  tlbFinishMmu()\n' },
        ],
        unsafe: /use after free|data race|is not ordered with|no order/,
      },
    ],
  })
}

/** CPU 0 gives back what CPU 1 unmaps. */
export const dontneedVsMunmap = adviceVsMunmap('dontneed-vs-munmap', 'May MADV_DONTNEED be on a range that is unmapped?', (mm, page) =>
  mm.dontneed(page, 2),
)

/** CPU 0 declares free what CPU 1 unmaps. */
export const madviseFreeVsMunmap = adviceVsMunmap('madvise-free-vs-munmap', 'May MADV_FREE be on a range that is unmapped?', (mm, page) =>
  mm.free(page, 2),
)
