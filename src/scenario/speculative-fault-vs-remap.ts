// The sequence count returns to an even value after each writer, but not to the same one. Who only asked whether a writer is at
// work now would take a new mapping at the old place for the one that was copied.
import { READ_ONLY } from './runner/calls.ts'
import { scenario } from './scenario.ts'

const FILE = 'design/speculative.ts'

/** CPU 0 writes to a page; CPU 1 unmaps it and maps read-only memory at the same place. */
export const speculativeFaultVsRemap = scenario({
  name: 'speculative-fault-vs-remap',
  question: 'May a mapping be taken away and another be put in its place under a fault that has copied the first one?',
  asked: 'thread 002, speculative page faults: a counter that was even and has the same value later on; July 2021',
  cpus: 2,
  designs: ['speculative'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    // A neighbour of another kind, so that the table stays and nothing merges.
    stage.now(0, mm.mmap(page + 2, 1))
    stage.now(0, mm.write(page, 1))
    stage.now(0, mm.write(page + 2, 1))
    stage.now(0, mm.dontneed(page, 1))
    return { calls: [[mm.write(page, 7)], [mm.munmap(page, 1), mm.mmap(page, 1, READ_ONLY)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'parity-only',
      wrong: 'the checks ask whether a writer is at work now, not whether one has been',
      edits: [
        {
          file: FILE,
          from: '  if (readSeqcountRetry(mm + Mm.mmLockSeq, seq) !== 0) return refuse(Outcome.seqBeforeLock, form)\n',
          to: '  if ((readSeqcount(mm + Mm.mmLockSeq) & 1) !== 0) return refuse(Outcome.seqBeforeLock, form)\n',
        },
        {
          file: FILE,
          from: '  if (readSeqcountRetry(mm + Mm.mmLockSeq, seq) !== 0) {\n    spinUnlock(ptl)\n',
          to: '  if ((readSeqcount(mm + Mm.mmLockSeq) & 1) !== 0) {\n    spinUnlock(ptl)\n',
        },
      ],
      unsafe: /no order of the calls explains/,
    },
  ],
})
