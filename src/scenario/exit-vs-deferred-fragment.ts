// The page of fragments that an address space is cutting tables from, at its exit: what was never handed out is given back while
// other CPUs free fragments of the same page after their grace periods.
import { scenario } from './scenario.ts'

/** CPU 0 exits the address space; on CPU 1 a table of its last page of fragments waits for the end of a grace period. */
export const exitVsDeferredFragment = scenario({
  name: 'exit-vs-deferred-fragment',
  question: 'May an address space exit while a fragment of its last page of tables is still to be freed?',
  asked: 'field: pte_frag_destroy beside pte_fragment_free of powerpc, both counting in pt_frag_refcount',
  cpus: 2,
  archs: ['powerpc64-hash-64k'],
  usually: { designs: ['vma-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const [page, other] = [stage.table(4), stage.table(6)]
    for (const one of [page, other]) {
      stage.now(1, mm.mmap(one, 1))
      stage.now(1, mm.write(one, 1))
    }
    stage.now(1, mm.munmap(page, 1))
    // Whoever exits has nothing of it loaded any more.
    stage.newMm()
    return { calls: [[mm.exit()], [stage.waitForCallbacks]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'unused-counted-in-two-steps',
      wrong: 'what was never handed out is taken from the count by a read and a write',
      edits: [
        {
          file: 'pagetable/table-alloc.ts',
          from: '  if (atomicAdd(page + Page.ptFragRefcount, -unused) === 0) freeTablePage(page)',
          to: '  const left = atomicAdd(page + Page.ptFragRefcount, 0) - unused\n  writeOnce(page + Page.ptFragRefcount, left)\n  if (left === 0) freeTablePage(page)',
        },
      ],
      unsafe: /leak|freed|not ordered/,
    },
  ],
})
