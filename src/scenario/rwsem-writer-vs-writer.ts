// Does the rw-semaphore keep two writers apart, also one that only tries? Neither may overwrite what the other wrote.
import { scenario } from './scenario.ts'

/** CPU 0 and CPU 1 add one to a pair of words each; CPU 1 tries first, and again if it could not. */
export const rwsemWriterVsWriter = scenario({
  name: 'rwsem-writer-vs-writer',
  question: 'Does the semaphore keep writers apart, also those that only try?',
  asked: 'kernel/locking/rwsem.c; mmap_write_trylock in khugepaged and speculative faults (thread 003)',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { tryWrite, write } = await stage.program<typeof import('./programs/rwsem.ts')>('rwsem')
    const sem = stage.words(8)
    const pair = sem + 4
    return {
      labels: new Map([
        [pair, 'pair[0]'],
        [pair + 1, 'pair[1]'],
      ]),
      calls: [
        [stage.call('write the pair', () => write(sem, pair))],
        [stage.call('try to write the pair', () => tryWrite(sem, pair)), stage.call('write the pair', () => write(sem, pair))],
      ],
      check: (results) => {
        const values = results.flat().filter((value) => value !== -2)
        if (values.includes(-1)) return 'a writer saw half an update'
        return new Set(values).size === values.length ? '' : 'an update was lost'
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'writer-sets-in-two-steps',
      wrong: 'a writer finds the semaphore free and then takes it',
      edits: [
        {
          file: 'sync/rwsem.ts',
          from: 'if (cmpxchg(sem + Rwsem.count, 0, WRITER) !== 0) waitForGrant(sem, WRITE, lockClass)\n  else lockAcquired(sem, 1)',
          to: 'if (readOnce(sem + Rwsem.count) !== 0) waitForGrant(sem, WRITE, lockClass)\n  else {\n    writeOnce(sem + Rwsem.count, WRITER)\n    lockAcquired(sem, 1)\n  }',
        },
      ],
      unsafe: /half an update|lost|race|not ordered|deadlock|held/,
    },
    {
      name: 'try-beside-a-writer',
      wrong: 'trying succeeds although a writer is inside, if nobody waits',
      edits: [
        {
          file: 'sync/rwsem.ts',
          from: 'if (cmpxchg(sem + Rwsem.count, 0, WRITER) !== 0) return 0',
          to: 'if ((atomicOr(sem + Rwsem.count, WRITER) & WAITERS) !== 0) return 0',
        },
      ],
      unsafe: /half an update|lost|race|not ordered|deadlock|held/,
    },
    {
      name: 'writer-throws-waiters-away',
      wrong: 'a writer that leaves overwrites the count and so the mark that somebody waits',
      edits: [
        {
          file: 'sync/rwsem.ts',
          from: 'if (cmpxchg(sem + Rwsem.count, WRITER, 0) === WRITER) return',
          to: 'if (readOnce(sem + Rwsem.count) === WRITER) {\n    writeOnce(sem + Rwsem.count, 0)\n    return\n  }',
        },
      ],
      unsafe: /deadlock/,
    },
  ],
})
