// Does a writer that downgrades let waiting readers in, and keep writers out until it has left? munmap unmaps pages under the
// downgraded lock and relies on both.
import { scenario } from './scenario.ts'

/** CPU 0 writes a pair, downgrades, and stays until a reader has been inside; CPU 1 is that reader. */
export const rwsemDowngradeVsReader = scenario({
  name: 'rwsem-downgrade-vs-reader',
  question: 'Does a writer that downgrades let waiting readers in?',
  asked: 'munmap with the lock downgraded (dd2283f2605e); downgrade_write in kernel/locking/rwsem.c',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { readAndTell, writeThenReadWith } = await stage.program<typeof import('./programs/rwsem.ts')>('rwsem')
    const sem = stage.words(8)
    const pair = sem + 4
    const word = sem + 6
    return {
      labels: new Map([
        [pair, 'pair[0]'],
        [pair + 1, 'pair[1]'],
        [word, 'reader inside'],
      ]),
      calls: [
        [stage.call('write, downgrade, wait for a reader', () => writeThenReadWith(sem, pair, word))],
        [stage.call('read the pair', () => readAndTell(sem, pair, word))],
      ],
      check: (results) => (results.flat().includes(-1) ? 'a reader saw half an update' : ''),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'readers-not-let-in',
      wrong: 'downgrading does not look who waits',
      edits: [
        {
          file: 'sync/rwsem.ts',
          from: 'if ((atomicAdd(sem + Rwsem.count, 1 - WRITER) & WAITERS) !== 0) handOver(sem)',
          to: 'atomicAdd(sem + Rwsem.count, 1 - WRITER)',
        },
      ],
      unsafe: /deadlock/,
    },
  ],
})

/** CPU 0 writes a pair, downgrades and looks again; CPU 1 writes it too. */
export const rwsemDowngradeVsWriter = scenario({
  name: 'rwsem-downgrade-vs-writer',
  question: 'Does a writer that downgrades keep other writers out?',
  asked: 'munmap with the lock downgraded (dd2283f2605e); downgrade_write in kernel/locking/rwsem.c',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { write, writeThenRead } = await stage.program<typeof import('./programs/rwsem.ts')>('rwsem')
    const sem = stage.words(8)
    const pair = sem + 4
    return {
      labels: new Map([
        [pair, 'pair[0]'],
        [pair + 1, 'pair[1]'],
      ]),
      calls: [
        [stage.call('write, downgrade, read', () => writeThenRead(sem, pair))],
        [stage.call('write the pair', () => write(sem, pair))],
      ],
      check: (results) => (results.flat().includes(-1) ? 'a writer came between' : ''),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'downgrade-lets-go',
      wrong: 'the downgraded writer does not count as a reader',
      edits: [
        {
          file: 'sync/rwsem.ts',
          from: 'if ((atomicAdd(sem + Rwsem.count, 1 - WRITER) & WAITERS) !== 0) handOver(sem)',
          to: 'if ((atomicAdd(sem + Rwsem.count, -WRITER) & WAITERS) !== 0) handOver(sem)',
        },
      ],
      unsafe: /came between|race|not ordered|deadlock/,
    },
    {
      name: 'writers-let-in',
      wrong: 'a waiting writer is let in beside the downgraded one',
      edits: [
        {
          file: 'sync/rwsem.ts',
          from: 'writes ? (count & ~WAITERS) !== 0 : (count & WRITER) !== 0',
          to: '(count & WRITER) !== 0',
        },
      ],
      unsafe: /came between|race|not ordered|deadlock/,
    },
  ],
})
