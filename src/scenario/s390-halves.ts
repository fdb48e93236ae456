// s390: two page tables share a page, and with it a reference count in which each has two bits, one rcu_head, and the list words that
// lie over that (thread 004, G. Schaefer: "page->rcu_head would overlay with page->lru, right?"). Halves are handed out again, unlike
// powerpc's fragments, so that a half must not be while somebody may still walk it.
import { Cache } from '../kernel/memory/slab.ts'
import { SmapsWalk } from '../kernel/proc/smaps.ts'
import type { Calls } from './runner/calls.ts'
import type { Stage } from './runner/stage.ts'
import { type Scenario, scenario, type Variant } from './scenario.ts'

const FILE = 'pagetable/s390-fragments.ts'
const DRAFT = 'pte-free-defer-one-head'
const WALKED = /use after free|reused too early|allocated twice|is not ordered with/
const common = {
  cpus: 2,
  designs: ['vma-lock'],
  archs: ['s390'],
}

/** An address space with a table for each of `tables`, made by CPU 1 in this order, so that the first two share a page. */
function tablesOf(stage: Stage, tables: readonly number[]): Calls {
  const mm = stage.newMm()
  for (const n of tables) {
    stage.now(1, mm.mmap(stage.table(n), 1))
    stage.now(1, mm.write(stage.table(n), n))
  }
  return mm
}

const unsafeDraft: Scenario['expect'] = ({ freeing }) => (freeing === DRAFT ? { unsafe: /rcu_head|data race/ } : 'safe')

/** Both CPUs unmap a table; the two are halves of one page. */
export const twoDeferredHalves = scenario({
  ...common,
  name: 's390-two-deferred-halves',
  question: 'May both halves of a page be deferred together?',
  asked: 'thread 004, G. Schaefer, 1 June 2023: two page tables in one page could result in the same rcu_head reused; bugs.md, B1',
  freeing: ['pte-free-defer', DRAFT, 'rcu-batch'],
  setUp: (stage) => {
    const mm = tablesOf(stage, [4, 6])
    const munmap = (n: number): ReturnType<Calls['munmap']> => mm.munmap(stage.table(n), 1)
    return { calls: [[munmap(4)], [munmap(6), stage.waitForCallbacks]] }
  },
  expect: unsafeDraft,
})

/**
 * CPU 0 unmaps the only table of a page, which so is on the list; CPU 1 needs a table. `waits`: CPU 0 waits until its table is free, so
 * that the page may be gone when CPU 1 looks.
 */
function halfVsAllocation(name: string, question: string, waits: boolean, unsafe: RegExp): Scenario {
  return scenario({
    ...common,
    name,
    question,
    asked: 'thread 004, G. Schaefer, 1 June 2023: page->lru keeps the list of free fragments and lies over page->rcu_head; bugs.md, B2',
    freeing: ['pte-free-defer', DRAFT],
    setUp: (stage) => {
      const mm = tablesOf(stage, [4])
      stage.now(1, mm.mmap(stage.table(6), 1))
      return { calls: [[mm.munmap(stage.table(4), 1), ...(waits ? [stage.waitForCallbacks] : [])], [mm.write(stage.table(6), 7)]] }
    },
    expect: ({ freeing }) => (freeing === DRAFT ? { unsafe } : 'safe'),
  })
}

/** The draft: list_del writes into the queued rcu_head. */
export const deferredHalfVsAllocation = halfVsAllocation(
  's390-deferred-half-vs-allocation',
  'May a half be deferred by the rcu_head of a page that is on the list of pages with a half to spare?',
  false,
  /rcu_head .* is written|data race/,
)

/** The draft: call_rcu has written over the page's place in the list, which so cannot be taken off: list_del goes through NULL. */
export const freedHalfVsAllocation = halfVsAllocation(
  's390-freed-half-vs-allocation',
  'Is a page whose half was deferred taken off the list of pages with a half to spare before it is freed?',
  true,
  /NULL pointer|rcu_head|data race/,
)

const activeIsListed: Variant = {
  name: 'active-page-put-back',
  wrong: 'a page with a deferred half goes back to the list',
  edits: [
    {
      file: FILE,
      from: '  if (!otherInUse || (readOnce(page + Page.flags) & PageFlag.active) !== 0) listDelInit',
      to: '  if (!otherInUse) listDelInit',
    },
  ],
  unsafe: WALKED,
}

