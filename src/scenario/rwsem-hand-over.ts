// Is the rw-semaphore handed on in the order of the queue, and to all who may have it together? With a reader inside, a writer
// and another reader wait; whoever leaves must find them, and none may be left asleep.
import type { Stage } from './runner/stage.ts'
import { scenario } from './scenario.ts'

/** What is wrong with a semaphore, whose first word is its count, that everybody has left. */
function notFree(stage: Stage, sem: number): string {
  return stage.machine.words[sem] === 0 ? '' : 'all have left, and whoever only tries is refused: the semaphore is not free'
}

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

/** CPU 0 reads a pair of words twice, CPU 1 updates it twice, so that each may have to wait twice. */
export const rwsemWaitTwice = scenario({
  name: 'rwsem-wait-twice',
  question: 'Does who waits for the semaphore a second time really wait, and is the semaphore free when all have left?',
  asked:
    'thread 003, Splitting the mmap_sem: what mmap_lock itself guarantees; kernel/locking/rwsem.c, waiter->task and RWSEM_FLAG_WAITERS',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { read, write } = await stage.program<typeof import('./programs/rwsem.ts')>('rwsem')
    const sem = stage.words(8)
    const pair = sem + 4
    const reader = stage.call('read the pair', () => read(sem, pair))
    const writer = stage.call('write the pair', () => write(sem, pair))
    return {
      labels: new Map([
        [pair, 'pair[0]'],
        [pair + 1, 'pair[1]'],
      ]),
      calls: [
        [reader, reader],
        [writer, writer],
      ],
      check: (results) => {
        if (results.flat().includes(-1)) return 'a reader saw half an update'
        return notFree(stage, sem)
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'old-grant-counts',
      wrong: 'who waits a second time still has the grant of the first time',
      edits: [{ file: 'sync/rwsem.ts', from: '  writeOnce(me + Cpu.waitGranted, 0)\n', to: '' }],
      unsafe: /half an update|data race|is not ordered with|deadlock|not free/,
    },
    {
      name: 'mark-stays',
      wrong: 'the mark that somebody waits stays when nobody does any more',
      edits: [
        {
          file: 'sync/rwsem.ts',
          from: '    futexWake(waiter + Cpu.waitGranted, 1)\n  }\n  atomicAnd(sem + Rwsem.count, ~WAITERS)\n',
          to: '    futexWake(waiter + Cpu.waitGranted, 1)\n  }\n',
        },
      ],
      unsafe: /the semaphore is not free/,
    },
  ],
})

/** CPU 0 comes as a writer twice and CPU 1 once; CPU 2 is a reader. What they do inside is not the question. */
export const rwsemMarkVsLeaving = scenario({
  name: 'rwsem-mark-vs-leaving',
  question: 'May a writer that leaves take the mark of somebody away who has come to wait meanwhile?',
  asked: 'kernel/locking/rwsem.c: __up_write and RWSEM_FLAG_WAITERS; thread 003: what mmap_lock itself guarantees',
  cpus: 3,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { passAsReader, passAsWriter } = await stage.program<typeof import('./programs/rwsem.ts')>('rwsem')
    const sem = stage.words(8)
    const writer = stage.call('down_write(), up_write()', () => passAsWriter(sem))
    return {
      calls: [[writer, writer], [writer], [stage.call('down_read(), up_read()', () => passAsReader(sem))]],
      check: () => notFree(stage, sem),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'old-neighbour-stays',
      wrong: 'who waits a second time still has whoever came behind it the first time',
      edits: [{ file: 'sync/rwsem.ts', from: '  store(me + Cpu.waitNext, 0)\n', to: '' }],
      unsafe: /not free|deadlock/,
    },
    {
      name: 'leaves-in-two-steps',
      wrong: 'a writer that leaves reads the count and then writes it',
      edits: [
        {
          file: 'sync/rwsem.ts',
          from: '  atomicAnd(sem + Rwsem.count, ~WRITER)\n  handOver(sem)',
          to: '  writeOnce(sem + Rwsem.count, readOnce(sem + Rwsem.count) & ~WRITER)\n  handOver(sem)',
        },
      ],
      unsafe: /deadlock/,
    },
  ],
})
