// A fault that holds no lock of the mm walks page tables that munmap frees. What keeps them: RCU or interrupts that are off, if
// tables are freed accordingly; and the sequence count, looked at twice, which says whether they are still the mm's.
import { type Combination, flushesByIpi } from './runner/axes.ts'
import { type Expectation, type Scenario, scenario, type Variant } from './scenario.ts'

const FILE = 'design/speculative.ts'
const WALKERS = ['speculative', 'speculative-irq']

/** Whether who frees a table waits for who walks it. */
function keepsTables({ design, arch, freeing }: Combination): boolean {
  if (freeing === 'rcu-batch') return true
  if (design === 'speculative' || freeing === 'immediate') return false
  // A flush by broadcast waits for nobody with interrupts off.
  return freeing === 'ipi-all' || flushesByIpi(arch)
}

const NO_CHECK_UNDER_LOCK: Variant = {
  name: 'no-check-under-lock',
  wrong: 'the sequence count is not looked at once the page-table lock is held',
  edits: [
    {
      file: FILE,
      from: `  if (readSeqcountRetry(mm + Mm.mmLockSeq, seq) !== 0) {
    spinUnlock(ptl)
    return refuse(Outcome.seqUnderLock, form)
  }
`,
      to: '',
    },
  ],
  unsafe: /counters of mm|leak|in no mapping/,
}

const NO_CHECK_BEFORE_LOCK: Variant = {
  name: 'no-check-before-lock',
  wrong: 'the PMD entry is read again although the table in which it lies may have been freed since the walk',
  edits: [
    {
      file: FILE,
      from: '  if (readSeqcountRetry(mm + Mm.mmLockSeq, seq) !== 0) return refuse(Outcome.seqBeforeLock, form)\n',
      to: '',
    },
  ],
  // Between its walks the fault has interrupts on; RCU, here, holds tables for as long as it stays in the kernel and does not sleep.
  on: { design: 'speculative-irq', freeing: 'ipi' },
  unsafe: /use after free: CPU 0/,
}

/** Where readers are counted, the end of the first walk is the end of what RCU holds: then the check is needed under RCU as well. */
const NO_CHECK_BEFORE_LOCK_PREEMPTIBLE: Variant = {
  ...NO_CHECK_BEFORE_LOCK,
  name: 'no-check-before-lock-preemptible',
  on: { design: 'speculative', freeing: 'rcu-batch', rcu: 'preemptible' },
}

const UPPER_LEVELS_POPULATED: Variant = {
  name: 'upper-levels-populated',
  wrong: 'missing upper tables are allocated, as a fault under a lock does',
  edits: [
    { file: FILE, from: 'import { findPmd, pteIndex, ', to: 'import { findPmd, pmdAlloc, pteIndex, ' },
    { file: FILE, from: '  const pmd = findPmd(mm, vpn)\n', to: '  const pmd = pmdAlloc(mm, vpn)\n' },
  ],
  unsafe: /words of page tables are counted|leak/,
}

const expect = (combination: Combination): Expectation => (keepsTables(combination) ? 'safe' : { unsafe: /freed|reused/ })

/** CPU 0 faults on the second page of a mapping while CPU 1 unmaps all of it and waits until the tables are freed. */
export const speculativeFaultVsMunmap: Scenario = scenario({
  name: 'speculative-fault-vs-munmap',
  question: 'May a fault walk page tables that munmap frees, and lock one, without mmap_lock?',
  asked: 'thread 002, D. Hildenbrand on speculative page faults, 9 July 2021: RCU or interrupts off, and what about table reclaim?',
  cpus: 2,
  designs: WALKERS,
  freeing: ['rcu-batch', 'immediate', 'ipi', 'ipi-all'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page, 1))
    return { calls: [[mm.write(page + 1, 7)], [mm.munmap(page, 2), stage.waitForCallbacks]] }
  },
  expect,
  variants: [NO_CHECK_UNDER_LOCK, NO_CHECK_BEFORE_LOCK, NO_CHECK_BEFORE_LOCK_PREEMPTIBLE, UPPER_LEVELS_POPULATED],
})
