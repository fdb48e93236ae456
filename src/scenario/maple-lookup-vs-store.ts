// Does a look-up under RCU alone always find what is in the tree throughout, and of what changes either the old or the new?
// A store changes published nodes in place only where a reader sees one or the other; else it publishes a copy with one
// pointer, marks what that replaced dead, and leaves it to RCU. Page faults look their VMA up in this way.
import { deadMutants, leafMutants } from './maple-mutants.ts'
import type { Stage } from './runner/stage.ts'
import { type Scenario, scenario } from './scenario.ts'

type Program = typeof import('./programs/maple.ts')
const ENTRY = 1000

/** A tree of entries 1 to `entries`, each 5 pages with 5 free ones behind it: entry i is at [10 i, 10 i + 4]. */
async function plant(stage: Stage, entries: number) {
  const program = await stage.program<Program>('maple')
  const tree = stage.words(4)
  stage.now(
    1,
    stage.call('plant', () => program.fill(tree, 1, entries, 10, 5)),
  )
  const rest = { labels: new Map([[tree, 'root']]), after: [stage.call('fell', () => program.fell(tree))] }
  return { program, tree, rest, find: (index: number) => stage.call(`mt_find(${index})`, () => program.find(tree, index)) }
}

/** CPU 0 looks two entries up: one that stays and the one that CPU 1 stores beside it, in a leaf that has room. */
export const mapleLookupVsStore = scenario({
  name: 'maple-lookup-vs-store',
  question: 'What does a look-up find while a leaf is replaced?',
  asked: 'thread 003, the maple tree under RCU; StackRot, CVE-2023-3269',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { program, tree, rest, find } = await plant(stage, 9)
    return {
      ...rest,
      calls: [
        [find(30), find(26)],
        [stage.call('mt_store(26)', () => program.put(tree, 26, 27, 20)), stage.waitForCallbacks],
      ],
      check: ([cpu0]) => {
        if (cpu0?.[0] !== ENTRY + 3) return 'an entry that stays was lost'
        return cpu0[1] === 0 || cpu0[1] === ENTRY + 20 ? '' : 'a reader found what was never stored'
      },
    }
  },
  expect: 'safe',
  variants: leafMutants,
})

/**
 * The same with readers counted, or with look-ups that hold nothing because the kernel is not preempted: what is replaced is freed,
 * and the look-up goes on in it, where nobody waits for it.
 */
function lookupInFlavour(name: string, question: string, bare: boolean, rcus: readonly string[]): Scenario {
  return scenario({
    name,
    question,
    asked: 'thread 003, the maple tree under RCU; CONFIG_PREEMPT_RCU',
    cpus: 2,
    archs: ['x86_64'],
    designs: ['mmap-lock'],
    rcus,
    setUp: async (stage) => {
      const { program, tree, rest } = await plant(stage, 9)
      const look = bare ? program.findBare : program.find
      return {
        ...rest,
        calls: [
          [stage.call(`mt_find(30)${bare ? ', holding nothing' : ''}`, () => look(tree, 30))],
          [stage.call('mt_store(26)', () => program.put(tree, 26, 27, 20)), stage.waitForCallbacks],
        ],
        check: ([cpu0]) => (cpu0?.[0] === ENTRY + 3 ? '' : 'an entry that stays was lost'),
      }
    },
    expect: ({ rcu }) => (bare && rcu === 'preemptible' ? { unsafe: /freed|reused/ } : 'safe'),
    variants: bare ? [] : leafMutants,
  })
}

/** In a section. */
export const mapleLookupPreemptible = lookupInFlavour(
  'maple-lookup-under-preemptible-rcu',
  'What does a look-up under RCU find while a leaf is replaced, where readers are counted?',
  false,
  ['preemptible'],
)

/** In none. */
export const mapleLookupBare = lookupInFlavour(
  'maple-lookup-bare-vs-store',
  'May a look-up do without rcu_read_lock because the kernel is not preempted?',
  true,
  ['quiescent', 'preemptible'],
)

/** The same where the leaf is full and is split, and a third CPU's entries lie in both halves. */
export const mapleLookupVsSplit = scenario({
  name: 'maple-lookup-vs-split',
  question: 'What does a look-up find while a leaf is split?',
  asked: 'thread 003, the maple tree under RCU',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { program, tree, rest, find } = await plant(stage, 14)
    return {
      ...rest,
      calls: [
        [find(130), find(146)],
        [stage.call('mt_store(146)', () => program.put(tree, 146, 147, 20)), stage.waitForCallbacks],
      ],
      check: ([cpu0]) => {
        if (cpu0?.[0] !== ENTRY + 13) return 'an entry that stays was lost'
        return cpu0[1] === 0 || cpu0[1] === ENTRY + 20 ? '' : 'a reader found what was never stored'
      },
    }
  },
  expect: 'safe',
  variants: leafMutants.slice(0, 1),
})

