// Fork takes the right to write from the parent's entries. Another thread of the parent may go on writing through its TLB until that
// is flushed: harmless while nobody else runs, for then the child may as well have been made later; wrong once a fault has copied
// one page while the next one is still written in place: the child sees a later write, and not an earlier one.
import { scenario } from './scenario.ts'

/** CPU 0 forks; CPU 1, whose TLB has one of two pages, writes first to the other one and then to that. */
export const forkVsStaleTlb = scenario({
  name: 'fork-vs-stale-tlb',
  question: 'Must fork flush before it lets faults of the parent in again?',
  asked: 'field: flush_tlb_mm at the end of dup_mmap, under mmap_lock; 6ce64428d62026 (a fault copies a page that a TLB can still write)',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'], // every design has mmap_lock held for writing during fork
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page + 1, 1))
    stage.now(1, mm.write(page, 1))
    return { calls: [[mm.fork()], [mm.write(page + 1, 2), mm.write(page, 2)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'flushed-after-the-locks',
      wrong: 'fork gives mmap_lock back before it flushes',
      edits: [
        {
          file: 'syscall/fork.ts',
          from: '  flushTlbMmRange(parent, 0, 0x7fffffff)\n  mmapWriteUnlock(child)\n  mmapWriteUnlock(parent)\n',
          to: '  mmapWriteUnlock(child)\n  mmapWriteUnlock(parent)\n  flushTlbMmRange(parent, 0, 0x7fffffff)\n',
        },
      ],
      unsafe: /no order of the calls|stale translation/,
    },
    {
      name: 'not-flushed',
      wrong: 'fork does not flush',
      edits: [
        { file: 'syscall/fork.ts', from: '  flushTlbMmRange(parent, 0, 0x7fffffff)\n', to: '' },
        { file: 'syscall/fork.ts', from: "import { flushTlbMmRange } from '../pagetable/tlb-flush.ts'\n", to: '' },
      ],
      unsafe: /no order of the calls|stale translation/,
    },
  ],
})
