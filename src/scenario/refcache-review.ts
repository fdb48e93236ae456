// How long must a count of references that is kept in parts have been zero before the object is free? A CPU that flushed early in an
// epoch may take a reference right after; it adds it only in the next one. So the object waits for the end of two epochs.
import type { Stage } from './runner/stage.ts'
import { type Scenario, scenario } from './scenario.ts'

/** CPU 0 flushes, takes a reference and uses it; CPU 1 releases its own. The object is freed `epochs` ends of epochs later. */
function refcacheReview(name: string, epochs: number, expect: Scenario['expect']): Scenario {
  return scenario({
    name,
    question: `May an object be freed when its count has been zero for the end of ${epochs === 1 ? 'one epoch' : 'two epochs'}?`,
    asked: 'bugs.md, B23; A. Clements and others, RadixVM, EuroSys 2013: Refcache',
    cpus: 2,
    archs: ['x86_64'],
    designs: ['mmap-lock'],
    setUp: async (stage: Stage) => {
      const { get, make, putWhenGiven, tick, useAndPut } = await stage.program<typeof import('./programs/refcache.ts')>('refcache')
      const { Refcache } = await import('./programs/refcache.ts')
      const cache = stage.words(Refcache.size)
      stage.now(
        0,
        stage.call('make', () => make(cache)),
      )
      const epoch = stage.call('flush', () => tick(cache, 2, epochs))
      const { words } = stage.machine
      return {
        labels: new Map(Object.entries(Refcache).flatMap(([field, at]) => (field === 'size' ? [] : [[cache + at, field] as const]))),
        calls: [
          [epoch, stage.call('get', () => get(cache)), epoch, stage.call('use, put', () => useAndPut(cache)), epoch, epoch, epoch],
          [stage.call('put, once CPU 0 has its own', () => putWhenGiven(cache)), epoch, epoch, epoch, epoch, epoch],
        ],
        check: ([cpu0]) => {
          if (cpu0?.[3] === 1) return 'an object was used after it had been freed'
          return (words[cache + Refcache.freed] as number) > 1 ? 'an object was freed twice' : ''
        },
      }
    },
    expect,
  })
}

/** As Refcache does it. */
export const refcacheReviewAfterTwoEpochs = refcacheReview('refcache-review-after-two-epochs', 2, 'safe')

/** One epoch sooner. */
export const refcacheReviewAfterOneEpoch = refcacheReview('refcache-review-after-one-epoch', 1, { unsafe: /used after it had been freed/ })
