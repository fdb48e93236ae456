// Tables that lie in one page share its struct page, and with it their page-table lock. Who holds the locks of two tables at once
// must see when they are one: mremap moves entries between two tables, fork copies them from one to another.
import { Remap } from '../kernel/syscall/mremap.ts'
import { scenario } from './scenario.ts'

const ASKED = 'thread 004 and field: fragments share the page-table lock; move_ptes and copy_pte_range nest two of them'

/** CPU 0 moves a page to another table, in which CPU 1 faults; where tables are fragments both have one lock. */
export const mremapBetweenTables = scenario({
  name: 'mremap-between-tables-that-share-a-lock',
  question: 'May mremap hold the locks of two page tables that lie in one page?',
  asked: ASKED,
  cpus: 2,
  archs: ['powerpc64-hash-64k', 'powerpc64-radix-64k'],
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const [page, other] = [stage.table(4), stage.table(6)]
    stage.now(0, mm.mmap(page, 1))
    stage.now(1, mm.mmap(other, 2))
    stage.now(0, mm.write(page, 1))
    stage.now(1, mm.read(other))
    return { calls: [[mm.mremap(page, 1, 1, Remap.mayMove | Remap.fixed, other + 3)], [mm.read(other + 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'lock-taken-twice',
      wrong: 'mremap takes the lock of the second table without looking whether it has it already',
      edits: [
        { file: 'pagetable/move-page-tables.ts', from: '  if (newPtl !== oldPtl) spinLock(newPtl)\n', to: '  spinLock(newPtl)\n' },
        { file: 'pagetable/move-page-tables.ts', from: '  if (newPtl !== oldPtl) spinUnlock(newPtl)\n', to: '  spinUnlock(newPtl)\n' },
      ],
      unsafe: /deadlock|lock order/,
    },
    {
      name: 'tables-compared',
      wrong: 'mremap looks whether the tables are one, not whether their locks are',
      edits: [
        {
          file: 'pagetable/move-page-tables.ts',
          from: '  if (newPtl !== oldPtl) spinLock(newPtl)\n',
          to: '  if (newPmd !== oldPmd) spinLock(newPtl)\n',
        },
        {
          file: 'pagetable/move-page-tables.ts',
          from: '  if (newPtl !== oldPtl) spinUnlock(newPtl)\n',
          to: '  if (newPmd !== oldPmd) spinUnlock(newPtl)\n',
        },
      ],
      unsafe: /deadlock|lock order/,
    },
  ],
})

/** CPU 0 forks while CPU 1 faults in the table that is copied: parent and child hand out fragments of pages of their own. */
export const forkOfFragments = scenario({
  name: 'fork-of-tables-that-share-a-lock',
  question: 'May fork hold the locks of a table and of its copy without looking whether they are one?',
  asked: ASKED,
  cpus: 2,
  archs: ['powerpc64-radix-64k'],
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page, 1))
    return { calls: [[mm.fork()], [mm.read(page + 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'fragments-of-the-parents-page',
      wrong: 'the child gets its tables from the page that the parent hands out',
      edits: [
        {
          file: 'pagetable/copy-page-range.ts',
          from: 'if (to === 0 || pteAlloc(child, to) !== 0) return 1',
          to: 'if (to === 0 || pteAlloc(parent, to) !== 0) return 1',
        },
      ],
      unsafe: /deadlock|lock order/,
    },
  ],
})
