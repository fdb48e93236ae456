// Does a grace period wait for the readers from before it, and for no others? In a kernel that is not preemptible readers cost
// nothing: a CPU that has been outside the kernel since holds nothing; in one that is they are counted. Page tables, maple nodes
// and VMAs are freed by this.
import { FREED_UNDER_READER, rcuMutants } from './rcu-mutants.ts'
import { scenario } from './scenario.ts'

type Program = typeof import('./programs/rcu.ts')

/** CPU 0 enters the kernel and reads, twice, what CPU 1 replaces, waits for, and frees. */
export const rcuReaderVsUpdater = scenario({
  name: 'rcu-reader-vs-updater',
  question: 'Does synchronize_rcu wait for every reader that may hold the object?',
  asked: 'thread 000, Freeing page tables through RCU',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  rcus: ['quiescent', 'preemptible'],
  setUp: async (stage) => {
    const { dispose, make, read, update } = await stage.program<Program>('rcu')
    const pointer = stage.words(1)
    stage.machine.words[pointer] = stage.now(
      1,
      stage.call('make', () => make(1)),
    )
    const reader = stage.call('read', () => read(pointer))
    return {
      labels: new Map([[pointer, 'pointer']]),
      after: [stage.call('dispose', () => dispose(pointer))],
      calls: [[reader, reader], [stage.call('replace, synchronize_rcu(), free', () => update(pointer, 2))]],
      check: ([read]) => (read?.every((value) => value === 1 || value === 2) ? '' : 'a reader saw a freed object'),
    }
  },
  expect: 'safe',
  variants: [
    ...rcuMutants,
    {
      name: 'returns-at-once',
      wrong: 'synchronize_rcu does not wait',
      edits: [{ file: 'sync/rcu.ts', from: 'while (!gracePeriodDone(snap)) {', to: 'while (snap < 0) {' }],
      unsafe: FREED_UNDER_READER,
    },
  ],
})

/** CPU 0 and CPU 1 read what CPU 2 replaces, waits for, and frees. */
export const rcuReadersVsUpdater = scenario({
  name: 'rcu-readers-vs-updater',
  question: 'Does a grace period wait for the second reader after the first has left?',
  asked: 'thread 000, Freeing page tables through RCU',
  cpus: 3,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  rcus: ['quiescent', 'preemptible'],
  setUp: async (stage) => {
    const { dispose, make, read, update } = await stage.program<Program>('rcu')
    const pointer = stage.words(1)
    stage.machine.words[pointer] = stage.now(
      2,
      stage.call('make', () => make(1)),
    )
    const reader = stage.call('read', () => read(pointer))
    return {
      labels: new Map([[pointer, 'pointer']]),
      after: [stage.call('dispose', () => dispose(pointer))],
      calls: [[reader], [reader], [stage.call('replace, synchronize_rcu(), free', () => update(pointer, 2))]],
      check: ([first, second]) =>
        [first, second].every((read) => read?.[0] === 1 || read?.[0] === 2) ? '' : 'a reader saw a freed object',
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'one-look',
      wrong: 'a grace period ends at the second look, whoever is still held up',
      edits: [{ file: 'sync/rcu.ts', from: '  if (waiting === 0) {', to: '  if ((seq & 1) !== 0) waiting = 0\n  if (waiting === 0) {' }],
      unsafe: FREED_UNDER_READER,
    },
    {
      name: 'one-is-enough',
      wrong: 'a grace period ends as soon as one CPU has passed a quiescent state',
      edits: [
        {
          file: 'sync/rcu.ts',
          from: 'load(snapshots + i) === 0) continue',
          to: 'load(snapshots + i) === 0) {\n      waiting = 0\n      break\n    }',
        },
      ],
      unsafe: FREED_UNDER_READER,
    },
  ],
})

/** CPU 0 reads what CPU 1 replaces while a grace period runs that began before. */
export const rcuPeriodUnderWay = scenario({
  name: 'rcu-period-under-way',
  question: 'Does a grace period that began before the object was unpublished count for it?',
  asked: 'thread 000; rcu_seq_snap in kernel/rcu/rcu.h',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  rcus: ['quiescent', 'preemptible'],
  setUp: async (stage) => {
    const { beginPeriod, dispose, enterSection, leaveSection, make, read, update } = await stage.program<Program>('rcu')
    const pointer = stage.words(1)
    stage.machine.words[pointer] = stage.now(
      1,
      stage.call('make', () => make(1)),
    )
    // CPU 0 holds the grace period up from before the first interleaving.
    stage.now(
      0,
      stage.call('enter', () => enterSection()),
    )
    stage.now(
      1,
      stage.call('begin a grace period', () => beginPeriod()),
    )
    stage.now(
      0,
      stage.call('leave', () => leaveSection()),
    )
    return {
      labels: new Map([[pointer, 'pointer']]),
      after: [stage.call('dispose', () => dispose(pointer))],
      calls: [[stage.call('read', () => read(pointer))], [stage.call('replace, synchronize_rcu(), free', () => update(pointer, 2))]],
      check: ([read]) => (read?.[0] === 1 || read?.[0] === 2 ? '' : 'a reader saw a freed object'),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'period-under-way-counts',
      wrong: 'who comes while a grace period runs waits only for its end',
      edits: [{ file: 'sync/rcu.ts', from: '+ 3) & ~1', to: '+ 2) & ~1' }],
      unsafe: FREED_UNDER_READER,
    },
  ],
})

/** CPU 0 reads what CPU 1 replaces; CPU 2 drives a grace period beside it that began before. */
export const rcuTwoDrivers = scenario({
  name: 'rcu-two-drivers',
  question: 'Can two CPUs drive grace periods side by side?',
  asked: 'kernel/rcu/tree.c: one grace period at a time, whoever asks for it',
  cpus: 3,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { beginPeriod, dispose, enterSection, leaveSection, make, read, update } = await stage.program<Program>('rcu')
    const pointer = stage.words(1)
    stage.machine.words[pointer] = stage.now(
      1,
      stage.call('make', () => make(1)),
    )
    // CPU 0 holds the grace period up from before the first interleaving.
    stage.now(
      0,
      stage.call('enter', () => enterSection()),
    )
    stage.now(
      2,
      stage.call('begin a grace period', () => beginPeriod()),
    )
    stage.now(
      0,
      stage.call('leave', () => leaveSection()),
    )
    return {
      labels: new Map([[pointer, 'pointer']]),
      after: [stage.call('dispose', () => dispose(pointer))],
      calls: [
        [stage.call('read', () => read(pointer))],
        [stage.call('replace, synchronize_rcu(), free', () => update(pointer, 2))],
        [stage.waitForCallbacks],
      ],
      check: ([read]) => (read?.[0] === 1 || read?.[0] === 2 ? '' : 'a reader saw a freed object'),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'period-under-way-counts',
      wrong: 'who comes while a grace period runs waits only for its end',
      edits: [{ file: 'sync/rcu.ts', from: '+ 3) & ~1', to: '+ 2) & ~1' }],
      unsafe: FREED_UNDER_READER,
    },
    {
      name: 'driven-unlocked',
      wrong: 'two CPUs may drive one grace period at once',
      edits: [
        { file: 'sync/rcu.ts', from: 'if (spinTrylock(Global.rcuLock) === 0) return', to: 'if (spinTrylock(Global.rcuLock) < 0) return' },
      ],
      unsafe: FREED_UNDER_READER,
    },
  ],
})
