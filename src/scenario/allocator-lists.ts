// Each CPU has lists of free frames and objects of its own; an empty one is filled from the shared list, a full one drained into
// it. Only there do CPUs meet in an allocator.
import { Cache } from '../kernel/memory/slab.ts'
import type { Call } from './runner/calls.ts'
import type { Stage } from './runner/stage.ts'
import { type Scenario, scenario, type Variant } from './scenario.ts'

type Lists = typeof import('./programs/lists.ts')

const unlocked = (name: string, wrong: string, file: string, lock: string, before: string, after: string, behind: string): Variant => ({
  name,
  wrong,
  edits: [
    { file, from: `${before}  spinLock${lock}\n`, to: before },
    { file, from: `${after}  spinUnlock${lock.replace('save', 'restore')}\n${behind}`, to: `${after}${behind}` },
  ],
  unsafe: /data race|is not ordered with|leak|use after free/,
})

/** CPU 0 takes frames as `take` says, from the zone; CPU 1 gives one to its full list, and so a batch to the zone. */
function framesScenario(
  name: string,
  question: string,
  take: (stage: Stage, lists: Awaited<ReturnType<typeof load>>) => Call,
  variants: readonly Variant[],
): Scenario {
  return scenario({
    name,
    question,
    asked: 'field: rmqueue_bulk and free_pcppages_bulk under zone->lock',
    cpus: 2,
    archs: ['x86_64'],
    designs: ['mmap-lock'],
    setUp: async (stage) => {
      const lists = await load(stage)
      const alloc = await stage.module<typeof import('../kernel/memory/page-alloc.ts')>('memory/page-alloc.ts')
      const { Cpu } = stage.machine.tree.percpu
      const taken = emptyAndFull(
        stage,
        Cpu.pcpCount,
        FULL.frames,
        () => alloc.allocPage(0),
        (page) => alloc.freePage(page),
      )
      const give = taken.pop() as number
      // The rest goes back at the end.
      const after = taken.map((page) => stage.call('free', () => lists.giveFrame(page)))
      return { calls: [[take(stage, lists)], [stage.call('free a frame', () => lists.giveFrame(give))]], after }
    },
    expect: 'safe',
    variants,
  })
}

function load(stage: Stage) {
  return stage.program<Lists>('lists')
}

/** Objects and frames that lists hold before they are drained. */
const FULL = Object.freeze({ frames: 96, objects: 48 })

/**
 * Empties CPU 0's list, whose length is word `count` of a CPU's area, by `take`, and fills CPU 1's up to `full` by `take` and
 * `give`. Returns what is taken: the last is for CPU 1 to give.
 */
function emptyAndFull(
  { machine, now, call }: Stage,
  count: number,
  full: number,
  take: () => unknown,
  give: (one: number) => unknown,
): number[] {
  const length = (cpu: number): number => machine.words[machine.areas + cpu * machine.tree.percpu.CPU_STRIDE + count] as number
  const takenBy = (cpu: number): number => now(cpu, call('take', take))
  const theirs = Array.from({ length: full + 1 }, () => takenBy(1))
  while (length(1) < full) {
    const one = theirs.pop() as number
    now(
      1,
      call('give', () => give(one)),
    )
  }
  const mine: number[] = []
  while (length(0) > 0) mine.push(takenBy(0))
  return [...mine, ...theirs]
}

export const framesRefillVsDrain = framesScenario(
  'frames-refill-vs-drain',
  'May a CPU take frames from the zone while another one gives some back?',
  (stage, lists) => stage.call('take a frame', () => lists.takeFrame()),
  [
    unlocked(
      'refill-unlocked',
      'a list is filled without the lock of the zone',
      'memory/page-alloc.ts',
      'Irqsave(Global.zoneLock)',
      '  let got = 0\n',
      '    got++\n  }\n',
      '  store(cpu + Cpu.pcpCount, load(cpu + Cpu.pcpCount) + got)\n',
    ),
    unlocked(
      'drain-unlocked',
      'a list is drained without the lock of the zone',
      'memory/page-alloc.ts',
      'Irqsave(Global.zoneLock)',
      'count: number): void {\n',
      '    addToZone(page, 0)\n  }\n',
      '}\n',
    ),
  ],
)

export const blockVsDrain = framesScenario(
  'block-vs-drain',
  'May a CPU take a block of frames from the zone, and give it back, while another one gives back single frames?',
  (stage, lists) => stage.call('take a block of 2', () => lists.takeBlock(1)),
  [
    unlocked(
      'block-taken-unlocked',
      'a block is taken without the lock of the zone',
      'memory/page-alloc.ts',
      'Irqsave(Global.zoneLock)',
      'allocPages(order: number, flags: number): number {\n',
      '  const page = removeFromZone(order)\n',
      '  if (page === 0) return 0\n',
    ),
    unlocked(
      'block-given-unlocked',
      'a block is given back without the lock of the zone',
      'memory/page-alloc.ts',
      'Irqsave(Global.zoneLock)',
      '.refcount, 0)\n  }\n',
      '  addToZone(page, order)\n',
      '}\n',
    ),
  ],
)

/** CPU 0's list of anon_vma_chains is empty, CPU 1's full. */
export const slabRefillVsDrain = scenario({
  name: 'slab-refill-vs-drain',
  question: 'May a CPU take objects from the shared list of a slab cache while another one gives some back?',
  asked: 'field: cache_alloc_refill and cache_flusharray under the lock of the cache’s node',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const cache = Cache.anonVmaChain
    const lists = await load(stage)
    const slab = await stage.module<typeof import('../kernel/memory/slab.ts')>('memory/slab.ts')
    const { Cpu } = stage.machine.tree.percpu
    const taken = emptyAndFull(
      stage,
      Cpu.slabCount + cache,
      FULL.objects,
      () => slab.kmemCacheAlloc(cache),
      (object) => slab.kmemCacheFree(cache, object),
    )
    const given = taken.pop() as number
    return {
      calls: [
        [stage.call('take an object', () => lists.takeObject(cache))],
        [stage.call('free an object', () => lists.giveObject(cache, given))],
      ],
      after: taken.map((object) => stage.call('free', () => lists.giveObject(cache, object))),
    }
  },
  expect: 'safe',
  variants: [
    unlocked(
      'refill-unlocked',
      'a list is filled without the lock of the cache',
      'memory/slab.ts',
      '(c + SlabCache.lock)',
      'function refill(cache: number, cpu: number): void {\n  const c = cacheAddress(cache)\n',
      '    store(cpu + Cpu.slabCount, load(cpu + Cpu.slabCount) + 1)\n  }\n',
      '}\n',
    ),
    unlocked(
      'drain-unlocked',
      'a list is drained without the lock of the cache',
      'memory/slab.ts',
      '(c + SlabCache.lock)',
      'function drain(cache: number, cpu: number): void {\n  const c = cacheAddress(cache)\n',
      '  store(cpu + Cpu.slabCount, load(cpu + Cpu.slabCount) - CPU_BATCH)\n',
      '}\n',
    ),
  ],
})
