// A fault that holds no lock is told of each writer by a count that is odd while one is at work: of every writer, not of every other one.
import { Vm } from '../kernel/vma/vma.ts'
import { scenario } from './scenario.ts'

const FILE = 'vma/mmap-lock.ts'

/**
 * CPU 0 writes to a page from which CPU 1 takes the right to write, and which it then reads. There have been writers before, an even number of
 * them: the last one, a munmap, had downgraded its lock.
 */
export const speculativeFaultVsSecondWriter = scenario({
  name: 'speculative-fault-vs-second-writer',
  question: 'Is a speculative fault told of a writer that comes after one which downgraded mmap_lock?',
  asked: 'thread 002, speculative page faults: mmap_seq is odd while a writer is at work; mmap_write_downgrade ends that too',
  cpus: 2,
  designs: ['speculative'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 3))
    stage.now(0, mm.write(page, 1))
    stage.now(0, mm.munmap(page + 2, 1))
    return { calls: [[mm.write(page + 1, 7)], [mm.mprotect(page + 1, 1, Vm.read), mm.read(page + 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'begin-not-told',
      wrong: 'the count does not say that a writer begins',
      edits: [{ file: FILE, from: '  design.mmapWriteLocked(mm)\n', to: '' }],
      unsafe: /no order of the calls/,
    },
    {
      name: 'downgrade-not-told',
      wrong: 'the count does not say that a writer who downgrades its lock ends: the next one makes it even',
      edits: [
        {
          file: FILE,
          from: 'export function mmapWriteDowngrade(mm: number): void {\n  design.mmapWriteUnlocking(mm)\n',
          to: 'export function mmapWriteDowngrade(mm: number): void {\n',
        },
      ],
      unsafe: /no order of the calls/,
    },
  ],
})
