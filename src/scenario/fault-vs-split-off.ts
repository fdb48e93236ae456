// A VMA may shrink between the look-up and the lock: the fault must compare its address with the bounds once more.
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
