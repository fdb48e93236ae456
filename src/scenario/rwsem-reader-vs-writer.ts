// Does the rw-semaphore keep a reader out while a writer is inside, and does whoever has to wait get it in the end? The lock
// is handed over by whoever leaves, so that each way of leaving must notice who waits (mmap_lock's own algorithm, FIFO).
import { scenario } from './scenario.ts'

/** CPU 0 reads a pair of words that CPU 1 updates. */
export const rwsemReaderVsWriter = scenario({
  name: 'rwsem-reader-vs-writer',
  question: 'Does the semaphore keep readers and a writer apart, and wake whoever waits?',
  asked: 'thread 003, Splitting the mmap_sem: what mmap_lock itself guarantees',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { read, write } = await stage.program<typeof import('./programs/rwsem.ts')>('rwsem')
    const sem = stage.words(8)
    const pair = sem + 4
    return {
      labels: new Map([
        [pair, 'pair[0]'],
        [pair + 1, 'pair[1]'],
      ]),
      calls: [[stage.call('read the pair', () => read(sem, pair))], [stage.call('write the pair', () => write(sem, pair))]],
      check: ([reader, writer]) => ((reader?.[0] as number) < 0 || writer?.[0] !== 1 ? 'a reader saw half an update' : ''),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-wake-up',
      wrong: 'who is granted the semaphore is not woken',
      edits: [{ file: 'sync/rwsem.ts', from: '    futexWake(waiter + Cpu.waitGranted, 1)\n', to: '' }],
      unsafe: /deadlock/,
    },
    {
      name: 'writer-leaves-silently',
      wrong: 'a writer that leaves does not hand the semaphore over',
      edits: [
        {
          file: 'sync/rwsem.ts',
          from: '  atomicAnd(sem + Rwsem.count, ~WRITER)\n  handOver(sem)',
          to: '  atomicAnd(sem + Rwsem.count, ~WRITER)',
        },
      ],
      unsafe: /deadlock/,
    },
    {
      name: 'reader-leaves-silently',
      wrong: 'the last reader does not hand the semaphore over',
      edits: [
        {
          file: 'sync/rwsem.ts',
          from: 'if (atomicAdd(sem + Rwsem.count, -1) === WAITERS) handOver(sem)',
          to: 'atomicAdd(sem + Rwsem.count, -1)',
        },
      ],
      unsafe: /deadlock/,
    },
    {
      name: 'waiters-unmarked',
      wrong: 'a waiter queues without setting WAITERS, so that nobody who leaves looks at the queue',
      edits: [{ file: 'sync/rwsem.ts', from: '  atomicOr(sem + Rwsem.count, WAITERS)\n', to: '' }],
      unsafe: /deadlock/,
    },
    {
      name: 'queued-after-the-look',
      wrong: 'a waiter does not look at the semaphore again once it is queued',
      edits: [
        {
          file: 'sync/rwsem.ts',
          from: '  grant(sem)\n  spinUnlock(sem + Rwsem.waitLock)\n  if',
          to: '  spinUnlock(sem + Rwsem.waitLock)\n  if',
        },
      ],
      unsafe: /deadlock/,
    },
    {
      name: 'grant-forgotten',
      wrong: 'a waiter clears its grant after it has queued, and may clear one that it has got',
      edits: [
        { file: 'sync/rwsem.ts', from: '  writeOnce(me + Cpu.waitGranted, 0)\n', to: '' },
        {
          file: 'sync/rwsem.ts',
          from: '  grant(sem)\n  spinUnlock(sem + Rwsem.waitLock)\n  if',
          to: '  grant(sem)\n  spinUnlock(sem + Rwsem.waitLock)\n  writeOnce(me + Cpu.waitGranted, 0)\n  if',
        },
      ],
      unsafe: /deadlock/,
    },
    {
      name: 'reader-joins-a-writer',
      wrong: 'a waiting reader is granted the semaphore beside a writer',
      edits: [
        {
          file: 'sync/rwsem.ts',
          from: 'writes ? (count & ~WAITERS) !== 0 : (count & WRITER) !== 0',
          to: 'writes && (count & ~WAITERS) !== 0',
        },
      ],
      unsafe: /half an update|race|not ordered/,
    },
    {
      name: 'writer-joins-readers',
      wrong: 'a waiting writer is granted the semaphore beside readers',
      edits: [
        {
          file: 'sync/rwsem.ts',
          from: 'writes ? (count & ~WAITERS) !== 0 : (count & WRITER) !== 0',
          to: '(count & WRITER) !== 0',
        },
      ],
      unsafe: /half an update|race|not ordered|deadlock/,
    },
    {
      name: 'reader-counts-in-two-steps',
      wrong: 'a reader reads the count and then writes it',
      edits: [
        {
          file: 'sync/rwsem.ts',
          from: '    const seen = cmpxchg(sem + Rwsem.count, old, old + 1)\n',
          to: '    const seen = readOnce(sem + Rwsem.count)\n    if (seen === old) writeOnce(sem + Rwsem.count, old + 1)\n',
        },
      ],
      unsafe: /half an update|race|not ordered|deadlock/,
    },
  ],
})
