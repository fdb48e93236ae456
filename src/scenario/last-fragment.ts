// On powerpc sixteen page tables share a page, or 256. A table that is deferred is only given back, with a mark on its page: when the last
// one is, the whole page must go through RCU, because of walkers in any of its tables.

import { Cache } from '../kernel/memory/slab.ts'
import { SmapsWalk } from '../kernel/proc/smaps.ts'
import { type Scenario, scenario } from './scenario.ts'

/** Tables that the set-up has at a time: of 256, and more, a small machine cannot map all at once. */
const AT_A_TIME = 15

/**
 * How many tables are deferred together, if not `AT_A_TIME`: the first draft for powerpc bears no more than one, and the sketch with
 * bitmaps just two, of which the second queues the head for both.
 */
const TOGETHER: Readonly<Record<string, number>> = { 'pte-free-defer-one-head': 1, 'pte-free-defer-bitmap': 2 }

/** CPU 0 walks under RCU a table that is, alone or with those deferred together, the last of its page; CPU 1 unmaps what is left. */
const DEFINITION: Scenario = {
  name: 'last-fragment-vs-walker',
  question: 'Is the page of the last deferred fragment freed under a walker that holds RCU alone?',
  asked: 'thread 004, pte_free_defer() for powerpc: PageActive and pt_frag_refcount',
  cpus: 2,
  archs: ['powerpc64-hash-64k'],
  freeing: [
    'rcu-batch',
    'pte-free-defer',
    'pte-free-defer-one-head',
    'pte-free-defer-increments',
    'pte-free-defer-bitmap',
    'pte-free-defer-bitmap-fixed',
  ],
  setUp: (stage) => {
    const mm = stage.newMm()
    const together = TOGETHER[stage.combination.freeing]
    const last = together ?? 1
    const atATime = together ?? AT_A_TIME
    // All fragments of a page are handed out, and all but the last given back.
    for (let left = stage.tablesPerPage - last; left > 0; left -= atATime) {
      const tables = Math.min(left, atATime)
      stage.now(1, mm.mmap(stage.table(1), tables * stage.tablePages))
      stage.now(1, mm.populate(stage.table(1), tables * stage.tablePages, false))
      stage.now(1, mm.munmap(stage.table(1), tables * stage.tablePages))
      stage.now(1, stage.waitForCallbacks)
    }
    const page = stage.table(AT_A_TIME + 1)
    const pages = (last - 1) * stage.tablePages + 1
    stage.now(1, mm.mmap(page, pages))
    for (let n = 0; n < last; n++) stage.now(1, mm.write(page + n * stage.tablePages, 1))
    // Tables that go one by one.
    if (stage.combination.freeing === 'rcu-batch') stage.shortage(1, 0, Cache.gatherBatch, 0)
    return { calls: [[mm.smaps(page, 1, SmapsWalk.rcu)], [mm.munmap(page, pages), stage.waitForCallbacks]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'not-marked',
      wrong: 'a deferred fragment does not mark its page',
      edits: [
        { file: 'pagetable/pte-free-defer.ts', from: '    atomicOr(page + Page.flags, PageFlag.active)\n', to: '' },
        { file: 'pagetable/pte-free-defer.ts', from: "import { atomicOr } from '../machine/instructions.ts'\n", to: '' },
        { file: 'pagetable/pte-free-defer.ts', from: 'import { Page, PageFlag, virtToPage }', to: 'import { Page, virtToPage }' },
      ],
      unsafe: /use after free|reused too early|is not ordered with/,
    },
    {
      name: 'mark-not-looked-at',
      wrong: 'a page whose last fragment is freed goes at once, marked or not',
      edits: [
        {
          file: 'pagetable/table-alloc.ts',
          from: '  if ((atomicAnd(page + Page.flags, ~PageFlag.active) & PageFlag.active) !== 0) callRcu',
          to: '  if ((atomicAnd(page + Page.flags, ~PageFlag.active) & PageFlag.active) < 0) callRcu',
        },
      ],
      unsafe: /use after free|reused too early|is not ordered with/,
    },
    {
      name: 'increments-freed-at-once',
      wrong: 'a page whose last fragment is deferred by increments goes at once',
      edits: [
        {
          file: 'pagetable/pte-free-defer-drafts.ts',
          from: 'callRcu(page + Page.rcuHead, RcuFunc.tableIncrements)',
          to: 'incrementsFreeRcu(page + Page.rcuHead)',
        },
      ],
      unsafe: /use after free|reused too early|is not ordered with/,
      on: { freeing: 'pte-free-defer-increments' },
    },
    {
      name: 'bits-freed-at-once',
      wrong: 'a page whose last fragment is deferred by a bit goes at once',
      edits: [
        {
          file: 'pagetable/pte-free-defer-bitmap.ts',
          from: '  store(map + FragmentMap.due, bit)\n  callRcu(map + FragmentMap.rcuHead, RcuFunc.tableBitmapFixed)',
          to: '  store(map + FragmentMap.due, bit)\n  bitmapFixedFreeRcu(map + FragmentMap.rcuHead)',
        },
      ],
      unsafe: /use after free|reused too early|is not ordered with/,
      on: { freeing: 'pte-free-defer-bitmap-fixed' },
    },
  ],
}

/** Sixteen tables in a page. */
export const lastFragmentVsWalker = scenario(DEFINITION)

/** 256 tables in a page. */
export const lastFragmentOf256VsWalker = scenario({
  ...DEFINITION,
  name: 'last-fragment-of-256-vs-walker',
  archs: ['powerpc64-radix-64k'],
  designs: ['vma-lock'],
  freeing: ['pte-free-defer', 'pte-free-defer-increments'],
  variants: [],
})
