// Does an SRCU grace period wait for the readers from before it? It counts readers into one of two banks and scans both, one
// before it flips to it and one after, because a reader may fetch the index long before it counts.
import { FREED_UNDER_READER } from './rcu-mutants.ts'
import type { Stage } from './runner/stage.ts'
import { scenario, type Variant } from './scenario.ts'

type Program = typeof import('./programs/srcu.ts')

async function setTheScene(stage: Stage) {
  const program = await stage.program<Program>('srcu')
  const pointer = stage.words(32)
  const domain = pointer + 2
  stage.now(
    0,
    stage.call('make a domain', () => program.makeDomain(domain, pointer + 16)),
  )
  stage.machine.words[pointer] = stage.now(
    0,
    stage.call('make', () => program.make(1)),
  )
  return {
    domain,
    read: stage.call('read', () => program.read(domain, pointer)),
    pass: stage.call('srcu_read_lock(), unlock', () => program.pass(domain)),
    update: stage.call('replace, synchronize_srcu(), free', () => program.update(domain, pointer, 2)),
    labels: new Map([[pointer, 'pointer']]),
    after: [stage.call('dispose', () => program.dispose(pointer))],
    advance: stage.call('a step of the grace period', () => program.advance(domain)),
  }
}

const judge = (reader: readonly number[] | undefined): string =>
  reader?.every((value) => value === 1 || value === 2) ? '' : 'a reader saw a freed object'

const mutants: readonly Variant[] = [
  {
    name: 'nobody-counts',
    wrong: 'a bank is taken to be idle whatever was counted',
    edits: [{ file: 'sync/srcu.ts', from: 'return (balance | 0) === 0', to: 'return counters > 0' }],
    unsafe: FREED_UNDER_READER,
  },
  {
    name: 'not-flipped',
    wrong: 'a grace period does not flip the index and scans one bank twice',
    edits: [{ file: 'sync/srcu.ts', from: 'writeOnce(domain + Srcu.index, load(domain + Srcu.index) + 1)', to: 'smpMb()' }],
    unsafe: FREED_UNDER_READER,
  },
  {
    name: 'unlock-of-the-other-bank',
    wrong: 'a reader that leaves counts in the other bank',
    edits: [{ file: 'sync/srcu.ts', from: 'UNLOCKS + bank, 1)', to: 'UNLOCKS + (bank ^ 1), 1)' }],
    unsafe: /deadlock|livelock|freed|not ordered|race/,
  },
  {
    name: 'index-read-twice',
    wrong: 'a reader reads the index again when it leaves',
    edits: [
      {
        file: 'sync/srcu.ts',
        from: 'smpProcessorId() * SRCU_CPU_WORDS + UNLOCKS + bank, 1)',
        to: 'smpProcessorId() * SRCU_CPU_WORDS + UNLOCKS + (readOnce(domain + Srcu.index) & 1) + bank * 0, 1)',
      },
    ],
    unsafe: /deadlock|livelock|freed|not ordered|race/,
  },
  {
    name: 'one-cpu-forgotten',
    wrong: 'the locks of CPU 0 are not summed',
    edits: [{ file: 'sync/srcu.ts', from: 'for (let i = 0; i < cpus; i++) balance +=', to: 'for (let i = 1; i < cpus; i++) balance +=' }],
    unsafe: /deadlock|livelock|freed|not ordered|race/,
  },
]

/** CPU 0 reads, twice, what CPU 1 replaces, waits for, and frees. */
export const srcuReaderVsUpdater = scenario({
  name: 'srcu-reader-vs-updater',
  question: 'Does synchronize_srcu wait for every reader that may hold the object?',
  asked: 'thread 003, Splitting the mmap_sem, phase 3: blocking faults under SRCU',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { read, update, ...rest } = await setTheScene(stage)
    return { ...rest, calls: [[read, read], [update]], check: ([reader]) => judge(reader) }
  },
  expect: 'safe',
  variants: mutants,
})

/** The same while a grace period runs that has flipped the index already. */
export const srcuPeriodUnderWay = scenario({
  name: 'srcu-period-under-way',
  question: 'Does an SRCU grace period that began before the object was unpublished count for it?',
  asked: 'kernel/rcu/srcutree.c: the sequence that synchronize_srcu waits for',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { advance, read, update, ...rest } = await setTheScene(stage)
    stage.now(1, advance)
    return { ...rest, calls: [[read, read], [update]], check: ([reader]) => judge(reader) }
  },
  expect: 'safe',
  variants: [
    {
      name: 'period-under-way-counts',
      wrong: 'who comes while a grace period runs waits only for its end',
      edits: [
        {
          file: 'sync/srcu.ts',
          from: 'const target = (readOnce(domain + Srcu.done) + 2) | 0',
          to: 'const target = (readOnce(domain + Srcu.done) + 1) | 0',
        },
      ],
      unsafe: FREED_UNDER_READER,
    },
  ],
})

/**
 * CPU 0 replaces what CPU 2 reads. CPU 1 makes the steps of the grace period before: what it has scanned must not count for
 * a reader that has fetched the index before it was flipped and counts after the scan.
 */
export const srcuLateReader = scenario({
  name: 'srcu-late-reader',
  question: 'Is one scan enough? A reader may fetch the index, and count only a grace period later.',
  asked: 'kernel/rcu/srcutree.c: why both banks are scanned',
  cpus: 3,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { advance, read, update, ...rest } = await setTheScene(stage)
    return { ...rest, calls: [[update], [advance, advance], [read]], check: (results) => judge(results[2]) }
  },
  expect: 'safe',
  variants: [
    {
      name: 'one-scan',
      wrong: 'a grace period flips the index at once and scans only the bank that it leaves',
      edits: [{ file: 'sync/srcu.ts', from: 'bankIdle(domain, idle)', to: '(load(domain + Srcu.phase) === 0 || bankIdle(domain, idle))' }],
      unsafe: FREED_UNDER_READER,
    },
  ],
})

/**
 * CPU 0 replaces what CPU 2 reads. CPU 1 makes the last step of the grace period before, and then comes and goes as a reader
 * while CPU 0 scans.
 */
export const srcuPassingReader = scenario({
  name: 'srcu-passing-reader',
  question: 'Must unlocks be summed before locks? A reader that comes and goes between the sums may hide one that stays.',
  asked: 'kernel/rcu/srcutree.c: srcu_readers_active_idx_check()',
  cpus: 3,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { advance, pass, read, update, ...rest } = await setTheScene(stage)
    stage.now(1, advance)
    return { ...rest, calls: [[update], [advance, pass], [read]], check: (results) => judge(results[2]) }
  },
  expect: 'safe',
  variants: [
    {
      name: 'locks-before-unlocks',
      wrong: 'locks are summed before unlocks',
      edits: [
        {
          file: 'sync/srcu.ts',
          from: 'for (let i = 0; i < cpus; i++) balance -= readOnce(counters + i * SRCU_CPU_WORDS + UNLOCKS + bank)',
          to: 'for (let i = 0; i < cpus; i++) balance += readOnce(counters + i * SRCU_CPU_WORDS + bank + 0)',
        },
        {
          file: 'sync/srcu.ts',
          from: 'for (let i = 0; i < cpus; i++) balance += readOnce(counters + i * SRCU_CPU_WORDS + bank)',
          to: 'for (let i = 0; i < cpus; i++) balance -= readOnce(counters + i * SRCU_CPU_WORDS + UNLOCKS + bank)',
        },
      ],
      unsafe: FREED_UNDER_READER,
    },
  ],
})
