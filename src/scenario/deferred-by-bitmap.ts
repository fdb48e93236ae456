// The sketch of pte_free_defer by bitmaps for powerpc: a structure beside the page with the bits of its deferred fragments, so that one
// rcu_head serves all of them. As it stands in the mail a deferral queues the head where it finds bits set already, and the callback
// takes whatever is set by then. Each of the two is wrong by itself, which the repaired form with one of them taken back shows. In the
// sketch the second never shows without the first: for a bit to come during a period it must come third, and the third queues the head
// once more.
import { SmapsWalk } from '../kernel/proc/smaps.ts'
import { type Scenario, scenario, type Variant } from './scenario.ts'

const SKETCH = 'pte-free-defer-bitmap'
const FILE = 'pagetable/pte-free-defer-bitmap.ts'
const common = {
  asked:
    'thread 004 and the mails after it: bitmaps of pending and free fragments, June 2023; "not asking an architecture for more memory"',
  designs: ['vma-lock'],
  archs: ['powerpc64-hash-64k'],
  freeing: [SKETCH, `${SKETCH}-fixed`],
}
const WALKED = /use after free|reused too early|is not ordered with/
const takesAll: Variant = {
  name: 'takes-what-came-later',
  wrong: 'the callback takes all bits that are set by then',
  edits: [
    { file: FILE, from: 'const due = load(map + FragmentMap.due)', to: 'const due = readOnce(map + FragmentMap.pending)' },
    { file: FILE, from: 'atomicOr, load, store, xchg }', to: 'atomicOr, load, readOnce, store, xchg }' },
  ],
  unsafe: WALKED,
  on: { freeing: `${SKETCH}-fixed` },
}

/** CPU 1 unmaps a table, and nobody another of its page; CPU 0 walks it. */
export const oneFragmentByBitmap = scenario({
  ...common,
  name: 'one-fragment-by-bitmap',
  question: 'Is a fragment that is deferred by a bit, with no other after it, ever freed?',
  cpus: 2,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(1, mm.write(page, 1))
    return { calls: [[mm.smaps(page, 1, SmapsWalk.rcu)], [mm.munmap(page, 1), stage.waitForCallbacks]] }
  },
  expect: ({ freeing }) => (freeing === SKETCH ? { unsafe: /leak/ } : 'safe'),
  variants: [
    {
      name: 'first-queues-nothing',
      wrong: 'the head is queued by whoever finds bits set',
      edits: [
        {
          file: FILE,
          from: 'fragmentBit(table)\n  if (atomicOr(map + FragmentMap.pending, bit) !== 0) return',
          to: 'fragmentBit(table)\n  if (atomicOr(map + FragmentMap.pending, bit) === 0) return',
        },
      ],
      unsafe: /leak/,
      on: { freeing: `${SKETCH}-fixed` },
    },
  ],
})

/** Each CPU unmaps tables of one page: CPU 0 two with one call, CPU 1 a third. */
export const threeFragmentsByBitmap = scenario({
  ...common,
  name: 'three-fragments-by-bitmap',
  question: 'May three fragments of a page be deferred by bits together, on two CPUs?',
  cpus: 2,
  setUp: (stage) => {
    const mm = stage.newMm()
    // The last page of one table and the first of the next.
    const two = stage.table(5) - 1
    const third = stage.table(8)
    stage.now(0, mm.mmap(two, 2))
    stage.now(0, mm.write(two, 1))
    stage.now(0, mm.write(two + 1, 2))
    stage.now(1, mm.mmap(third, 1))
    stage.now(1, mm.write(third, 3))
    return { calls: [[mm.munmap(two, 2)], [mm.munmap(third, 1), stage.waitForCallbacks]] }
  },
  expect: ({ freeing }) => (freeing === SKETCH ? { unsafe: /rcu_head|data race/ } : 'safe'),
})

/**
 * All fragments of a page are used. All but two are free; one is deferred, and its grace period is over but its callback has not been
 * called, when CPU 0 walks the last one under RCU and CPU 1 unmaps it.
 */
const DURING_A_PERIOD: Scenario = {
  ...common,
  name: 'fragment-by-bitmap-during-a-period',
  question: 'Does a fragment whose bit is set during the grace period of another wait for a whole one of its own?',
  cpus: 2,
  freeing: [`${SKETCH}-fixed`],
  setUp: async (stage) => {
    const mm = stage.newMm()
    const { beginGracePeriod } = await stage.program<typeof import('./programs/grace-period.ts')>('grace-period')
    const last = stage.tablesPerPage
    for (let n = 1; n <= last; n++) {
      stage.now(1, mm.mmap(stage.table(n), 1))
      stage.now(1, mm.write(stage.table(n), n))
    }
    for (let n = 1; n < last - 1; n++) stage.now(1, mm.munmap(stage.table(n), 1))
    stage.now(1, stage.waitForCallbacks)
    stage.now(1, mm.munmap(stage.table(last - 1), 1))
    stage.now(
      1,
      stage.call('begin a grace period', () => beginGracePeriod()),
    )
    const page = stage.table(last)
    return { calls: [[mm.smaps(page, 1, SmapsWalk.rcu)], [mm.munmap(page, 1), stage.waitForCallbacks]] }
  },
  expect: 'safe',
  variants: [takesAll],
}
export const fragmentDuringAPeriod = scenario(DURING_A_PERIOD)

/** The same where deferred fragments are counted. */
export const incrementDuringAPeriod = scenario({
  ...DURING_A_PERIOD,
  name: 'fragment-by-increment-during-a-period',
  asked: 'thread 004, pte_free_defer() for powerpc, June 2023: who comes during a grace period needs another one',
  freeing: ['pte-free-defer-increments'],
  variants: [
    {
      name: 'not-queued-again',
      wrong: 'fragments that were deferred during the grace period of another are freed with it',
      edits: [
        {
          file: 'pagetable/pte-free-defer-drafts.ts',
          from: '  atomicAdd(count, -1)\n  callRcu(head, RcuFunc.tableIncrements)',
          to: '  atomicAdd(count, -1)\n  incrementsFreeRcu(head)',
        },
      ],
      unsafe: WALKED,
    },
  ],
})
