// What a fault under SRCU has found may be cut, changed, freed and used again beside it. It works on a copy; its VMA's number says
// whether the copy is true; and SRCU keeps the memory in which that number stands from being somebody else's.
import { Vm } from '../kernel/vma/vma.ts'
import type { Combination } from './runner/axes.ts'
import { SHARED } from './runner/calls.ts'
import { type Expectation, scenario } from './scenario.ts'
import { NOT_COPIED } from './speculative-fault-vs-mprotect.ts'
import { CHECK_UNDER_LOCK } from './srcu-fault-vs-munmap.ts'

const FILE = 'design/srcu.ts'

/** CPU 0 faults on the upper page of a mapping while CPU 1 unmaps that page: the VMA found may be the lower part by then. */
export const srcuFaultVsSplitOff = scenario({
  name: 'srcu-fault-vs-split-off',
  question: 'May a VMA shrink between the look-up of a fault and the look at its number?',
  asked: 'thread 003, Splitting the mmap_sem: "so see if nothing had fundamentally changed, specifically the VMA"',
  cpus: 2,
  designs: ['srcu'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page, 1))
    return { calls: [[mm.write(page + 1, 7)], [mm.munmap(page + 1, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'number-not-older-than-the-look-up',
      wrong: 'a VMA is taken whose last writer came after the fault had begun',
      edits: [
        {
          file: FILE,
          from: '  if (((seq - writers) | 0) >= 0) return Outcome.writer\n',
          to: '  if (seq === readOnce(mm + Mm.mmLockSeq)) return Outcome.writer\n',
        },
      ],
      unsafe: /in no mapping|no order of the calls explains|stale|counters of mm/,
    },
  ],
})

/** CPU 0 writes to a page that is not there yet while CPU 1 takes the right to write away and then reads the page. */
export const srcuFaultVsMprotect = scenario({
  name: 'srcu-fault-vs-mprotect',
  question: 'May a fault under SRCU go by a copy of its VMA while mprotect changes the VMA?',
  asked: 'thread 003, Splitting the mmap_sem: "you need to hold ptlock to pin stuff while validating everything you did earlier"',
  cpus: 2,
  designs: ['srcu', 'srcu-prototype'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(1, mm.write(page + 1, 1))
    return { calls: [[mm.write(page, 7)], [mm.mprotect(page, 2, Vm.read), mm.read(page)]] }
  },
  expect: ({ design }: Combination): Expectation =>
    design === 'srcu-prototype' ? { unsafe: /data race|no order of the calls explains|is not ordered with/ } : 'safe',
  variants: [
    {
      name: 'no-check-under-lock',
      wrong: 'the VMA is not looked at before the entry is set',
      edits: [{ file: FILE, from: CHECK_UNDER_LOCK, to: '' }],
      unsafe: /no order of the calls explains/,
    },
    {
      name: 'not-marked',
      wrong: 'a writer does not change the number of the VMA',
      edits: [{ file: FILE, from: '  writeOnce(vma + Vma.lockSeq, load(load(vma + Vma.mm) + Mm.mmLockSeq))\n', to: '' }],
      unsafe: /no order of the calls explains/,
    },
    {
      name: 'not-copied',
      wrong: 'the fault handlers read the VMA itself, which changes under them',
      edits: NOT_COPIED,
      unsafe: /data race|is not ordered with/,
    },
  ],
})

/** CPU 0 sleeps in a fault; CPU 1 unmaps there, has the callback run, and gets the VMA's memory, and its number, for another mm. */
export const srcuFaultVsReuse = scenario({
  name: 'srcu-fault-vs-reuse',
  question: 'May the callback free a VMA that a fault has in hand, for another address space to use it?',
  asked: 'thread 003, Splitting the mmap_sem: call_srcu, and the VMA freed in the callback; bugs.md, B15',
  cpus: 2,
  designs: ['srcu'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm([0])
    const other = stage.newMm([])
    const page = stage.table(4)
    // While a fault is awake it is an RCU reader by itself; who sleeps has nothing but SRCU. The file stays open.
    stage.now(0, mm.mmap(page, 1, SHARED, stage.file(1, true)))
    // Keeps the tables, which are not the question.
    stage.now(0, mm.mmap(page + 2, 1))
    stage.now(0, mm.read(page + 2))
    return { calls: [[mm.read(page)], [mm.munmap(page, 1), stage.waitForCallbacks, other.mmap(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'vma-freed-at-once',
      wrong: 'munmap frees the VMA without a grace period',
      edits: [
        {
          file: FILE,
          from: '  callSrcu(Global.srcuDomain, vma + Vma.rcuHead, RcuFunc.vmaAndFile)\n',
          to: '  vmaAndFileFree(vma + Vma.rcuHead)\n',
        },
      ],
      unsafe: /stale translation|in no mapping|counters of mm|use after free|is not ordered with/,
    },
    {
      name: 'section-ends-at-the-look-up',
      wrong: 'the section ends once the VMA is found and copied',
      edits: [
        {
          file: FILE,
          from: '  const outcome = found !== 0 ? found : faultOnCopy(mm, vpn, access)\n',
          to: '  srcuReadUnlock(Global.srcuDomain, bank)\n  const outcome = found !== 0 ? found : faultOnCopy(mm, vpn, access)\n',
        },
        { file: FILE, from: '  srcuReadUnlock(Global.srcuDomain, bank)\n  countOutcome(outcome)\n', to: '  countOutcome(outcome)\n' },
      ],
      unsafe: /in no mapping|counters of mm|no order of the calls|use after free|stale/,
    },
    {
      name: 'barrier-without-srcu',
      wrong: 'rcu_barrier leaves what was given to call_srcu alone, and nobody runs it',
      edits: [{ file: 'softirq.ts', from: '  }\n  srcuBarrier(Global.srcuDomain)\n', to: '  }\n' }],
      unsafe: /leak/,
    },
  ],
})
