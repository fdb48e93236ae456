// A fault in an RCU section decides by a copy of its VMA, which a writer may be changing. The number that a writer gives the VMA says
// whether one is at work, if it is compared with the mm's in the right order, and whether one has been since.
import { Vm } from '../kernel/vma/vma.ts'
import { READ_ONLY } from './runner/calls.ts'
import { scenario } from './scenario.ts'
import { NOT_COPIED } from './speculative-fault-vs-mprotect.ts'

const FILE = 'design/rcu-fault.ts'
const LOOK = '  const seq = readOnce(vma + Vma.lockSeq)\n  if (seq === readOnce(mm + Mm.mmLockSeq)) return Outcome.locked\n'

/** CPU 0 writes to a page that is not there yet while CPU 1 takes the right to write away and then reads the page. */
export const rcuFaultVsMprotect = scenario({
  name: 'rcu-fault-vs-mprotect',
  question: 'May a fault go by a copy of its VMA, which it has not locked, while mprotect changes the VMA?',
  asked: 'thread 003: see if nothing had fundamentally changed, specifically the VMA, before installing the PTE',
  cpus: 2,
  designs: ['rcu-fault'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(1, mm.write(page + 1, 1))
    return { calls: [[mm.write(page, 7)], [mm.mprotect(page, 2, Vm.read), mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'locked-not-looked-at',
      wrong: 'a VMA that a writer has is copied, too',
      edits: [{ file: FILE, from: LOOK, to: '  const seq = readOnce(vma + Vma.lockSeq)\n' }],
      unsafe: /no order of the calls explains/,
    },
    {
      name: 'number-of-the-mm-first',
      wrong: 'the number of the mm is read before that of the VMA, so that a writer who comes in between is not seen',
      edits: [
        {
          file: FILE,
          from: LOOK,
          to: '  const now = readOnce(mm + Mm.mmLockSeq)\n  const seq = readOnce(vma + Vma.lockSeq)\n  if (seq === now) return Outcome.locked\n',
        },
      ],
      unsafe: /no order of the calls explains/,
    },
    {
      name: 'not-copied',
      wrong: 'the fault handlers read the VMA itself, which changes under them',
      edits: NOT_COPIED,
      unsafe: /data race on word|data race on vma/,
    },
  ],
})

/** CPU 0 writes to a page; CPU 1 unmaps it and maps read-only memory at the same place. */
export const rcuFaultVsRemap = scenario({
  name: 'rcu-fault-vs-remap',
  question: 'May a mapping be taken away and another be put in its place under a fault in an RCU section?',
  asked: 'thread 003: the second page-table walk, with ptlock held to pin stuff while validating everything',
  cpus: 2,
  designs: ['rcu-fault'],
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
      name: 'locked-now-only',
      wrong: 'the check under the lock asks whether a writer has the VMA now, not whether one has had it',
      edits: [
        {
          file: FILE,
          from: 'Vma.lockSeq) !== load(speculation + Speculation.seq)) {',
          to: 'Vma.lockSeq) === readOnce(_mm + Mm.mmLockSeq)) {',
        },
      ],
      unsafe: /no order of the calls explains|in no mapping|counters of mm/,
    },
  ],
})
