// May a fault run beside a munmap that frees the tables which the fault walks? What it holds decides for whom freed tables must wait.
import { AXES, type Combination, flushesByIpi } from './runner/axes.ts'
import { type Expectation, scenario } from './scenario.ts'

/** Policies that wait for no RCU section. */
const NOT_THROUGH_RCU = ['immediate', 'ipi', 'ipi-all']
/** Designs whose faults hold no lock that munmap waits for. */
const LOCKLESS = /^(speculative|rcu-fault|srcu)/

function expect({ design, arch, freeing }: Combination): Expectation {
  if (!NOT_THROUGH_RCU.includes(freeing) || !LOCKLESS.test(design)) return 'safe'
  const waitedFor = freeing === 'ipi-all' || (freeing === 'ipi' && flushesByIpi(arch))
  return design === 'speculative-irq' && waitedFor ? 'safe' : { unsafe: /use after free|freed|reused/ }
}

/** CPU 0 faults on a page below a PTE table; CPU 1 unmaps all that lies below it, so that its tables go. */
export const faultVsMunmapOfTheLastPages = scenario({
  name: 'fault-vs-munmap-of-the-last-pages',
  question: 'May a fault race a munmap that frees the page tables on its way?',
  asked: 'thread 002, what protects speculative walks from the freeing of page tables; thread 000',
  cpus: 2,
  usually: { designs: ['vma-lock'], archs: ['x86_64'], freeing: ['rcu-batch'] },
  freeing: AXES.freeing,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page, 1))
    return { calls: [[mm.write(page + 1, 7)], [mm.munmap(page, 2)]] }
  },
  expect,
})
