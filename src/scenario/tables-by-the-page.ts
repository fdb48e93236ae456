// What if the first fault below sixteen neighbouring PMD entries fills all of them, with the tables of one page? Faults then find
// tables that others put there, munmap leaves and finds tables below which no VMA lies, and the page goes with its last table.
// (In the small geometry a PMD table has four entries: that is the group.)
import { type Scenario, scenario } from './scenario.ts'

const ON: Pick<Scenario, 'asked' | 'cpus' | 'archs' | 'designs' | 'tables'> = {
  asked: 'thread 000, Freeing page tables through RCU, 25 February 2021: fill 16 consecutive PMDs from one page of 64 KiB',
  cpus: 2,
  archs: ['powerpc64-hash-64k'],
  designs: ['vma-lock'],
  tables: ['sixteen'],
}

/** Two CPUs read the first page below neighbouring entries of one group. */
export const groupFirstFaults = scenario({
  ...ON,
  name: 'group-first-faults',
  question: 'May two first faults below neighbouring PMD entries both fill their group?',
  setUp: (stage) => {
    const mm = stage.newMm()
    const pages = [stage.table(4), stage.table(5)]
    // The PMD table is there, with one table of the group.
    stage.now(0, mm.mmap(stage.table(7), 1))
    stage.now(0, mm.read(stage.table(7)))
    for (const call of [mm.mmap, mm.munmap]) stage.now(0, call(stage.table(4), 2 * stage.tablePages))
    for (const page of pages) stage.now(0, mm.mmap(page, 1))
    stage.now(0, stage.waitForCallbacks)
    return { calls: pages.map((page) => [mm.read(page)]) }
  },
  expect: 'safe',
  variants: [
    {
      name: 'not-looked-at-again',
      wrong: 'an entry that somebody filled meanwhile is filled again',
      edits: [{ file: 'pagetable/table-group.ts', from: 'if (!upperNone(readOnce(slot))) continue', to: 'if (upperNone(slot)) continue' }],
      unsafe: /leak|counters of/,
    },
    {
      name: 'rest-not-given-back',
      wrong: 'tables of the page that somebody else had put there already keep counting',
      edits: [
        { file: 'pagetable/table-group.ts', from: '  if (filled < group) pteFragmentsPut(page, group - filled)\n', to: '' },
        { file: 'pagetable/table-group.ts', from: 'freshTablePage, pteFragmentsPut }', to: 'freshTablePage }' },
      ],
      unsafe: /leak|never freed/,
    },
  ],
})

/**
 * The group holds a table of CPU 1's mapping and none of CPU 0's. CPU 0 touches its mapping, which fills the group, and unmaps it;
 * CPU 1 unmaps its own beside it: what CPU 0 fills behind its back has no VMA, and must go with CPU 0's.
 */
export const groupFaultVsMunmap = scenario({
  ...ON,
  name: 'group-fault-vs-munmap-of-neighbour',
  question: 'Who frees a table that a fault puts where a munmap beside it has just taken one away?',
  setUp: (stage) => {
    const mm = stage.newMm()
    const [below, theirs, ours] = [stage.table(4), stage.table(5), stage.table(6)]
    stage.now(1, mm.mmap(theirs, 1))
    stage.now(1, mm.write(theirs, 1))
    // What the write has filled beside its own table goes with mappings that were never touched.
    for (const page of [below, ours]) {
      stage.now(0, mm.mmap(page, 1))
      stage.now(0, mm.munmap(page, 1))
    }
    stage.now(0, mm.mmap(ours, 1))
    stage.now(0, stage.waitForCallbacks)
    return { calls: [[mm.read(ours), mm.munmap(ours, 1)], [mm.munmap(theirs, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'only-the-range',
      wrong: 'munmap frees the tables of its range alone, not those beside it below which no VMA lies',
      edits: [
        { file: 'pagetable/free-pgtables.ts', from: 'groupStart(start)', to: 'start' },
        { file: 'pagetable/free-pgtables.ts', from: 'groupEnd(end)', to: 'end' },
        { file: 'pagetable/free-pgtables.ts', from: "import { groupEnd, groupStart } from './table-group.ts'\n", to: '' },
      ],
      unsafe: /leak|counters of/,
    },
    {
      name: 'counted-late',
      wrong: 'the tables of the page are counted when they can be reached already',
      edits: [
        { file: 'pagetable/table-group.ts', from: '  writeOnce(page + Page.ptFragRefcount, group)\n', to: '' },
        {
          file: 'pagetable/table-group.ts',
          from: '  spinUnlock(mm + Mm.pageTableLock)\n',
          to: '  spinUnlock(mm + Mm.pageTableLock)\n  writeOnce(page + Page.ptFragRefcount, group)\n',
        },
      ],
      unsafe: /leak|never freed|freed/,
      on: { freeing: 'pte-free-defer' },
    },
  ],
})

/** Two CPUs unmap what lies below two entries of one group, and all tables of its page are deferred. */
export const groupDeferred = scenario({
  ...ON,
  name: 'group-deferred',
  question: 'May the tables of one group be deferred one by one, through the one rcu_head of their page?',
  freeing: ['pte-free-defer', 'pte-free-defer-one-head'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const pages = [stage.table(4), stage.table(6)]
    for (const [cpu, page] of pages.entries()) {
      stage.now(cpu, mm.mmap(page, 1))
      stage.now(cpu, mm.write(page, 1))
    }
    return { calls: pages.map((page, cpu) => [mm.munmap(page, 1), ...(cpu === 1 ? [stage.waitForCallbacks] : [])]) }
  },
  expect: ({ freeing }) => (freeing === 'pte-free-defer-one-head' ? { unsafe: /rcu_head|data race/ } : 'safe'),
})
