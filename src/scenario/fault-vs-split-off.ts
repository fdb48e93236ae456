// A VMA may shrink between the look-up and the lock: the fault must compare its address with the bounds once more.
import { pteOf } from '../check/detect/index.ts'
import { Pte } from '../kernel/pagetable/entries.ts'
import { Vm } from '../kernel/vma/vma.ts'
import { scenario } from './scenario.ts'

/** CPU 0 faults on the upper page of a mapping while CPU 1 unmaps that page: the VMA found may be the lower part by then. */
export const faultVsSplitOff = scenario({
  name: 'fault-vs-split-off',
  question: 'May a VMA shrink between the look-up of a fault and its lock?',
  asked: 'field: lock_vma_under_rcu, the check of the bounds after vma_start_read',
  cpus: 2,
  designs: ['vma-lock'],
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
      name: 'no-bounds-check',
      wrong: 'the address is not compared with the bounds of the locked VMA',
      edits: [
        {
          file: 'design/vma-lock.ts',
          from: '    if (vpn >= load(vma + Vma.start) && vpn < load(vma + Vma.end)) return vma',
          to: '    return vma',
        },
        {
          file: 'design/vma-lock.ts',
          from: '    vmaRefcountPut(vma, mm)\n    return 0\n  }\n  rcuReadUnlock()',
          to: '  }\n  rcuReadUnlock()',
        },
      ],
      unsafe: /in no mapping|no order of the calls explains|stale/,
    },
  ],
})

/** CPU 0 writes to the lowest page of a mapping; CPU 1 takes the right to write away there, so that it becomes part of the neighbour below. */
export const faultVsShiftedBoundary = scenario({
  name: 'fault-vs-shifted-boundary',
  question: 'May the boundary of two VMAs pass a fault between its look-up and its lock?',
  asked: 'field: lock_vma_under_rcu, the check of the bounds after vma_start_read; vma_merge where the boundary moves up',
  cpus: 2,
  designs: ['vma-lock', 'vma-lock-seq'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 3))
    stage.now(0, mm.write(page + 2, 1))
    stage.now(0, mm.mprotect(page, 1, Vm.read))
    return {
      calls: [[mm.write(page + 1, 7)], [mm.mprotect(page + 1, 1, Vm.read)]],
      check: () =>
        (pteOf(stage.machine.words, mm.mm, page + 1) & Pte.write) === 0 ? '' : 'the page may be written, and its mapping may only be read',
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'start-not-compared',
      wrong: 'the address is compared with the end of the locked VMA alone',
      edits: [
        {
          file: 'design/vma-lock.ts',
          from: '    if (vpn >= load(vma + Vma.start) && vpn < load(vma + Vma.end)) return vma',
          to: '    if (vpn < load(vma + Vma.end)) return vma',
        },
      ],
      unsafe: /may only be read|no order of the calls explains/,
    },
    {
      name: 'start-not-compared-under-the-semaphore',
      wrong: 'the same under the semaphore of the VMA',
      edits: [
        {
          file: 'design/vma-lock-seq.ts',
          from: '  if (vpn < load(vma + Vma.start) || vpn >= load(vma + Vma.end)) return false\n',
          to: '  if (vpn >= load(vma + Vma.end)) return false\n',
        },
      ],
      unsafe: /may only be read|no order of the calls explains/,
      on: { design: 'vma-lock-seq' },
    },
  ],
})