/** CPU 0 visits all entries while CPU 1 stores one for which the root, a full leaf, gives way to a tree of two levels. */
export const mapleScanVsGrowth = scenario({
  name: 'maple-scan-vs-growth',
  question: 'What does a reader who visits all entries find while the tree grows by a level?',
  asked: 'readers of /proc/pid/maps that do not take mmap_lock',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { program, tree, rest } = await plant(stage, 7)
    return {
      ...rest,
      calls: [
        [stage.call('visit all entries', () => program.scan(tree))],
        [stage.call('mt_store(80)', () => program.put(tree, 80, 84, 8)), stage.waitForCallbacks],
      ],
      check: ([cpu0]) => {
        const seen = cpu0?.[0] as number
        if (seen < 0) return 'a reader found what was never stored'
        return (seen & 0xfe) === 0xfe ? '' : 'an entry that stays was lost'
      },
    }
  },
  expect: 'safe',
  variants: leafMutants.slice(0, 1),
})

/** CPU 0 visits all entries of two leaves while CPU 1 erases one, so that the leaf that is left too empty joins the other. */
export const mapleScanVsErase = scenario({
  name: 'maple-scan-vs-erase',
  question: 'What does a reader who visits all entries find while leaves are joined?',
  asked: 'readers of /proc/pid/maps that do not take mmap_lock: a hole where a VMA was before and after',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { program, tree, rest } = await plant(stage, 9)
    return {
      ...rest,
      calls: [
        [stage.call('visit all entries', () => program.scan(tree))],
        [
          stage.call('mt_erase(20)', () => program.erase(tree, 20)),
          stage.call('mt_erase(30)', () => program.erase(tree, 30)),
          stage.waitForCallbacks,
        ],
      ],
      check: ([cpu0]) => {
        const seen = cpu0?.[0] as number
        const stay = 0x3fe & ~(1 << 2) & ~(1 << 3)
        if (seen < 0 || (seen & ~0x3fe) !== 0) return 'a reader found what was never stored'
        return (seen & stay) === stay ? '' : 'an entry that stays was lost'
      },
    }
  },
  expect: 'safe',
  variants: leafMutants.slice(0, 1),
})

/** CPU 0 walks to an entry and goes on to the next one, which CPU 1 erases meanwhile, and says so. */
export const mapleNextVsErase = scenario({
  name: 'maple-next-vs-erase',
  question: 'May a reader who goes on from where it was still find what is gone for good?',
  asked: 'mas_next in lib/maple_tree.c: nodes that are dead are walked again from the root',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { program, tree, rest } = await plant(stage, 9)
    const word = stage.words(1)
    return {
      ...rest,
      calls: [
        [stage.call('mas_walk(20), mas_next()', () => program.walkAndGoOn(tree, 20, word, 3))],
        [stage.call('mt_erase(30)', () => program.eraseAndTell(tree, 30, word))],
      ],
      check: ([cpu0]) => {
        if (cpu0?.[0] === -1) return 'a reader found what was out of date'
        return cpu0?.[0] === ENTRY + 3 || cpu0?.[0] === ENTRY + 4 ? '' : 'an entry that stays was lost'
      },
    }
  },
  expect: 'safe',
  variants: deadMutants,
})

/** CPU 1 and CPU 2 store to one leaf, one after the other under a lock, while CPU 0 looks an entry of it up. */
export const mapleLookupVsStores = scenario({
  name: 'maple-lookup-vs-stores',
  question: 'What does a look-up find while two stores replace a leaf, one after the other?',
  asked: 'thread 003, the maple tree under RCU; two faults that expand stacks (StackRot)',
  cpus: 3,
  archs: ['powerpc64-hash-64k'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { program, tree, rest, find } = await plant(stage, 9)
    const lock = stage.words(1)
    return {
      ...rest,
      calls: [
        [find(30), find(26)],
        [stage.call('mt_store(26)', () => program.putLocked(tree, lock, 26, 27, 20))],
        [stage.call('mt_store(36)', () => program.putLocked(tree, lock, 36, 37, 21)), find(26)],
      ],
      check: ([cpu0, cpu1, cpu2]) => {
        if (cpu1?.[0] !== ENTRY + 20 || cpu2?.[0] !== ENTRY + 21 || cpu0?.[0] !== ENTRY + 3) return 'an entry that stays was lost'
        return [cpu0[1], cpu2[1]].every((entry) => entry === 0 || entry === ENTRY + 20) ? '' : 'a reader found what was never stored'
      },
    }
  },
  expect: 'safe',
  variants: leafMutants.slice(0, 1),
})
