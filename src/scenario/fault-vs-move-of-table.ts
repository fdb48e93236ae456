// mremap moves a whole page table where it can. A fault that holds no lock of its VMA may have that table locked: what it clears there it
// flushes at the old place.
import { Remap } from '../kernel/syscall/mremap.ts'
import { scenario } from './scenario.ts'

/**
 * CPU 0 writes to a page that was shared once, and copies it because somebody has a reference. CPU 1 moves the table below, reads the page
 * at its new place, gives the reference back, and reads again.
 */
export const faultVsMoveOfTable = scenario({
  name: 'fault-vs-move-of-table',
  question: 'May mremap move a page table in which a fault is at work?',
  asked: 'bugs.md, B17d: Android, move_normal_pmd beside speculative page faults (bug 263177905)',
  cpus: 2,
  archs: ['x86_64'],
  usually: { designs: ['speculative'] },
  setUp: async (stage) => {
    const { holdPage, letGo } = await stage.program<typeof import('./programs/page-reference.ts')>('page-reference')
    const mm = stage.newMm()
    const page = stage.table(4)
    const target = stage.table(6)
    stage.now(0, mm.mmap(page, stage.tablePages))
    stage.now(0, mm.write(page, 7))
    // Its child takes the right to write away with it.
    const child = stage.now(0, mm.fork())
    stage.now(
      0,
      stage.call('exit()', () => stage.kernel.sysExit(child)),
    )
    const held = stage.now(
      0,
      stage.call('get_page()', () => holdPage(mm.mm, page)),
    )
    const move = mm.mremap(page, stage.tablePages, stage.tablePages, Remap.mayMove | Remap.fixed, target)
    return { calls: [[mm.write(page, 8)], [move, mm.read(target), stage.call('put_page()', () => letGo(held)), mm.read(target)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'table-not-locked',
      wrong: 'mremap moves the table under the lock of its slots alone',
      edits: [
        { file: 'pagetable/move-page-tables.ts', from: '    const ptl = pteLockptr(pmdval)\n    spinLock(ptl)\n', to: '' },
        { file: 'pagetable/move-page-tables.ts', from: '    spinUnlock(ptl)\n', to: '' },
        { file: 'pagetable/move-page-tables.ts', from: 'import { pteLockptr, pteOffsetMapLock,', to: 'import { pteOffsetMapLock,' },
      ],
      unsafe: /use after free: CPU 1|stale translation/,
    },
  ],
})

/** CPU 1, which has a page in its TLB, reads it while CPU 0 moves its table, and unmaps it at its new place. */
export const userAccessVsMoveOfTable = scenario({
  name: 'user-access-vs-move-of-table',
  question: 'May a TLB have a page at its old place when its table has been moved?',
  asked: 'field: move_normal_pmd flushes before it drops the locks',
  cpus: 2,
  archs: ['x86_64', 'arm64-4k', 'x86-pae'],
  usually: { designs: ['mmap-lock'], archs: ['x86_64'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, stage.tablePages))
    stage.now(1, mm.write(page, 7))
    const move = mm.mremap(page, stage.tablePages, stage.tablePages, Remap.mayMove | Remap.fixed, stage.table(6))
    return { calls: [[move], [mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'not-flushed',
      wrong: 'what TLBs have of the old place stays',
      edits: [{ file: 'pagetable/move-page-tables.ts', from: '    flushTlbMmRange(mm, from, from + (1 << PMD_SHIFT))\n', to: '' }],
      unsafe: /stale translation|no order of the calls|use after free/,
    },
  ],
})
