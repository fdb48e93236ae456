// Can an object whose last reference is being dropped be found and taken again? Whoever finds it without holding a reference
// must not raise the count from zero.
import { scenario } from './scenario.ts'

/** CPU 0 drops the reference that it has while CPU 1 finds the object and takes one; CPU 2 has a reference and shares it. */
export const refcountGetVsPut = scenario({
  name: 'refcount-get-vs-put',
  question: 'Can an object come back whose last reference is gone?',
  asked: 'thread 003: a VMA found under RCU is used only if its reference count could be raised; Documentation/core-api/refcount-vs-atomic',
  cpus: 3,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { getAndPut, make, put, shareAndPut } = await stage.program<typeof import('./programs/refcount.ts')>('refcount')
    const object = stage.words(3)
    stage.now(
      0,
      stage.call('make', () => make(object, 2)),
    )
    return {
      labels: new Map([
        [object, 'refcount'],
        [object + 1, 'alive'],
        [object + 2, 'times freed'],
      ]),
      calls: [
        [stage.call('put', () => put(object))],
        [stage.call('get, put', () => getAndPut(object))],
        [stage.call('get, put, put', () => shareAndPut(object))],
      ],
      check: (results) => {
        const saw = results.flat()
        return saw.includes(2) ? 'an object was used after it had been freed' : saw.includes(3) ? 'an object was freed twice' : ''
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'up-from-zero',
      wrong: 'the count is raised from zero',
      edits: [{ file: 'sync/refcount.ts', from: '    if (old === 0) return 0\n', to: '' }],
      unsafe: /after it had been freed|freed twice/,
    },
    {
      name: 'get-in-two-steps',
      wrong: 'taking a reference reads the count and then writes it',
      edits: [
        {
          file: 'sync/refcount.ts',
          from: '    const seen = cmpxchg(p, old, old + 1)\n',
          to: '    const seen = readOnce(p)\n    if (seen === old) writeOnce(p, old + 1)\n',
        },
        { file: 'sync/refcount.ts', from: 'cmpxchg, readOnce }', to: 'readOnce, writeOnce }' },
      ],
      unsafe: /after it had been freed|freed twice/,
    },
    {
      name: 'put-in-two-steps',
      wrong: 'whoever drops a reference looks afterwards whether it was the last',
      edits: [
        {
          file: 'sync/refcount.ts',
          from: 'return atomicAdd(p, -1) === 0 ? 1 : 0',
          to: 'atomicAdd(p, -1)\n  return readOnce(p) === 0 ? 1 : 0',
        },
      ],
      unsafe: /after it had been freed|freed twice/,
    },
  ],
})
