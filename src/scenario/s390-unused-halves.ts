// s390: halves of a page that are given back at the same time, by callbacks of two CPUs or by a fault that somebody else was faster
// than. The bits of both lie in one word, and the words of the list over the page's rcu_head. More about halves: `s390-halves.ts`.
import { tablesOf } from './s390-tables.ts'
import { type Scenario, scenario, type Variant } from './scenario.ts'

const FILE = 'pagetable/s390-head-bits.ts'
const TYPESAFE = 'pte-free-defer-head-bits-typesafe'
const WITH_BATCHES = 'rcu-batch-head-bits'
const common = {
  cpus: 2,
  designs: ['vma-lock'],
  archs: ['s390'],
}

/** Both halves of a page were unmapped, by one CPU each, and their grace periods are over: their callbacks run at the same time. */
export const bothHalvesAtOnce = scenario({
  ...common,
  name: 's390-both-halves-freed-at-once',
  question: 'May the callbacks of two CPUs free both halves of a page at the same time?',
  asked: 'thread 004, page_table_free_rcu: the bits of both halves lie in one word, and whoever takes the last one frees the page',
  freeing: ['rcu-batch', WITH_BATCHES],
  setUp: async (stage) => {
    const mm = tablesOf(stage, [4, 6])
    const { beginGracePeriod } = await stage.program<typeof import('./programs/grace-period.ts')>('grace-period')
    const begin = stage.call('begin a grace period', () => beginGracePeriod())
    for (const [cpu, n] of [4, 6].entries()) {
      stage.now(cpu, mm.munmap(stage.table(n), 1))
      stage.now(cpu, begin)
    }
    return { calls: [[stage.waitForCallbacks], [stage.waitForCallbacks]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'bit-in-two-steps',
      wrong: 'the bits are read and then written, so that what the other half has let go of meanwhile comes back',
      edits: [
        {
          file: FILE,
          from: '} else count = atomicAdd(page + Page.refcount, -pending)',
          to: '} else {\n    count = readOnce(page + Page.refcount) - pending\n    writeOnce(page + Page.refcount, count)\n  }',
        },
        { file: FILE, from: 'import { atomicAdd, readOnce }', to: 'import { atomicAdd, readOnce, writeOnce }' },
      ],
      unsafe: /leak/,
      on: { freeing: WITH_BATCHES },
    },
  ],
})

/**
 * Two CPUs fault below one PMD entry that has no table. Each takes a half, one from the page of table 4; whoever comes second gives it
 * back unused. CPU 0 then unmaps table 4, and with preemptible RCU waits until that is free.
 */
function unusedHalf(name: string, question: string, rcu: string, freeing: readonly string[], variants: readonly Variant[]): Scenario {
  return scenario({
    ...common,
    name,
    question,
    asked: 'follow-up of thread 004, H. Dickins, June 2023: page_table_free(), which frees at once, beside pte_free_defer()',
    rcus: [rcu],
    freeing,
    setUp: (stage) => {
      const mm = tablesOf(stage, [4])
      stage.now(1, mm.mmap(stage.table(6), 2))
      const waits = rcu === 'preemptible' ? [stage.waitForCallbacks] : []
      return {
        calls: [[mm.read(stage.table(6)), mm.munmap(stage.table(4), 1), ...waits], [mm.read(stage.table(6) + 1)]],
      }
    },
    expect: 'safe',
    variants,
  })
}

/** In a kernel that is not preemptible. */
export const unusedHalfGivenBack = unusedHalf(
  's390-unused-half-given-back',
  'May a half that somebody else was faster with be given back while the other half of its page is deferred?',
  'quiescent',
  ['pte-free-defer', TYPESAFE],
  [
    {
      name: 'taken-off-in-any-case',
      wrong: 'the page is taken off the list although it is on none, and the other half has the rcu_head that lies over the list words',
      edits: [
        {
          file: FILE,
          from: '  else if (((count >>> PENDING_SHIFT) & BOTH) === 0) listDelInit(page + Page.next)\n',
          to: '  else listDelInit(page + Page.next)\n',
        },
      ],
      unsafe: /rcu_head/,
      on: { freeing: TYPESAFE },
    },
  ],
)

/** In a preemptible kernel the grace period of the other half may end meanwhile: whoever faults is in no section. */
export const unusedHalfBesideCallback = unusedHalf(
  's390-unused-half-given-back-beside-callback',
  'May a half that somebody else was faster with be given back while the other half of its page is freed?',
  'preemptible',
  [TYPESAFE],
  [
    {
      name: 'without-the-lock',
      wrong: 'a half that was never used is given back without the lock of the list',
      edits: [
        {
          file: FILE,
          from: '  const lock = pgtableListLock(list)\n  spinLock(lock)\n  const count = atomicAdd(page + Page.refcount, -(1 << (ALLOCATED_SHIFT',
          to: '  const count = atomicAdd(page + Page.refcount, -(1 << (ALLOCATED_SHIFT',
        },
        {
          file: FILE,
          from: 'BOTH) === 0) listDelInit(page + Page.next)\n  spinUnlock(lock)\n  freeIfUnused',
          to: 'BOTH) === 0) listDelInit(page + Page.next)\n  freeIfUnused',
        },
      ],
      unsafe: /data race|rcu_head|freed|leak/,
    },
  ],
)
