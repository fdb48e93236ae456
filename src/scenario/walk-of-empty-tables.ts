// The hardware walks tables also where they map nothing. A munmap that finds no page, and so has no entry to flush, may still free
// tables: it must flush for those (freed_tables of mmu_gather), unless a grace period waits for the walk as well.
import { scenario } from './scenario.ts'

/** CPU 0 reads a page of which only the tables are there; CPU 1 unmaps it. */
export const walkOfEmptyTables = scenario({
  name: 'walk-of-empty-tables-vs-munmap',
  question: 'Is a walk of the hardware waited for by a munmap that frees tables and no pages?',
  asked: 'field: freed_tables of mmu_gather, 2018',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  freeing: ['rcu-batch', 'ipi'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page + 1, 1))
    // The mapping beside it keeps the tables.
    stage.now(0, mm.munmap(page + 1, 1))
    return { calls: [[mm.read(page)], [mm.munmap(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'flushed-for-pages-only',
      wrong: 'a gather that has tables and no pages does not flush',
      edits: [{ file: 'pagetable/mmu-gather.ts', from: '  if (load(cpu + Cpu.gatherEnd) === 0) tlbAddRange(0, 1)\n', to: '' }],
      unsafe: /use after free/,
      on: { freeing: 'ipi' },
    },
  ],
})
