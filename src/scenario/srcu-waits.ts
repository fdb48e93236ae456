// Who waits for a grace period with mmap_lock held (munmap in `srcu-sync`, registration with userfaultfd) is waited for in turn by
// whoever wants mmap_lock: faults must not want it inside their SRCU sections.
import { READ_ONLY, SHARED } from './runner/calls.ts'
import { scenario, type Variant } from './scenario.ts'

const FILE = 'design/srcu.ts'

const FALLS_BACK_INSIDE: Variant = {
  name: 'falls-back-inside-the-section',
  wrong: 'a fault that has to be done under mmap_lock takes it before its SRCU section ends',
  edits: [
    { file: FILE, from: '  srcuReadUnlock(Global.srcuDomain, bank)\n  countOutcome(outcome)\n', to: '  countOutcome(outcome)\n' },
    {
      file: FILE,
      from: '  if (outcome === Outcome.done || outcome === Outcome.tableGone) return 0\n',
      to: `  if (outcome === Outcome.done || outcome === Outcome.tableGone) {
    srcuReadUnlock(Global.srcuDomain, bank)
    return 0
  }
`,
    },
    {
      file: FILE,
      from: 'load(thisCpu() + Cpu.statFaultFallbacks) + 1)\n  return faultUnderMmapLock(mm, vpn, access)\n',
      to: `load(thisCpu() + Cpu.statFaultFallbacks) + 1)
  const result = faultUnderMmapLock(mm, vpn, access)
  srcuReadUnlock(Global.srcuDomain, bank)
  return result
`,
    },
  ],
  unsafe: /deadlock|livelock/,
}

/** CPU 0 writes to a VMA for the first time, which takes mmap_lock; CPU 1 maps over another one with mmap_lock held for writing. */
export const srcuSyncVsFallback = scenario({
  name: 'srcu-sync-vs-fallback',
  question: 'May synchronize_srcu be waited for with mmap_lock held, beside faults that need mmap_lock?',
  asked: 'thread 003, Splitting the mmap_sem: "munmap() would consist of removing the VMA from the tree, then calling synchronize_srcu()"',
  cpus: 2,
  designs: ['srcu-sync'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.mmap(page + 2, 1))
    stage.now(0, mm.read(page))
    return { calls: [[mm.write(page, 7)], [mm.mmap(page + 2, 1)]] }
  },
  expect: 'safe',
  variants: [FALLS_BACK_INSIDE],
})

/** CPU 0 waits for the disk inside its section; CPU 1 maps over the file and waits for CPU 0, with mmap_lock held for writing. */
export const srcuSyncVsSleepingReader = scenario({
  name: 'srcu-sync-vs-sleeping-reader',
  question: 'May synchronize_srcu be waited for with mmap_lock held, beside a fault that sleeps in its section?',
  asked: 'thread 003, Splitting the mmap_sem: "sleep waiting for pages to arrive back from disc"',
  cpus: 2,
  designs: ['srcu-sync'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const file = stage.file(2, true)
    stage.now(0, mm.mmap(page, 1, SHARED, file))
    stage.now(0, file.close)
    // Keeps the tables, which are not the question.
    stage.now(0, mm.mmap(page + 2, 1))
    stage.now(0, mm.read(page + 2))
    return { calls: [[mm.read(page)], [mm.mmap(page, 1, READ_ONLY)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'not-waited-for',
      wrong: 'munmap goes on without the grace period',
      edits: [{ file: FILE, from: '  condSynchronizeSrcu(Global.srcuDomain, load(vma + Vma.rcuHead))\n', to: '' }],
      unsafe: /use after free|is not ordered with|freed|reference count/,
    },
  ],
})

/** CPU 1 registers a range beside a fault of CPU 0, and must then be told of what is missing. */
export const srcuFaultVsUserfaultRegister = scenario({
  name: 'srcu-fault-vs-userfault-register',
  question: 'Who waits for a fault that has looked at its VMA for the last time, if registration takes no lock of a page table?',
  asked: 'field: userfaultfd_register and vma_start_write; bugs.md, B11',
  cpus: 2,
  designs: ['srcu', 'srcu-prototype'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page + 1, 1))
    return { calls: [[mm.read(page)], [mm.userfault(page, 2, true), mm.read(page)]] }
  },
  expect: ({ design }) => (design === 'srcu' ? 'safe' : { unsafe: /no order of the calls|data race|is not ordered with/ }),
  variants: [
    {
      name: 'no-grace-period',
      wrong: 'registration does not wait for a grace period',
      edits: [
        {
          file: 'syscall/userfault.ts',
          from: '  if (on !== 0 && design.faultsUnderSrcu === true) synchronizeSrcu(Global.srcuDomain)\n',
          to: '',
        },
      ],
      unsafe: /^no order of the calls/,
    },
    { ...FALLS_BACK_INSIDE, wrong: 'the same, beside registration, which waits for sections with mmap_lock held' },
  ],
})
