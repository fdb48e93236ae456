// s390: two page tables share a page, and with it a reference count in which each has two bits, one rcu_head, and the list words that
// lie over that (thread 004, G. Schaefer: "page->rcu_head would overlay with page->lru, right?"). Halves are handed out again, unlike
// powerpc's fragments, so that a half must not be while somebody may still walk it.
import { Cache } from '../kernel/memory/slab.ts'
import { SmapsWalk } from '../kernel/proc/smaps.ts'
import type { Call, Calls } from './runner/calls.ts'
import type { Stage } from './runner/stage.ts'
import { tablesOf } from './s390-tables.ts'
import { type Scenario, scenario, type Variant } from './scenario.ts'

const FILE = 'pagetable/s390-fragments.ts'
const DRAFT = 'pte-free-defer-one-head'
const WALKED = /use after free|reused too early|allocated twice|is not ordered with/
/** The second draft, as posted, and with the type-safe list that was to follow; the third is the draft's own draft. */
const HEAD_BITS = ['pte-free-defer-head-bits', 'pte-free-defer-head-bits-typesafe']
const MM_LOCK = 'pte-free-defer-head-bits-mm-lock'
const WITH_BATCHES = 'rcu-batch-head-bits'
const BITS_FILE = 'pagetable/s390-head-bits.ts'
const common = {
  cpus: 2,
  designs: ['vma-lock'],
  archs: ['s390'],
}

const unsafeDraft: Scenario['expect'] = ({ freeing }) => (freeing === DRAFT ? { unsafe: /rcu_head|data race/ } : 'safe')

/** Both CPUs unmap a table; the two are halves of one page. */
export const twoDeferredHalves = scenario({
  ...common,
  name: 's390-two-deferred-halves',
  question: 'May both halves of a page be deferred together?',
  asked: 'thread 004, G. Schaefer, 1 June 2023: two page tables in one page could result in the same rcu_head reused; bugs.md, B1',
  freeing: ['pte-free-defer', DRAFT, 'rcu-batch', ...HEAD_BITS, MM_LOCK],
  setUp: (stage) => {
    const mm = tablesOf(stage, [4, 6])
    const munmap = (n: number): ReturnType<Calls['munmap']> => mm.munmap(stage.table(n), 1)
    return { calls: [[munmap(4)], [munmap(6), stage.waitForCallbacks]] }
  },
  expect: unsafeDraft,
  variants: [
    {
      name: 'head-taken',
      wrong: 'a half is queued by the rcu_head that the other half has',
      edits: [{ file: BITS_FILE, from: '& BOTH) !== BOTH) queue(', to: '& BOTH) !== 0) queue(' }],
      unsafe: /rcu_head|data race/,
      on: { freeing: HEAD_BITS[0] as string },
    },
    {
      name: 'other-half-forgotten',
      wrong: 'the callback of one half does not queue the other, which waits for the rcu_head',
      edits: [{ file: BITS_FILE, from: '& BOTH) !== 0) queue(', to: '& BOTH) > BOTH) queue(' }],
      unsafe: /leak/,
      on: { freeing: HEAD_BITS[0] as string },
    },
  ],
})

/**
 * CPU 0 unmaps the only table of a page, which so is on the list; CPU 1 needs a table. `waits`: CPU 0 waits until its table is free, so
 * that the page may be gone when CPU 1 looks.
 */
