// What becomes of page-table walks without mmap_lock in a preemptible kernel? In one that is not, all that runs in the kernel is a
// reader for RCU, so that a walk that holds nothing is as safe as one that holds rcu_read_lock; where readers are counted it is not.
import { SmapsWalk } from '../kernel/proc/smaps.ts'
import { type Scenario, scenario, type Variant } from './scenario.ts'

/** A walk of one table beside the munmap that frees it, and its grace period. */
function smapsWalk(
  name: string,
  question: string,
  how: number,
  rest: Pick<Scenario, 'expect' | 'rcus'> & { readonly variants?: readonly Variant[] },
): Scenario {
  return scenario({
    name,
    question,
    asked: 'thread 000, page-table walks without mmap_lock, 25 February 2021; CONFIG_PREEMPT_RCU',
    cpus: 2,
    designs: ['vma-lock'],
    archs: ['x86_64', 'powerpc64-hash-64k'],
    setUp: (stage) => {
      const mm = stage.newMm()
      const page = stage.table(4)
      stage.now(0, mm.mmap(page, 1))
      stage.now(1, mm.write(page, 1))
      return { calls: [[mm.smaps(page, 1, how)], [mm.munmap(page, 1), stage.waitForCallbacks]] }
    },
    ...rest,
  })
}

/** Nothing is held: the grace period of a kernel that is not preemptible waits for it nevertheless. */
export const smapsBare = smapsWalk(
  'smaps-bare-vs-munmap',
  'May smaps walk page tables holding nothing, because the kernel is not preempted?',
  SmapsWalk.bare,
  { rcus: ['quiescent', 'preemptible'], expect: ({ rcu }) => (rcu === 'quiescent' ? 'safe' : { unsafe: /freed|reused/ }) },
)

/** Under RCU, whose readers are counted. */
export const smapsUnderCountedRcu = smapsWalk(
  'smaps-under-preemptible-rcu-vs-munmap',
  'May smaps walk page tables under the RCU read lock in a preemptible kernel?',
  SmapsWalk.rcu,
  {
    rcus: ['preemptible'],
    expect: 'safe',
    variants: [
      {
        name: 'counted-too-late',
        wrong: 'the walk comes down to the table before it enters its section',
        edits: [
          { file: 'proc/smaps.ts', from: 'if (how === SmapsWalk.rcu) rcuReadLock()', to: 'if (how < 0) rcuReadLock()' },
          { file: 'proc/smaps.ts', from: 'if (how === SmapsWalk.rcu) rcuReadUnlock()', to: 'if (how < 0) rcuReadUnlock()' },
          {
            file: 'pagetable/pte-offset-map.ts',
            from: '  rcuReadLock()\n  const pmdval = ENTRY_READ === EntryRead.whole ? pmdpGetLockless(pmd) : pmdpGetIrqOff(pmd)\n',
            to: '  const pmdval = ENTRY_READ === EntryRead.whole ? pmdpGetLockless(pmd) : pmdpGetIrqOff(pmd)\n  rcuReadLock()\n',
          },
        ],
        unsafe: /freed|reused/,
      },
    ],
  },
)

/** With interrupts off: a grace period waits for that in either flavour. */
export const smapsIrqOffPreemptible = smapsWalk(
  'smaps-irq-off-under-preemptible-rcu-vs-munmap',
  'May smaps walk page tables with interrupts off in a preemptible kernel?',
  SmapsWalk.irqOff,
  {
    rcus: ['preemptible'],
    expect: 'safe',
    variants: [
      {
        name: 'interrupts-off-is-no-section',
        wrong: 'a grace period waits for sections alone, as that of a preemptible kernel before 4.20',
        edits: [{ file: 'sync/rcu.ts', from: ' || readOnce(cpu + Cpu.irqOff) !== 0', to: '' }],
        unsafe: /freed|reused/,
        on: { arch: 'powerpc64-hash-64k' },
      },
    ],
  },
)
