// A fault under SRCU waits for the disk where it is, with its VMA and file in hand and no lock. Page tables go through RCU, which does
// not wait for who sleeps: nothing that was walked before the sleep is worth anything after it.
import type { Combination } from './runner/axes.ts'
import { SHARED } from './runner/calls.ts'
import { type Expectation, scenario, type Variant } from './scenario.ts'

const FILE = 'design/srcu.ts'

const FPUT_AT_ONCE: Variant = {
  name: 'fput-at-once',
  wrong: 'munmap lets go of the file before the grace period',
  edits: [
    { file: FILE, from: '  if (load(vma + Vma.file) !== 0) getFile(load(vma + Vma.file))\n', to: '' },
    { file: 'vma/vma.ts', from: '  if (load(vma + Vma.file) !== 0) putFile(load(vma + Vma.file))\n', to: '' },
    { file: 'vma/vma.ts', from: "import { putFile } from '../memory/file.ts'\n", to: '' },
  ],
  unsafe: /use after free|reference count|is not ordered with|freed/,
}

const VMA_FREED_AT_ONCE: Variant = {
  name: 'vma-freed-at-once',
  wrong: 'munmap frees the VMA and lets go of its file without a grace period',
  edits: [
    {
      file: FILE,
      from: '  callSrcu(Global.srcuDomain, vma + Vma.rcuHead, RcuFunc.vmaAndFile)\n',
      to: '  vmaAndFileFree(vma + Vma.rcuHead)\n',
    },
  ],
  unsafe: /use after free|is not ordered with|freed/,
}

const OLD_WALK: Variant = {
  name: 'walked-once',
  wrong: 'the entry is locked below the PMD slot that was found before the fault slept',
  edits: [
    {
      file: FILE,
      from: 'mapLockValidated(mm, vpn) : pteOffsetMapLock(pmd, vpn)',
      to: 'mapLockValidated(pmd, vpn) : pteOffsetMapLock(pmd, vpn)',
    },
    {
      file: FILE,
      from: 'function mapLockValidated(mm: number, vpn: number): number {\n  const fault = thisCpu() + Cpu.design\n  rcuReadLock()\n  const pmd = findPmd(mm, vpn)\n',
      to: 'function mapLockValidated(pmd: number, vpn: number): number {\n  const fault = thisCpu() + Cpu.design\n  rcuReadLock()\n',
    },
  ],
  unsafe: /use after free|freed/,
}

const expect = ({ design }: Combination): Expectation =>
  design === 'srcu-prototype' ? { unsafe: /use after free|freed|in no mapping|leak|counters of mm/ } : 'safe'

/** CPU 0 reads a page of a file on a disk; CPU 1 unmaps the mapping, which alone keeps the file, and waits for what it deferred. */
export const srcuSleepingFaultVsMunmap = scenario({
  name: 'srcu-sleeping-fault-vs-munmap',
  question: 'May a fault under SRCU wait for the disk while munmap takes the mapping, its tables and the last reference to its file away?',
  asked:
    'thread 003, Splitting the mmap_sem: "You can do full blocking faults under SRCU"; "the (s)rcu callback will then fput() and such things"',
  cpus: 2,
  designs: ['srcu', 'srcu-prototype'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const file = stage.file(2, true)
    stage.now(0, mm.mmap(page, 2, SHARED, file))
    stage.now(0, file.close)
    // The tables are there, for munmap to free.
    stage.now(0, mm.read(page + 1))
    return { calls: [[mm.read(page)], [mm.munmap(page, 2), stage.waitForCallbacks]] }
  },
  expect,
  variants: [FPUT_AT_ONCE, VMA_FREED_AT_ONCE, OLD_WALK],
})
