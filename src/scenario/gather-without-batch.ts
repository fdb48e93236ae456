// An mmu_gather that gets no memory for a batch flushes and frees in between: pages at once, since they are flushed, tables each by
// itself after a grace period, since walkers may hold nothing but RCU. A batch that is full goes, and the next table gets a new one.
import { Cache } from '../kernel/memory/slab.ts'
import { SmapsWalk } from '../kernel/proc/smaps.ts'
import { type Scenario, scenario } from './scenario.ts'

/** CPU 0 walks under RCU the tables that CPU 1 unmaps without memory for a batch. */
const TABLES: Scenario = {
  name: 'tables-without-batch',
  question: 'Is a page table that finds no room in a batch freed under a walker that holds RCU alone?',
  asked: 'thread 004, pte_free_defer(): no memory may be needed; tlb_remove_table_one and its IPI',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(1, mm.write(page, 7))
    stage.shortage(1, 0, Cache.gatherBatch, 0)
    return { calls: [[mm.smaps(page, 1, SmapsWalk.rcu)], [mm.munmap(page, 1), stage.waitForCallbacks]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'freed-at-once',
      wrong: 'a table that finds no room in a batch is freed at once',
      edits: [
        {
          file: 'pagetable/mmu-gather.ts',
          from: '      beforeTablesAreFreed()\n      freeUnhookedTable(table, level)\n',
          to: '      beforeTablesAreFreed()\n      tableFreeMemory(table, level)\n',
        },
      ],
      unsafe: /use after free|is not ordered with/,
    },
    {
      name: 'no-grace-period',
      wrong: 'a deferred table does not wait for a grace period',
      edits: [{ file: 'pagetable/pte-free-defer.ts', from: 'callRcu(page + Page.rcuHead, RcuFunc.tablePage)', to: 'freePage(page)' }],
      unsafe: /use after free|is not ordered with/,
    },
  ],
}
export const tablesWithoutBatch = scenario(TABLES)

