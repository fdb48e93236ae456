// May page tables be walked without mmap_lock (smaps), while munmap frees them? With interrupts off it depends on who waits
// for whom; under RCU on whether tables are freed through RCU.
import { SmapsWalk } from '../kernel/proc/smaps.ts'
import { flushesByIpi } from './runner/axes.ts'
import { type Scenario, scenario } from './scenario.ts'

const WITHOUT = 'May smaps walk page tables without mmap_lock, holding only'
const FREEING = ['immediate', 'ipi', 'ipi-all', 'rcu-batch', 'pte-free-defer']

/** A walk of one page's tables beside a munmap that frees them. */
function smapsVsMunmap(name: string, how: number, question: string, expect: Scenario['expect']): Scenario {
  return scenario({
    name,
    question,
    asked: 'thread 000, page-table walks without mmap_lock, 25 February 2021',
    cpus: 2,
    usually: { designs: ['vma-lock'] },
    freeing: FREEING,
    setUp: (stage) => {
      const mm = stage.newMm()
      const page = stage.table(4)
      stage.now(0, mm.mmap(page, 1))
      stage.now(1, mm.write(page, 1))
      return { calls: [[mm.smaps(page, 1, how)], [mm.munmap(page, 1), stage.waitForCallbacks]] }
    },
    expect,
  })
}

/** Holding mmap_lock for reading: as Linux does it today. */
export const smapsUnderMmapLock = smapsVsMunmap(
  'smaps-under-mmap-lock-vs-munmap',
  SmapsWalk.mmapLock,
  'May smaps walk page tables under mmap_lock?',
  'safe',
)

/** With interrupts off for each table: the walker holds up whoever waits for an IPI, and RCU. */
export const smapsIrqOff = smapsVsMunmap('smaps-irq-off-vs-munmap', SmapsWalk.irqOff, `${WITHOUT} interrupts off?`, ({ freeing, arch }) =>
  freeing === 'immediate' || (freeing === 'ipi' && !flushesByIpi(arch)) ? { unsafe: /freed|reused/ } : 'safe',
)

/** Under RCU alone: only what is freed through RCU is safe. */
export const smapsUnderRcu = smapsVsMunmap('smaps-under-rcu-vs-munmap', SmapsWalk.rcu, `${WITHOUT} the RCU read lock?`, ({ freeing }) =>
  freeing === 'rcu-batch' || freeing === 'pte-free-defer' ? 'safe' : { unsafe: /freed|reused/ },
)