function halfVsAllocation(
  name: string,
  question: string,
  waits: boolean,
  unsafe: RegExp,
  more: { readonly freeing?: readonly string[]; readonly variants?: readonly Variant[] } = {},
): Scenario {
  const { freeing = [], variants = [] } = more
  return scenario({
    ...common,
    name,
    question,
    asked: 'thread 004, G. Schaefer, 1 June 2023: page->lru keeps the list of free fragments and lies over page->rcu_head; bugs.md, B2',
    freeing: ['pte-free-defer', DRAFT, ...HEAD_BITS, ...freeing],
    variants,
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
  {
    freeing: ['rcu-batch'],
    variants: [
      {
        name: 'empty-page-put-back',
        wrong: 'a page goes to the list although neither of its halves is in use any more',
        edits: [
          {
            file: FILE,
            from: '  if (!otherInUse || (readOnce(page + Page.flags) & PageFlag.active) !== 0) listDelInit',
            to: '  if ((readOnce(page + Page.flags) & PageFlag.active) !== 0) listDelInit',
          },
          { file: FILE, from: 'const count = atomicAdd(page + Page.refcount, (1', to: 'atomicAdd(page + Page.refcount, (1' },
          { file: FILE, from: '  const otherInUse = ((count >>> ALLOCATED_SHIFT) & BOTH) !== 0\n', to: '' },
        ],
        unsafe: /freed|allocated|not ordered|list|data race/,
        on: { freeing: 'rcu-batch' },
      },
    ],
  },
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
  freeing: ['pte-free-defer', 'rcu-batch', 'immediate', ...HEAD_BITS],
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
  freeing: ['pte-free-defer', 'rcu-batch', ...HEAD_BITS],
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
  freeing: ['rcu-batch', WITH_BATCHES],
  setUp: (stage) => {
    const mm = tablesOf(stage, [4, 6])
    // CPU 1 finds no memory for a batch, and defers its table.
    stage.shortage(0, 0, Cache.gatherBatch, 1)
    return { calls: [[mm.munmap(stage.table(4), 1)], [mm.munmap(stage.table(6), 1), stage.waitForCallbacks]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'pending-for-head',
      wrong: 'who defers takes the rcu_head to be in use because the other half is pending, which it may be in a batch',
      edits: [
        {
          file: BITS_FILE,
          from: 'if (((count >>> HEAD_SHIFT) & BOTH) !== BOTH) queue',
          to: 'if (((count >>> PENDING_SHIFT) & BOTH) !== BOTH) queue',
        },
      ],
      unsafe: /leak/,
      on: { freeing: WITH_BATCHES },
    },
  ],
})

/** A half of CPU 0's waits for the end of a grace period; the other is the last table of an address space whose exit CPU 1 does. */
export const exitVsDeferredHalf = scenario({
  ...common,
  name: 's390-exit-vs-deferred-half',
  question: 'May an address space exit while the page of a half that was deferred is put back on its list?',
  asked: 'follow-up of thread 004, H. Dickins, 13 June 2023: what guarantees that the mm has not been freed before its lock is taken?',
  freeing: ['pte-free-defer', 'rcu-batch', ...HEAD_BITS, MM_LOCK, WITH_BATCHES],
  setUp: (stage) => {
    const mm = tablesOf(stage, [4, 6])
    stage.now(0, mm.munmap(stage.table(4), 1))
    // Whoever exits has nothing of it loaded any more.
    stage.newMm()
    return { calls: [[stage.waitForCallbacks], [mm.exit()]] }
  },
  // Freed memory is poisoned, so that its lock is one that nobody will ever let go.
  expect: ({ freeing }) => (freeing === MM_LOCK ? { unsafe: /waits for lock .*, nobody holds it|use after free/ } : 'safe'),
  variants: [
    {
      name: 'outside-a-section',
      wrong: 'the callback takes the lock of the list outside an RCU section, so that its memory may be given to something else meanwhile',
      edits: [
        { file: BITS_FILE, from: '  rcuReadLock()\n', to: '' },
        { file: BITS_FILE, from: '  rcuReadUnlock()\n', to: '' },
        { file: BITS_FILE, from: 'callRcu, rcuReadLock, rcuReadUnlock', to: 'callRcu' },
      ],
      unsafe: /use after free/,
      on: { freeing: HEAD_BITS[1] as string },
    },
    {
      name: 'list-of-the-dead',
      wrong: 'once it has the lock the callback does not look again whether the other half is still in use',
      edits: [
        {
          file: BITS_FILE,
          from: '    if (((count >>> ALLOCATED_SHIFT) & BOTH) !== 0) listAdd(page + Page.next, list + PgtableList.list)\n    spinUnlock',
          to: '    listAdd(page + Page.next, list + PgtableList.list)\n    spinUnlock',
        },
      ],
      unsafe: /use after free|rcu_head|data race|leak|not ordered/,
      on: { freeing: HEAD_BITS[1] as string },
    },
  ],
})

/** A half whose grace period is over goes back to the list; beside it CPU 1 defers the other half, or needs a table. */
function comesBack(name: string, question: string, beside: (mm: Calls, stage: Stage) => readonly Call[]): Scenario {
  return scenario({
    ...common,
    name,
    question,
    asked: 'follow-up of thread 004, H. Dickins, 20 June 2023: linked to the list again, or freed, when neither half is pending',
    freeing: ['pte-free-defer', ...HEAD_BITS],
    setUp: (stage) => {
      const mm = tablesOf(stage, [4, 6])
      stage.now(1, mm.mmap(stage.table(8), 1))
      stage.now(0, mm.munmap(stage.table(4), 1))
      return { calls: [[stage.waitForCallbacks], beside(mm, stage)] }
    },
    expect: 'safe',
  })
}

/** The page is linked by one CPU and taken off by the other. */
export const halfComesBackVsDefer = comesBack(
  's390-half-comes-back-vs-defer',
  'May a half be deferred while its page is put back on the list for the other?',
  (mm, stage) => [mm.munmap(stage.table(6), 1)],
)

/** The half is handed out as soon as it is back. */
export const halfComesBackVsAllocation = comesBack(
  's390-half-comes-back-vs-allocation',
  'May a half be handed out as soon as its grace period is over?',
  (mm, stage) => [mm.write(stage.table(8), 7)],
)

/** One half is deferred, and its grace period has begun, when CPU 0 walks the other under RCU and CPU 1 unmaps it. */
export const halfDuringAPeriod = scenario({
  ...common,
  name: 's390-half-during-a-period',
  question: 'Does a half that is deferred during the grace period of the other wait for a whole one of its own?',
  asked: 'follow-up of thread 004, H. Dickins, 20 June 2023: the callback sees that it must queue the rcu_head once more',
  freeing: ['pte-free-defer', ...HEAD_BITS],
  setUp: async (stage) => {
    const mm = tablesOf(stage, [4, 6])
    const { beginGracePeriod } = await stage.program<typeof import('./programs/grace-period.ts')>('grace-period')
    stage.now(1, mm.munmap(stage.table(4), 1))
    stage.now(
      1,
      stage.call('begin a grace period', () => beginGracePeriod()),
    )
    const page = stage.table(6)
    return { calls: [[mm.smaps(page, 1, SmapsWalk.rcu)], [mm.munmap(page, 1), stage.waitForCallbacks]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'other-half-at-once',
      wrong: 'the callback of one half frees the other, too, which may have been unhooked since the grace period began',
      edits: [{ file: BITS_FILE, from: '& BOTH) !== 0) queue(page, 1 - half)', to: '& BOTH) !== 0) headBitsFreeRcu(head, 1 - half)' }],
      unsafe: WALKED,
      on: { freeing: HEAD_BITS[0] as string },
    },
  ],
})
