// What does a look-up without a lock find in a red-black tree, which is not made for it? The first speculative faults walked the rbtree
// of VMAs beside its writers and asked a sequence count afterwards whether one had been at work. Alone the walk is wrong: a rotation
// unhooks a subtree for two stores, and taking out a VMA with two children unhooks its successor; who passes by then does not find
// what was there before and after. Validated it is right, if its nodes stay VMAs and no pointers ever make a circle. This is
// what the maple tree came for: there a look-up under RCU is right by itself (`maple-lookup-vs-store`).
import type { Stage } from './runner/stage.ts'
import { scenario, type Variant } from './scenario.ts'

type Program = typeof import('./programs/rbtree.ts')
const AGAIN = -1

const BASE = { cpus: 2, archs: ['x86_64'], designs: ['mmap-lock'] } as const
const ASKED =
  'thread 002, M. Lespinasse on speculative page faults, April 2021: walking rbtrees beside writers is safe if a sequence check follows'

/** A tree of VMAs 1 to `count`, VMA i at pages 10 i to 10 i + 2. */
async function plant(stage: Stage, count: number) {
  const program = await stage.program<Program>('rbtree')
  const root = stage.words(8)
  const [other, seq, kept] = [root + 1, root + 2, root + 3]
  const call = (text: string, begin: () => unknown) => stage.call(text, begin)
  stage.now(
    1,
    call('plant', () => program.plant(root, count, 3)),
  )
  const labels = new Map([
    [root, 'root'],
    [other, 'other root'],
    [seq, 'seq'],
    [kept, 'kept'],
  ])
  return {
    rest: { labels, after: [call('fell', () => program.fell(root)), call('fell', () => program.fell(other))] },
    find: (page: number) => call(`find(${page})`, () => program.find(root, page)),
    findValidated: (page: number) => call(`find(${page}), validated`, () => program.findValidated(root, seq, page)),
    walksOn: (page: number, limit: number) => call(`walk to ${page}`, () => program.walksOn(root, page, limit)),
    put: (page: number) => call(`insert(${page})`, () => program.put(root, seq, page, 3)),
    take: (page: number) => call(`erase(${page})`, () => program.take(root, seq, page, kept)),
    reuse: (page: number) => call(`reuse at ${page}`, () => program.reuse(other, kept, page, 30)),
    drop: call('free', () => program.drop(kept)),
  }
}

/** What was found, 0 for nothing; `stays` was there all the time. */
function judge(found: number | undefined, stays: number): string {
  if (found === stays) return ''
  return found === 0 ? 'a VMA that stays was lost' : 'a reader found what it did not look for'
}

/** VMA 1 is the top, VMA 2 below it; with VMA 3 the tree is rotated, and VMA 2 becomes the top. CPU 0 looks for VMA 2. */
export const rbtreeLookupVsRotation = scenario({
  ...BASE,
  name: 'rbtree-lookup-vs-rotation',
  question: 'Does a look-up under RCU alone find what is in a red-black tree all the time, while it is rotated?',
  asked: ASKED,
  setUp: async (stage) => {
    const { rest, find, put } = await plant(stage, 2)
    return { ...rest, calls: [[find(20)], [put(30)]], check: ([cpu0]) => judge(cpu0?.[0], 20) }
  },
  expect: { unsafe: /a VMA that stays was lost/ },
})

/** CPU 1 takes out VMA 2, the top, with VMAs 1 and 4 below it; VMA 3, below VMA 4, takes its place. CPU 0 looks for VMA 3. */
export const rbtreeLookupVsErase = scenario({
  ...BASE,
  name: 'rbtree-lookup-vs-erase',
  question: 'Does a look-up under RCU alone find what is in a red-black tree all the time, while another VMA is taken out?',
  asked: ASKED,
  setUp: async (stage) => {
    const { rest, find, put, take, drop } = await plant(stage, 2)
    for (const page of [40, 30]) stage.now(1, put(page))
    return { ...rest, calls: [[find(30)], [take(20)]], check: ([cpu0]) => judge(cpu0?.[0], 30), after: [drop, ...rest.after] }
  },
  expect: { unsafe: /a VMA that stays was lost/ },
})

const NOT_VALIDATED: Variant = {
  name: 'not-validated',
  wrong: 'a reader does not look at the count again',
  edits: [{ file: 'sync/seqcount.ts', from: 'return readOnce(seq) !== start ? 1 : 0', to: 'return start < 0 ? 1 : 0' }],
  unsafe: /a VMA that stays was lost|not look for/,
}