/** Both halves of a page are used. CPU 0 walks one under RCU; CPU 1 unmaps it, and at once needs a table for another place. */
export const deferredHalfVsReuse = scenario({
  ...common,
  name: 's390-deferred-half-vs-reuse',
  question: 'Is a half that was deferred handed out again under a walker that holds RCU alone?',
  asked: 'thread 004 and its follow-up: a page with a deferred half (PageActive) must never be on the list; algorithms.md 2.3, (iii)',
  freeing: ['pte-free-defer', 'rcu-batch', 'immediate'],
  setUp: (stage) => {
    const mm = tablesOf(stage, [4, 6])
    stage.now(1, mm.mmap(stage.table(8), 1))
    return { calls: [[mm.smaps(stage.table(4), 1, SmapsWalk.rcu)], [mm.munmap(stage.table(4), 1), mm.write(stage.table(8), 7)]] }
  },
  expect: ({ freeing }) => (freeing === 'immediate' ? { unsafe: WALKED } : 'safe'),
  variants: [
    { ...activeIsListed, on: { freeing: 'pte-free-defer' } },
    {
      name: 'pending-is-free',
      wrong: 'a half is handed out while its freeing is pending: only the bits of what is allocated are looked at (B25)',
      edits: [
        {
          file: FILE,
          from: 'const inUse = ((count >>> ALLOCATED_SHIFT) | (count >>> PENDING_SHIFT)) & BOTH\n  if (inUse === BOTH) return 0',
          to: 'const inUse = (count >>> ALLOCATED_SHIFT) & BOTH\n  if (inUse === BOTH) return 0',
        },
      ],
      unsafe: WALKED,
      on: { freeing: 'rcu-batch' },
    },
  ],
})

/** The only table of a page: CPU 0 walks it under RCU, CPU 1 unmaps it. */
export const lastHalfVsWalker = scenario({
  ...common,
  name: 's390-last-half-vs-walker',
  question: 'Is the page of the last half freed under a walker that holds RCU alone?',
  asked: 'thread 004: do the call_rcu once, for the case where both 2K fragments become unused',
  freeing: ['pte-free-defer', 'rcu-batch'],
  setUp: (stage) => {
    const mm = tablesOf(stage, [4])
    const page = stage.table(4)
    return { calls: [[mm.smaps(page, 1, SmapsWalk.rcu)], [mm.munmap(page, 1), stage.waitForCallbacks]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'mark-not-looked-at',
      wrong: 'a page of which neither half is in use goes at once, marked or not',
      edits: [
        {
          file: FILE,
          from: '  if ((atomicAnd(page + Page.flags, ~PageFlag.active) & PageFlag.active) !== 0) callRcu',
          to: '  if ((atomicAnd(page + Page.flags, ~PageFlag.active) & PageFlag.active) < 0) callRcu',
        },
      ],
      unsafe: WALKED,
      on: { freeing: 'pte-free-defer' },
    },
    {
      name: 'not-marked',
      wrong: 'a deferred half does not mark its page',
      edits: [
        { file: FILE, from: '  atomicOr(virtToPage(table) + Page.flags, PageFlag.active)\n', to: '' },
        { file: FILE, from: 'atomicAnd, atomicOr, load', to: 'atomicAnd, load' },
      ],
      unsafe: WALKED,
      on: { freeing: 'pte-free-defer' },
    },
  ],
})

/** Both halves of a page are used: CPU 0 unmaps one through a batch, CPU 1, without memory for one, defers the other. */
export const bothWaysOfFreeing = scenario({
  ...common,
  name: 's390-freed-and-deferred',
  question: 'May one half of a page be freed after a batch while the other is deferred by itself?',
  asked: 'algorithms.md 2.3: page_table_free_rcu and pte_free_defer on one page; A, P and PageActive',
  freeing: ['rcu-batch'],
  setUp: (stage) => {
    const mm = tablesOf(stage, [4, 6])
    // CPU 1 finds no memory for a batch, and defers its table.
    stage.shortage(0, 0, Cache.gatherBatch, 1)
    return { calls: [[mm.munmap(stage.table(4), 1)], [mm.munmap(stage.table(6), 1), stage.waitForCallbacks]] }
  },
  expect: 'safe',
})
