// Two system calls that change the address space at once: they take turns, but each frees tables after it has downgraded
// mmap_lock, so that the other is already at work.
import { scenario } from './scenario.ts'

/** Two CPUs unmap neighbouring pages below one table; the last one out frees the table. */
export const munmapVsMunmap = scenario({
  name: 'munmap-vs-munmap',
  question: 'May two munmaps free what they have in common, one of them with mmap_lock downgraded?',
  asked: 'field: the downgrade of mmap_lock in munmap and its limits (floor and ceiling)',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    for (const cpu of [0, 1]) stage.now(cpu, mm.write(page + cpu, 1))
    return { calls: [[mm.munmap(page, 1)], [mm.munmap(page + 1, 1)]] }
  },
  expect: 'safe',
})
