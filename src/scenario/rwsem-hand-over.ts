// Is the rw-semaphore handed on in the order of the queue, and to all who may have it together? With a reader inside, a writer
// and another reader wait; whoever leaves must find them, and none may be left asleep.
import { scenario } from './scenario.ts'

/** CPU 0 and CPU 1 read a pair of words that CPU 2 updates. */
export const rwsemHandOver = scenario({
  name: 'rwsem-hand-over',
  question: 'Is the semaphore handed on to everybody who waits, with two readers and a writer?',
  asked: 'thread 003, Splitting the mmap_sem: what mmap_lock itself guarantees; kernel/locking/rwsem.c',
  cpus: 3,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { read, write } = await stage.program<typeof import('./programs/rwsem.ts')>('rwsem')
    const sem = stage.words(8)
    const pair = sem + 4
    const reader = stage.call('read the pair', () => read(sem, pair))
    return {
      calls: [[reader], [reader], [stage.call('write the pair', () => write(sem, pair))]],
      check: (results) => (results.flat().includes(-1) ? 'a reader saw half an update' : ''),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'one-reader-granted',
      wrong: 'of several readers in front of the queue only the first is granted the semaphore, and the mark is cleared',
      edits: [
        {
          file: 'sync/rwsem.ts',
          from: '    futexWake(waiter + Cpu.waitGranted, 1)\n',
          to: '    futexWake(waiter + Cpu.waitGranted, 1)\n    break\n',
        },
      ],
      unsafe: /deadlock/,
    },
    {
      name: 'queue-unlocked',
      wrong: 'a waiter queues without the lock of the queue',
      edits: [{ file: 'sync/rwsem.ts', from: 'const me = thisCpu()\n  spinLock(sem + Rwsem.waitLock)', to: 'const me = thisCpu()' }],
      unsafe: /deadlock|race|not ordered|half|lock/,
    },
  ],
})
