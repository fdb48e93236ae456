// Does a spinlock keep CPUs apart, in each of the ways in which it can be taken?
import { scenario } from './scenario.ts'

/** Three CPUs add to one word: one spins for its lock, one spins with interrupts off, one only tries. */
export const spinlockExclusion = scenario({
  name: 'spinlock-exclusion',
  question: 'Does a spinlock keep apart who spins for it, who takes it with interrupts off and who only tries?',
  asked: 'page-table locks, everywhere; the lock-protected counter of every model checker',
  cpus: 3,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { add, addIrqsave, tryAdd } = await stage.program<typeof import('./programs/spinlock.ts')>('spinlock')
    const lock = stage.words(2)
    const word = lock + 1
    return {
      labels: new Map([
        [lock, 'lock'],
        [word, 'sum'],
      ]),
      calls: [
        [stage.call('add', () => add(lock, word))],
        [stage.call('add, irqs off', () => addIrqsave(lock, word))],
        [stage.call('try to add', () => tryAdd(lock, word))],
      ],
      check: (results) => {
        const values = results.flat().filter((value) => value !== -2)
        return new Set(values).size === values.length ? '' : 'an addition was lost'
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'test-then-set',
      wrong: 'a waiter that has seen the lock free takes it without looking whether it still is',
      edits: [
        {
          file: 'sync/spinlock.ts',
          from: '  } while (cmpxchg(lock, 0, 1) !== 0)',
          to: '    writeOnce(lock, 1)\n  } while (false)',
        },
        { file: 'sync/spinlock.ts', from: 'relax, smpStoreRelease }', to: 'relax, smpStoreRelease, writeOnce }' },
        { file: 'sync/spinlock.ts', from: 'if (cmpxchg(lock, 0, 1) !== 0) spinLockSlow(lock)', to: 'spinLockSlow(lock)' },
      ],
      unsafe: /lost|race|not ordered|held|lock/,
    },
    {
      name: 'try-takes-anyway',
      wrong: 'trying says that it has got a lock that it has not',
      edits: [{ file: 'sync/spinlock.ts', from: 'if (cmpxchg(lock, 0, 1) !== 0) return 0', to: 'if (cmpxchg(lock, 0, 1) < 0) return 0' }],
      unsafe: /lost|race|not ordered|held|lock/,
    },
    {
      name: 'irqsave-does-not-look',
      wrong: 'with interrupts off, the lock is taken whatever it holds',
      edits: [{ file: 'sync/spinlock.ts', from: 'if (cmpxchg(lock, 0, 1) === 0) break', to: 'if (cmpxchg(lock, 0, 1) >= 0) break' }],
      unsafe: /lost|race|not ordered|held|lock/,
    },
  ],
})
