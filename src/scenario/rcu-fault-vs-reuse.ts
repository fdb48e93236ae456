// Memory of VMAs is type-safe: under vma-lock it may be another VMA at once. A fault that has no count on its VMA could not tell by
// numbers, for those of two address spaces are the same ones: so here a VMA is freed after a grace period, and one section lasts from the
// look-up to the entry.
import type { Calls } from './runner/calls.ts'
import type { Stage } from './runner/stage.ts'
import { scenario } from './scenario.ts'

/** Two address spaces, the first on CPU 0, whose first writers give their VMAs the same number; its table stays, its page is gone. */
function twoSpaces(stage: Stage): { readonly mm: Calls; readonly other: Calls; readonly page: number } {
  const mm = stage.newMm([0])
  const other = stage.newMm([])
  const page = stage.table(4)
  stage.now(0, mm.mmap(page, 1))
  stage.now(0, mm.mmap(page + 2, 1))
  stage.now(0, mm.write(page, 1))
  stage.now(0, mm.write(page + 2, 1))
  stage.now(0, mm.dontneed(page, 1))
  return { mm, other, page }
}

/** CPU 0 faults in one address space; CPU 1 unmaps there and maps in another one, which gets the memory of a freed VMA. */
export const rcuFaultVsReuse = scenario({
  name: 'rcu-fault-vs-reuse',
  question: 'May the VMA of a fault in an RCU section be freed and be another address space’s VMA with the same number?',
  asked: 'thread 003, phases 2 and 3: VMAs looked up under RCU; bugs.md, B15: vma_start_read on a reused VMA',
  cpus: 2,
  designs: ['rcu-fault'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const { mm, other, page } = twoSpaces(stage)
    return { calls: [[mm.write(page, 7)], [mm.munmap(page, 1), other.mmap(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'freed-at-once',
      wrong: 'the memory of a VMA may be another VMA at once, as under vma-lock',
      edits: [
        {
          file: 'design/rcu-fault.ts',
          from: 'callRcu(vma + Vma.rcuHead, RcuFunc.vmaAndFile)',
          to: 'kmemCacheFree(Cache.vma, vma)',
        },
        {
          file: 'design/rcu-fault.ts',
          from: "import { callRcu, rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'\nimport { RcuFunc } from '../sync/rcu-func.ts'\n",
          to: "import { rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'\n",
        },
      ],
      unsafe: /in no mapping|counters of mm|data race|stale translation/,
    },
  ],
})

/** The same with a read, which needs no anon_vma; and CPU 1 waits for a grace period before it maps in the other address space. */
export const rcuFaultVsLateReuse = scenario({
  name: 'rcu-fault-vs-late-reuse',
  question: 'Does the RCU section of a fault reach from the look-up of the VMA to its last use?',
  asked: 'thread 003, phase 3: page faults entirely under the RCU read lock',
  cpus: 2,
  designs: ['rcu-fault'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const { mm, other, page } = twoSpaces(stage)
    return { calls: [[mm.read(page)], [mm.munmap(page, 1), stage.waitForCallbacks, other.mmap(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'two-sections',
      wrong: 'the VMA is looked up in one RCU section and used in the next',
      edits: [
        {
          file: 'design/rcu-fault.ts',
          from: '  const vma = vmaLookup(mm, vpn)\n',
          to: '  const vma = vmaLookup(mm, vpn)\n  rcuReadUnlock()\n  setContext(Mode.kernel)\n  rcuReadLock()\n',
        },
        {
          file: 'design/rcu-fault.ts',
          from: 'import { load, readOnce,',
          to: "import { Mode, setContext } from '../machine/entry.ts'\nimport { load, readOnce,",
        },
      ],
      unsafe: /use after free: CPU 0|in no mapping|counters of mm|stale translation/,
    },
  ],
})
