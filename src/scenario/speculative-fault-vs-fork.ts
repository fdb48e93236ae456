// fork copies page tables under mmap_lock held for writing, so that speculative faults see the count change. A series that counted in
// each VMA, where fork did not, let faults replace pages that fork had copied.
import { scenario } from './scenario.ts'
import { seqFaultVsFork } from './vma-lock-seq.ts'

/** CPU 0 writes to two pages below two tables while CPU 1 forks: the child has both values, the first, or none. */
export const speculativeFaultVsFork = scenario({
  name: 'speculative-fault-vs-fork',
  question: 'May a speculative fault replace a page that fork is copying?',
  asked: 'bugs.md, B17 c: copy_pte_range beside wp_page_copy in the v12 series',
  cpus: 2,
  designs: ['speculative'],
  archs: ['x86_64'],
  setUp: seqFaultVsFork.setUp,
  expect: 'safe',
  variants: [
    {
      name: 'fork-not-counted',
      wrong: 'fork takes mmap_lock without changing the count that speculative faults look at',
      edits: [
        {
          file: 'syscall/fork.ts',
          from: "import { mmapWriteLock, mmapWriteUnlock } from '../vma/mmap-lock.ts'\n",
          to: "import { downWrite, upWrite } from '../sync/rwsem.ts'\nimport { mmapWriteLock, mmapWriteUnlock } from '../vma/mmap-lock.ts'\n",
        },
        { file: 'syscall/fork.ts', from: '  mmapWriteLock(parent)\n', to: '  downWrite(parent + Mm.mmapLock)\n' },
        { file: 'syscall/fork.ts', from: '  mmapWriteUnlock(parent)\n', to: '  upWrite(parent + Mm.mmapLock)\n' },
      ],
      unsafe: /no order of the calls explains/,
    },
  ],
})