/**
 * The top is VMA 2, with VMAs 1 and 4 below it, and VMA 3 below VMA 4. CPU 1 hangs another in below VMA 3, for which the tree is rotated
 * twice, and takes VMA 2 out. CPU 0 believes what it found, and that it found nothing, only if no writer was at work.
 */
export const rbtreeValidatedLookup = scenario({
  ...BASE,
  name: 'rbtree-validated-lookup',
  question: 'Is a look-up in a red-black tree right if no writer has been at work meanwhile?',
  asked: ASKED,
  setUp: async (stage) => {
    const { rest, findValidated, put, take, drop } = await plant(stage, 2)
    for (const page of [40, 30]) stage.now(1, put(page))
    return {
      ...rest,
      calls: [[findValidated(30)], [put(35), take(20)]],
      check: ([cpu0]) => (cpu0?.[0] === AGAIN ? '' : judge(cpu0?.[0], 30)),
      after: [drop, ...rest.after],
    }
  },
  expect: 'safe',
  variants: [NOT_VALIDATED],
})

/** The same tree and the same writers. CPU 0 walks to a free page between VMA 3 and the one that comes. */
export const rbtreeWalkEnds = scenario({
  ...BASE,
  name: 'rbtree-walk-ends',
  question: 'Does a walk through a red-black tree end, whatever a writer does meanwhile?',
  asked: 'thread 002; notes on look-ups without lock in lib/rbtree.c: no loops, not even for a moment',
  setUp: async (stage) => {
    const { rest, walksOn, put, take, drop } = await plant(stage, 2)
    for (const page of [40, 30]) stage.now(1, put(page))
    return {
      ...rest,
      // There are four VMAs, and one that comes; a rotation may lead past one twice.
      calls: [[walksOn(34, 12)], [put(35), take(20)]],
      check: ([cpu0]) => (cpu0?.[0] === 0 ? '' : 'a walk goes in a circle'),
      after: [drop, ...rest.after],
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'rotated-child-first',
      wrong: 'a rotation hangs the node below its child before it lets go of the child: each is below the other',
      edits: [
        {
          file: 'vma/rb-balance.ts',
          from: '  writeOnce(node + otherSide(side), inner)\n  writeOnce(child + side, node)\n',
          to: '  writeOnce(child + side, node)\n  writeOnce(node + otherSide(side), inner)\n',
        },
      ],
      unsafe: /goes in a circle/,
    },
    {
      name: 'successor-below-itself',
      wrong: 'the successor takes the right subtree over before it has been taken out of it',
      edits: [
        {
          file: 'vma/rb-store.ts',
          from: '      writeOnce(parent + Vma.rbLeft, child)\n      writeOnce(next + Vma.rbRight, right)\n',
          to: '      writeOnce(next + Vma.rbRight, right)\n      writeOnce(parent + Vma.rbLeft, child)\n',
        },
      ],
      unsafe: /goes in a circle/,
    },
  ],
})

/**
 * CPU 1 takes VMA 2 out, frees it and has its memory at once as a VMA of another tree, where it covers what CPU 0 looks for. The
 * memory stays that of a VMA: whoever stands there goes on in the other tree, comes to an end, and sees that the count has changed.
 */
export const rbtreeTypesafeNodes = scenario({
  ...BASE,
  name: 'rbtree-typesafe-nodes',
  question: 'May VMAs be freed at once beside a walk that is validated afterwards?',
  asked: `${ASKED}; SLAB_TYPESAFE_BY_RCU`,
  setUp: async (stage) => {
    const { rest, findValidated, take, reuse } = await plant(stage, 3)
    return {
      ...rest,
      calls: [
        [findValidated(30), findValidated(17)],
        [take(20), reuse(5)],
      ],
      check: ([cpu0]) => {
        const [stays = 0, free = 0] = cpu0 ?? []
        if (free > 0) return 'a reader found what it did not look for'
        return stays === AGAIN ? '' : judge(stays, 30)
      },
    }
  },
  expect: 'safe',
  variants: [
    NOT_VALIDATED,
    {
      name: 'not-typesafe',
      wrong: 'the memory of a VMA that was freed may be anything: it is not kept for readers under RCU',
      edits: [
        { file: 'memory/slab.ts', from: '  if (load(c + SlabCache.kind) === Kind.slab) for (let', to: '  for (let' },
        { file: 'memory/slab.ts', from: 'SlabCache.headerWords), load(c + SlabCache.kind))', to: 'SlabCache.headerWords), Kind.slab)' },
        { file: 'memory/slab.ts', from: '  freed(object, words, load(c + SlabCache.kind))', to: '  freed(object, words, Kind.slab)' },
      ],
      unsafe: /use after free: CPU 0 at rbWalk/,
    },
  ],
})
