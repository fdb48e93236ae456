// A fault under SRCU makes page tables and installs an entry while munmap clears and frees below it. SRCU keeps what the fault has
// found, not its truth: a table goes in only if the VMA is unchanged under page_table_lock, an entry only if it is under the lock
// of the PTE table; and munmap takes both locks once the VMA is marked.
import type { Combination } from './runner/axes.ts'
import { type Expectation, type Scenario, scenario, type Variant } from './scenario.ts'

const FILE = 'design/srcu.ts'

/** The look at the VMA under the lock of the PTE table, and what stands there without it. */
export const CHECK_UNDER_LOCK = `  if (readOnce(load(fault + Speculation.original) + Vma.lockSeq) !== load(fault + Speculation.seq)) {
    pteUnmapUnlock(ptep, load(thisCpu() + Cpu.out1))
    store(fault + Speculation.outcome, Outcome.changedAtEntry)
    return 0
  }
`

const NO_CHECK_UNDER_LOCK: Variant = {
  name: 'no-check-under-lock',
  wrong: 'the VMA is not looked at before the entry is set',
  edits: [{ file: FILE, from: CHECK_UNDER_LOCK, to: '' }],
  unsafe: /counters of mm|leak|in no mapping/,
}

const CHECK_BEFORE_LOCK: Variant = {
  name: 'check-before-lock',
  wrong: 'the VMA is looked at before the lock of the PTE table is taken, and not after',
  edits: [
    { file: FILE, from: CHECK_UNDER_LOCK, to: '' },
    {
      file: FILE,
      from: '  const fault = thisCpu() + Cpu.design\n  rcuReadLock()\n  const pmd = findPmd(mm, vpn)\n',
      to: `  const fault = thisCpu() + Cpu.design
  if (readOnce(load(fault + Speculation.original) + Vma.lockSeq) !== load(fault + Speculation.seq)) {
    store(fault + Speculation.outcome, Outcome.changedAtEntry)
    return 0
  }
  rcuReadLock()
  const pmd = findPmd(mm, vpn)
`,
    },
  ],
  unsafe: /counters of mm|leak|in no mapping/,
}

const TABLES_UNGUARDED: Variant = {
  name: 'tables-unguarded',
  wrong: 'missing tables are put in without a look at the VMA',
  edits: [
    {
      file: FILE,
      from: 'populateGuarded(mm, vpn, load(fault + Speculation.original) + Vma.lockSeq, load(fault + Speculation.seq))',
      to: 'populateGuarded(mm, vpn, 0, 0)',
    },
  ],
  unsafe: /words of page tables are counted|leak|use after free/,
}

const GUARD_UNLOCKED: Variant = {
  name: 'guard-looked-at-unlocked',
  wrong: 'whether a table may go in is decided before page_table_lock is taken',
  edits: [
    {
      file: 'pagetable/levels.ts',
      from: '  spinLock(mm + Mm.pageTableLock)\n  const refused = guard !== 0 && readOnce(guard) !== value\n',
      to: '  const refused = guard !== 0 && readOnce(guard) !== value\n  spinLock(mm + Mm.pageTableLock)\n',
    },
  ],
  unsafe: /words of page tables are counted|leak|use after free/,
}

const DETACH_PASSES_NO_LOCK: Variant = {
  name: 'detach-passes-no-lock',
  wrong: 'munmap frees tables without having taken page_table_lock once the VMA was marked',
  edits: [{ file: FILE, from: '  spinLock(mm + Mm.pageTableLock)\n  spinUnlock(mm + Mm.pageTableLock)\n', to: '' }],
  unsafe: /words of page tables are counted|leak|use after free/,
}

function expect({ design, freeing }: Combination): Expectation {
  if (design === 'srcu-prototype') return { unsafe: /in no mapping|leak|counters of mm|use after free|freed/ }
  // A walk is an RCU section with interrupts on: it answers the IPI for which such freeing waits, if it waits at all.
  return freeing === 'rcu-batch' ? 'safe' : { unsafe: /freed|reused|in no mapping/ }
}

/** CPU 0 faults on the second page of a mapping while CPU 1 unmaps all of it and waits until the tables are freed. */
export const srcuFaultVsMunmap: Scenario = scenario({
  name: 'srcu-fault-vs-munmap-that-frees-tables',
  question: 'May a fault under SRCU alone make page tables and install an entry beside the munmap that frees them?',
  asked: 'thread 003, Splitting the mmap_sem: "The tricky bit was validating everything on the second page-table walk", February 2020',
  cpus: 2,
  designs: ['srcu', 'srcu-sync', 'srcu-prototype'],
  archs: ['x86_64'],
  freeing: ['rcu-batch', 'immediate', 'ipi', 'ipi-all'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page, 1))
    return { calls: [[mm.write(page + 1, 7)], [mm.munmap(page, 2), stage.waitForCallbacks]] }
  },
  expect,
  variants: [NO_CHECK_UNDER_LOCK, CHECK_BEFORE_LOCK, TABLES_UNGUARDED],
})

/** The same where nothing is there yet: CPU 0 makes every table below the top, and CPU 1 finds some of them. */
export const srcuFirstFaultVsMunmap: Scenario = scenario({
  name: 'srcu-first-fault-vs-munmap',
  question: 'May a fault under SRCU put page tables in where a munmap beside it cleans up?',
  asked: 'bugs.md, B17e: a table allocated after free_pgtables has passed; speculative faults never populate upper levels',
  cpus: 2,
  designs: ['srcu'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    return { calls: [[mm.read(page)], [mm.munmap(page, 2), stage.waitForCallbacks]] }
  },
  expect: 'safe',
  variants: [GUARD_UNLOCKED, DETACH_PASSES_NO_LOCK],
})

/** CPU 0 finds that the PTE table is missing, below tables that are there; CPU 1 unmaps all of it and waits until these are freed. */
export const srcuFaultBelowTablesVsMunmap: Scenario = scenario({
  name: 'srcu-fault-below-tables-vs-munmap',
  question: 'May a fault under SRCU look in a preemptible kernel which table is missing, beside the munmap that frees those above it?',
  asked: 'thread 003, Splitting the mmap_sem: SRCU for the VMA, and RCU for each walk of the page tables',
  cpus: 2,
  designs: ['srcu'],
  archs: ['x86_64'],
  rcus: ['preemptible'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, stage.tablePages + 1))
    stage.now(0, mm.read(page))
    return { calls: [[mm.read(page + stage.tablePages)], [mm.munmap(page, stage.tablePages + 1), stage.waitForCallbacks]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'looked-for-outside-rcu',
      wrong: 'which table is missing is looked for under SRCU alone, for which nobody waits who frees tables',
      edits: [
        {
          file: 'pagetable/levels.ts',
          from: '    rcuReadLock()\n    const slot = missingTable(mm, vpn)\n    rcuReadUnlock()\n',
          to: '    const slot = missingTable(mm, vpn)\n',
        },
        { file: 'pagetable/levels.ts', from: "import { rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'\n", to: '' },
      ],
      unsafe: /use after free|freed|reused/,
    },
  ],
})
