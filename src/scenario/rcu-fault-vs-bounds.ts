// What a fault in an RCU section finds in the tree may have other bounds by the time that it looks at its number: then all that it reads
// of the VMA is as it should be, but for another range.
import { Vm } from '../kernel/vma/vma.ts'
import { scenario } from './scenario.ts'

const FILE = 'design/rcu-fault.ts'
const BOUNDS = '  if (vpn < load(copy + Vma.start) || vpn >= readOnce(vma + Vma.end)) return Outcome.bounds\n'

/** CPU 0 faults on the upper page of a mapping while CPU 1 unmaps that page: the VMA found may be the lower part by then. */
export const rcuFaultVsSplitOff = scenario({
  name: 'rcu-fault-vs-split-off',
  question: 'May a VMA shrink between its look-up and the first look at its number?',
  asked: 'field: lock_vma_under_rcu, the check of the bounds after vma_start_read; here of a VMA that nobody locks',
  cpus: 2,
  designs: ['rcu-fault'],
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
      name: 'upper-bound-not-looked-at',
      wrong: 'the address is not compared with the end of the VMA',
      edits: [{ file: FILE, from: BOUNDS, to: '  if (vpn < load(copy + Vma.start)) return Outcome.bounds\n' }],
      unsafe: /in no mapping|no order of the calls explains|stale/,
    },
  ],
})

/** CPU 0 writes to the first page of a mapping, which CPU 1 makes read-only, so that the mapping below grows over it; then CPU 1 reads it. */
export const rcuFaultVsMerge = scenario({
  name: 'rcu-fault-vs-merge',
  question: 'May a page go over to the VMA below between the look-up of its VMA and the first look at its number?',
  asked: 'field: lock_vma_under_rcu, the check of the bounds after vma_start_read; vma_merge that moves a boundary',
  cpus: 2,
  designs: ['rcu-fault'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 3))
    stage.now(1, mm.write(page + 2, 1))
    stage.now(0, mm.mprotect(page, 1, Vm.read))
    return { calls: [[mm.write(page + 1, 7)], [mm.mprotect(page + 1, 1, Vm.read), mm.read(page + 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'lower-bound-not-looked-at',
      wrong: 'the address is not compared with the start of the VMA',
      edits: [{ file: FILE, from: BOUNDS, to: '  if (vpn >= readOnce(vma + Vma.end)) return Outcome.bounds\n' }],
      unsafe: /no order of the calls explains/,
    },
  ],
})
