// VMA memory is type-safe under RCU: what a fault found may be another address space's VMA by the time it is locked, and that
// one may exit as soon as the fault lets go of it (CVE-2025-38554).
import { scenario } from './scenario.ts'

/** CPU 0 faults in one address space; CPU 1 unmaps there, and gets the VMA's memory for another one. */
export const faultVsReuseByOtherMm = scenario({
  name: 'fault-vs-reuse-by-other-mm',
  question: 'May a fault lock a VMA that has been freed and reused by another address space?',
  asked: 'bugs.md, B15: vma_start_read on a reused VMA',
  cpus: 2,
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm([0])
    const other = stage.newMm([])
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    return { calls: [[mm.read(page)], [mm.munmap(page, 1), other.mmap(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-owner-check',
      wrong: 'the locked VMA may be anybody',
      edits: [{ file: 'design/vma-lock.ts', from: '  if (owner !== mm) {', to: '  if (owner === 0) {' }],
      unsafe: /stale translation: CPU 0|counters of mm|no order of the calls explains/,
    },
  ],
})

/** The same, and the other address space exits while the fault lets go of its VMA. */
export const faultVsReuseAndExit = scenario({
  name: 'fault-vs-reuse-and-exit',
  question: 'May the address space whose VMA a fault has locked by mistake exit before the fault has let go of it?',
  asked: 'bugs.md, B15: CVE-2025-38554, the wake-up in an mm that is gone',
  cpus: 2,
  usually: { archs: ['powerpc64-hash-64k'] },
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm([0])
    const other = stage.newMm([])
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    return { calls: [[mm.read(page)], [mm.munmap(page, 1), other.mmap(page, 1), other.exit()]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-grab',
      wrong: 'the other address space is not kept until its writer has been woken',
      edits: [
        { file: 'design/vma-lock.ts', from: '    mmGrab(owner)\n', to: '' },
        { file: 'design/vma-lock.ts', from: '    mmDrop(owner)\n', to: '' },
      ],
      unsafe: /use after free: CPU 0/,
    },
  ],
})
