// Does a reader that compares a sequence count before and after ever accept half an update? Speculative page faults copy a VMA
// in this way and give up, or retry, when the count has moved.
import { scenario, type Variant } from './scenario.ts'

const variants: Variant[] = [
  {
    name: 'begin-does-not-count',
    wrong: 'a writer counts only when it has finished',
    edits: [{ file: 'sync/seqcount.ts', from: '  writeOnce(seq, (load(seq) + 1) | 0)\n  smpWmb()', to: '  smpWmb()' }],
    unsafe: /half an update|deadlock/,
  },
  {
    name: 'no-retry',
    wrong: 'a reader does not look at the count again',
    edits: [{ file: 'sync/seqcount.ts', from: 'return readOnce(seq) !== start ? 1 : 0', to: 'return start < 0 ? 1 : 0' }],
    unsafe: /half an update/,
  },
  {
    name: 'retry-only-beside-a-writer',
    wrong: 'a reader looks afterwards whether a writer is at work, not whether one was',
    edits: [{ file: 'sync/seqcount.ts', from: 'return readOnce(seq) !== start ? 1 : 0', to: 'return (readOnce(seq) - start) & 1' }],
    unsafe: /half an update/,
  },
  {
    name: 'odd-is-waited-for-on-paper',
    wrong: 'a reader that finds a writer at work takes the count for the one that the writer will leave',
    edits: [{ file: 'sync/seqcount.ts', from: '  return value\n', to: '  return value + (value & 1)\n' }],
    unsafe: /half an update/,
  },
]

/** CPU 0 reads a pair of words, retrying, that CPU 1 updates. */
export const seqcountReaderVsWriter = scenario({
  name: 'seqcount-reader-vs-writer',
  question: 'Does a reader that retries ever accept half an update?',
  asked: 'thread 002, Speculative page faults: the per-mm sequence count',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { read, write } = await stage.program<typeof import('./programs/seqcount.ts')>('seqcount')
    const lock = stage.words(4)
    const seq = lock + 1
    const pair = lock + 2
    const labels = new Map([
      [lock, 'lock'],
      [seq, 'seq'],
      [pair, 'pair[0]'],
      [pair + 1, 'pair[1]'],
    ])
    return {
      labels,
      calls: [[stage.call('read the pair', () => read(seq, pair))], [stage.call('write the pair', () => write(lock, seq, pair))]],
      check: ([reader]) => (reader?.[0] === -1 ? 'a reader accepted half an update' : ''),
    }
  },
  expect: 'safe',
  variants: [
    ...variants,
    {
      name: 'end-does-not-count',
      wrong: 'a writer counts only when it begins',
      edits: [{ file: 'sync/seqcount.ts', from: 'smpStoreRelease(seq, (load(seq) + 1) | 0)', to: 'smpWmb()' }],
      unsafe: /half an update|deadlock/,
    },
  ],
})

/** CPU 0 reads a pair, giving up if it must, that CPU 1 and CPU 2 update. */
export const seqcountReaderVsWriters = scenario({
  name: 'seqcount-reader-vs-writers',
  question: 'Does a reader that gives up ever accept half an update, with two writers?',
  asked: 'thread 002, Speculative page faults: readers never spin on the counter, they revert to the lock',
  cpus: 3,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { tryRead, write } = await stage.program<typeof import('./programs/seqcount.ts')>('seqcount')
    const lock = stage.words(4)
    const seq = lock + 1
    const pair = lock + 2
    const labels = new Map([
      [lock, 'lock'],
      [seq, 'seq'],
      [pair, 'pair[0]'],
      [pair + 1, 'pair[1]'],
    ])
    const writer = stage.call('write the pair', () => write(lock, seq, pair))
    return {
      labels,
      calls: [[stage.call('try to read the pair', () => tryRead(seq, pair))], [writer], [writer]],
      check: ([reader]) => (reader?.[0] === -1 ? 'a reader accepted half an update' : ''),
    }
  },
  expect: 'safe',
  variants,
})
