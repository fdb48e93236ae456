// Two address spaces that share a page let go of it at once: how many entries map it must come out right.
import { scenario } from './scenario.ts'

/** Parent and child unmap the page that they share. */
export const unmapOfSharedPage = scenario({
  name: 'unmap-of-shared-page',
  question: 'May parent and child unmap a page that they share at the same time?',
  asked: 'field: folio_remove_rmap_pte, an atomic count because page-table locks differ',
  cpus: 2,
  setUp: (stage) => {
    const parent = stage.newMm([0])
    const page = stage.table(4)
    stage.now(0, parent.mmap(page, 1))
    stage.now(0, parent.write(page, 1))
    const child = stage.callsOn(stage.now(0, parent.fork()), [1])
    return { calls: [[parent.dontneed(page, 1)], [child.dontneed(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'count-in-two-steps',
      wrong: 'the count of mappings is read and then written',
      edits: [
        {
          file: 'memory/rmap.ts',
          from: '  atomicAdd(page + Page.mapcount, -1)',
          to: '  writeOnce(page + Page.mapcount, readOnce(page + Page.mapcount) - 1)',
        },
        { file: 'memory/rmap.ts', from: 'readOnce, store }', to: 'readOnce, store, writeOnce }' },
      ],
      unsafe: /bad page/,
    },
  ],
})
