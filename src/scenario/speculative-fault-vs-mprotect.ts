// A fault without locks decides by a copy of its VMA. The copy is worth something only if no writer has been at work between the
// first read of the sequence count, before the look-up, and the last one, under the page-table lock.
import { Vm } from '../kernel/vma/vma.ts'
import { READ_ONLY } from './runner/calls.ts'
import { scenario } from './scenario.ts'

const FILE = 'design/speculative.ts'
const COPY = 'design/speculation.ts'

/** CPU 0 writes to a page that is not there yet while CPU 1 takes the right to write away and then reads the page. */
/** Fault handlers read the VMA itself instead of a copy: of every design that makes one. */
export const NOT_COPIED = [
  {
    file: COPY,
    from: '  mpolPut(load(vmaCopy() + Vma.policy))\n',
    to: '',
  },
  {
    file: COPY,
    from: 'import { mpolGetNotZero, mpolPut }',
    to: 'import { mpolGetNotZero }',
  },
  {
    file: COPY,
    from: '  return thisCpu() + Cpu.design + Speculation.vma\n',
    to: '  return load(thisCpu() + Cpu.design + Speculation.vma)\n',
  },
  {
    file: COPY,
    from: `  const copy = vmaCopy()
  store(copy + Vma.start, readOnce(vma + Vma.start))
  store(copy + Vma.flags, readOnce(vma + Vma.flags))
  store(copy + Vma.pgoff, readOnce(vma + Vma.pgoff))
  store(copy + Vma.anonVma, readOnce(vma + Vma.anonVma))
  store(copy + Vma.file, readOnce(vma + Vma.file))
  store(copy + Vma.policy, readOnce(vma + Vma.policy))
`,
    to: `  store(thisCpu() + Cpu.design + Speculation.vma, vma)
`,
  },
]

export const speculativeFaultVsMprotect = scenario({
  name: 'speculative-fault-vs-mprotect',
  question: 'May a fault go by a copy of its VMA while mprotect changes the VMA?',
  asked: 'thread 002, speculative page faults: the copy of the VMA and the check of the sequence count, July 2021',
  cpus: 2,
  designs: ['speculative', 'speculative-irq'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    // A second writer, so that also a count that only one end of a writer changes is even here.
    stage.now(0, mm.mmap(stage.table(6), 1, READ_ONLY))
    stage.now(1, mm.write(page + 1, 1))
    return { calls: [[mm.write(page, 7)], [mm.mprotect(page, 2, Vm.read), mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'copy-not-validated',
      wrong: 'the sequence count is read when the VMA has been copied, so that no check covers the copy',
      edits: [
        {
          file: FILE,
          from: `  if (held === 0 || readSeqcountRetry(mm + Mm.mmLockSeq, seq) !== 0) {
    dropReferences()
    return Outcome.vmaCopy
  }
`,
          to: '',
        },
        {
          file: FILE,
          from: 'store(thisCpu() + Cpu.design + Speculation.seq, seq)',
          to: 'store(thisCpu() + Cpu.design + Speculation.seq, readSeqcount(mm + Mm.mmLockSeq))',
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