/** CPU 0 writes to the last of more pages than a gather holds; CPU 1 unmaps them all without memory for a batch. */
export const pagesWithoutBatch = scenario({
  name: 'pages-without-batch',
  question: 'Is a page that finds no room in a batch freed before the TLBs have forgotten it?',
  asked: 'field: __tlb_remove_page_size says that the gather must flush; bugs.md, B4: the TLB flush comes after the page is free',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const pages = 9
    stage.now(0, mm.mmap(page, pages))
    for (let i = 0; i < pages; i++) stage.now(1, mm.write(page + i, i + 1))
    stage.now(0, mm.write(page + pages - 1, 1))
    stage.shortage(0, 2, Cache.gatherBatch, 0)
    return { calls: [[mm.write(page + pages - 1, 7)], [mm.dontneed(page, pages)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'freed-before-the-flush',
      wrong: 'a page that finds no room in a batch is freed without a flush',
      edits: [
        {
          file: 'pagetable/mmu-gather.ts',
          from: '    tlbFlushMmu()\n    putPage(page) // the flush',
          to: '    putPage(page) // the flush',
        },
      ],
      unsafe: /use after free|is not ordered with|stale/,
    },
  ],
})

/** CPU 0 walks `how` the tables that CPU 1 unmaps without memory for a batch, where Linux's fallback of old frees them after an IPI. */
function withoutBatch(
  name: string,
  how: number,
  holds: string,
  expect: Scenario['expect'],
  archs = ['x86_64', 'powerpc64-hash-64k', 's390'],
  rest: Pick<Scenario, 'freeing' | 'variants'> = {},
): Scenario {
  return scenario({
    name,
    question: `Is a page table that finds no room in a batch, and goes after an IPI to all, freed under a walker that holds ${holds}?`,
    asked: 'bugs.md, B22: tlb_remove_table_one and its IPI; fixed for reclaim of empty tables, 2024',
    cpus: 2,
    designs: ['vma-lock'],
    archs,
    freeing: ['rcu-batch', 'rcu-batch-ipi-fallback'],
    setUp: (stage) => {
      const mm = stage.newMm()
      const page = stage.table(4)
      stage.now(0, mm.mmap(page, 1))
      // The zero page: were a page of its own freed, a batch could be made from it.
      stage.now(1, mm.read(page))
      stage.shortage(1, 0, Cache.gatherBatch, 0)
      return { calls: [[mm.smaps(page, 1, how)], [mm.munmap(page, 1), stage.waitForCallbacks]] }
    },
    expect,
    ...rest,
  })
}

/** Under RCU alone: an IPI is answered inside the section. */
export const ipiFallbackVsRcu = withoutBatch('ipi-fallback-vs-smaps-under-rcu', SmapsWalk.rcu, 'RCU alone', ({ freeing }) =>
  freeing === 'rcu-batch-ipi-fallback' ? { unsafe: /freed|reused/ } : 'safe',
)

/** With interrupts off: the IPI waits. */
export const ipiFallbackVsIrqOff = withoutBatch('ipi-fallback-vs-smaps-irq-off', SmapsWalk.irqOff, 'interrupts off', 'safe', [
  'x86_64',
  's390',
])

/** Under mmap_lock. */
export const ipiFallbackVsMmapLock = withoutBatch('ipi-fallback-vs-smaps-under-mmap-lock', SmapsWalk.mmapLock, 'mmap_lock', 'safe', [
  'powerpc64-hash-64k',
])

/** With interrupts off where flushes are broadcast: whoever frees tables at once must send the IPI itself, batch or no batch. */
export const ipiAllWithoutBatch = withoutBatch(
  'ipi-all-without-batch-vs-smaps-irq-off',
  SmapsWalk.irqOff,
  'interrupts off',
  'safe',
  ['arm64-4k'],
  {
    freeing: ['ipi-all'],
    variants: [
      {
        name: 'freed-without-ipi',
        wrong: 'a table that finds no room in a batch is freed without an IPI to those that walk with interrupts off',
        edits: [
          {
            file: 'pagetable/mmu-gather.ts',
            from: '      beforeTablesAreFreed()\n      freeUnhookedTable(table, level)\n',
            to: '      freeUnhookedTable(table, level)\n',
          },
        ],
        unsafe: /use after free/,
      },
    ],
  },
)

/** CPU 0 reads a page that its TLB does not know; CPU 1 unmaps it without memory for a batch, and the tables go at once. */
export const ipiFallbackVsHardware = scenario({
  name: 'ipi-fallback-vs-hardware-walk',
  question: 'Is a page table that finds no room in a batch freed while the hardware walks it?',
  asked: 'field: tlb_table_flush: tlb_flush_mmu_tlbonly before tlb_remove_table_one; the hardware answers no IPI',
  cpus: 2,
  designs: ['vma-lock'],
  archs: ['x86_64', 'arm64-4k'],
  freeing: ['rcu-batch-ipi-fallback'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    // The zero page: were a page of its own freed, a batch could be made from it.
    stage.now(1, mm.read(page))
    stage.shortage(1, 0, Cache.gatherBatch, 0)
    return { calls: [[mm.read(page)], [mm.munmap(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'freed-before-the-flush',
      wrong: 'a table that finds no room in a batch is freed without a flush',
      edits: [
        {
          file: 'pagetable/mmu-gather.ts',
          from: '      tlbFlushMmu()\n      beforeTablesAreFreed()\n',
          to: '      beforeTablesAreFreed()\n',
        },
      ],
      unsafe: /use after free/,
    },
  ],
})

/** The same on s390, where a table above the PTE tables has several pages (four, here two), which go together. */
export const crstTablesWithoutBatch = scenario({
  ...TABLES,
  name: 'crst-tables-without-batch',
  question: 'Is an upper table of several pages that finds no room in a batch freed under a walker that holds RCU alone?',
  asked: 'thread 004, pte_free_defer() for s390; crst_table_free: region and segment tables have four pages',
  designs: ['vma-lock'],
  archs: ['s390-4level'],
  variants: [
    {
      name: 'no-grace-period',
      wrong: 'a deferred table of several pages does not wait for a grace period',
      edits: [
        {
          file: 'pagetable/pte-free-defer.ts',
          from: 'callRcu(page + Page.rcuHead, RcuFunc.tablePages)',
          to: 'tablePagesFreeRcu(page + Page.rcuHead)',
        },
      ],
      unsafe: /use after free|reused too early|is not ordered with/,
    },
  ],
})

/** PTE tables that need, with those above them, more than one batch: all that the small machine can map. */
const TABLES_OF_TWO_BATCHES = 62

/** CPU 0 unmaps more tables than a batch has room for. */
export const fullBatch = scenario({
  name: 'more-tables-than-a-batch',
  question: 'Is a batch of page tables that is full given away before the next table comes?',
  asked: 'tlb_remove_table: tlb_table_flush as soon as the batch has MAX_TABLE_BATCH tables',
  cpus: 1,
  designs: ['vma-lock'],
  archs: ['powerpc64-hash-64k'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const map = (tables: number): void => {
      stage.now(0, mm.mmap(stage.table(1), tables * stage.tablePages))
      for (let n = 1; n <= tables; n++) stage.now(0, mm.read(stage.table(n)))
    }
    // What lies around the batch was a batch before, and is free: writes to it do not go unnoticed.
    for (const batches of [8, 4]) {
      for (let i = 0; i < batches; i++) {
        map(1)
        stage.now(0, mm.munmap(stage.table(1), stage.tablePages))
      }
      stage.now(0, stage.waitForCallbacks)
    }
    map(TABLES_OF_TWO_BATCHES)
    const pages = TABLES_OF_TWO_BATCHES * stage.tablePages
    return { calls: [[mm.munmap(stage.table(1), pages), stage.waitForCallbacks]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'not-flushed',
      wrong: 'a batch that is full takes more tables',
      edits: [{ file: 'pagetable/mmu-gather.ts', from: '  if (n + 1 === GATHER_BATCH_ENTRIES) tlbFlushMmu()\n', to: '' }],
      unsafe: /./,
    },
  ],
})
