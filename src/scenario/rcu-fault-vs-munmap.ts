// A fault in one RCU section walks page tables that munmap frees, on a VMA that munmap takes away. RCU keeps their memory; whether
// they are still the mm's is told by the VMA's number, looked at under the page-table lock, and by what is never done: populate.
import type { Combination } from './runner/axes.ts'
import { type Expectation, scenario, type Variant } from './scenario.ts'

const FILE = 'design/rcu-fault.ts'

/** The check of the VMA's number under the page-table lock. */
const CHECK = `  const speculation = thisCpu() + Cpu.design
  if (readOnce(load(speculation + Speculation.original) + Vma.lockSeq) !== load(speculation + Speculation.seq)) {
    pteUnmapUnlock(ptep, load(thisCpu() + Cpu.out1))
    return refuse(Outcome.vmaChanged)
  }
`
const UNLOCKED = { file: FILE, from: 'pteOffsetMapLock, pteUnmap, pteUnmapUnlock }', to: 'pteOffsetMapLock, pteUnmap }' }
/** Edits that take that check away. */
export const UNCHECKED = [{ file: FILE, from: CHECK, to: '' }, UNLOCKED]
const LEFT = /counters of mm|leak|in no mapping|map count/

const VARIANTS: readonly Variant[] = [
  {
    name: 'no-check-under-lock',
    wrong: 'nobody looks whether a writer has had the VMA before the page is installed',
    edits: UNCHECKED,
    unsafe: LEFT,
  },
  {
    name: 'check-before-lock',
    wrong: 'whether a writer has had the VMA is looked at before the page-table lock is held',
    edits: [
      {
        file: FILE,
        from: '  const ptep = pteOffsetMapLock(pmd, vpn)\n  if (vma !== vmaCopy()) return ptep\n',
        to: `  const at = thisCpu() + Cpu.design
  const mine = vma === vmaCopy()
  if (mine && readOnce(load(at + Speculation.original) + Vma.lockSeq) !== load(at + Speculation.seq)) return refuse(Outcome.vmaChanged)
  const ptep = pteOffsetMapLock(pmd, vpn)
  if (!mine) return ptep
`,
      },
      { file: FILE, from: CHECK, to: '' },
      UNLOCKED,
    ],
    unsafe: LEFT,
  },
  {
    name: 'detached-not-looked-at',
    wrong: 'a VMA that was found and then taken out of the tree is used as long as nobody changes it',
    edits: [{ file: FILE, from: '  if (readOnce(vma + Vma.refcnt) === 0) return Outcome.detached\n', to: '' }],
    unsafe: LEFT,
  },
  {
    name: 'upper-levels-populated',
    wrong: 'missing upper tables are allocated, as a fault under a lock does',
    edits: [
      { file: FILE, from: 'import { findPmd } from', to: 'import { pmdAlloc } from' },
      { file: FILE, from: '  const pmd = findPmd(mm, vpn)\n', to: '  const pmd = pmdAlloc(mm, vpn)\n' },
    ],
    unsafe: /words of page tables are counted|leak/,
  },
  {
    name: 'pte-table-populated',
    wrong: 'a missing PTE table is allocated, as a fault under a lock does',
    edits: [
      { file: FILE, from: 'import { findPmd } from', to: 'import { findPmd, pteAlloc } from' },
      {
        file: FILE,
        from: '  const ptep = pteOffsetMap(pmd, vpn)\n',
        to: '  if (pteAlloc(mm, pmd) !== 0) return Outcome.pmd\n  const ptep = pteOffsetMap(pmd, vpn)\n',
      },
    ],
    unsafe: /words of page tables are counted|leak/,
  },
]

/** Under RCU a walker answers IPIs: only who frees tables through RCU waits for it. */
const expect = ({ freeing }: Combination): Expectation => (freeing === 'rcu-batch' ? 'safe' : { unsafe: /freed|reused/ })

/** CPU 0 faults on the second page of a mapping while CPU 1 unmaps all of it and waits until tables and VMA are freed. */
export const rcuFaultVsMunmap = scenario({
  name: 'rcu-fault-vs-munmap',
  question: 'May a whole fault run in an RCU section beside a munmap of its VMA and of its page tables?',
  asked:
    'thread 003, Splitting the mmap_sem, phase 3: page faults entirely under the RCU read lock; hold ptlock while validating everything',
  cpus: 2,
  designs: ['rcu-fault'],
  archs: ['x86_64'],
  freeing: ['rcu-batch', 'immediate', 'ipi', 'ipi-all'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page, 1))
    return { calls: [[mm.write(page + 1, 7)], [mm.munmap(page, 2), stage.waitForCallbacks]] }
  },
  expect,
  variants: VARIANTS,
})
