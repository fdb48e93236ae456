// A CPU that reads /proc of somebody else's address space does not run it: it is not on its list of CPUs, and nobody flushes its
// TLB. Interrupts that are off then hold up nobody, on no architecture, unless whoever frees tables sends an IPI to all.
import { SmapsWalk } from '../kernel/proc/smaps.ts'
import { flushesByIpi } from './runner/axes.ts'
import type { Stage } from './runner/stage.ts'
import { type Play, scenario } from './scenario.ts'

const ASKED = 'thread 000, page-table walks without mmap_lock, 25 February 2021: the IPI is not sent to a CPU on which the task never ran'

/** CPU 0 walks with interrupts off the tables of an address space that the CPUs in `on` run and that CPU 1 unmaps. */
function walkBesideMunmap(stage: Stage, on: readonly number[]): Play {
  const mm = stage.newMm(on)
  // Not the first of its table: the entry of that one would be at 0 in a table at 0.
  const page = stage.table(4) + 1
  stage.now(1, mm.mmap(page, 1))
  stage.now(1, mm.write(page, 1))
  return { calls: [[mm.smaps(page, 1, SmapsWalk.irqOff)], [mm.munmap(page, 1), stage.waitForCallbacks]] }
}

/** The walker's CPU never ran the address space. */
export const smapsOfAnotherMm = scenario({
  name: 'smaps-of-another-mm',
  question: 'Do interrupts that are off keep page tables on a CPU on which the task never ran?',
  asked: ASKED,
  cpus: 2,
  archs: ['x86_64', 'sparc64', 'arm64-4k'],
  designs: ['vma-lock'],
  freeing: ['ipi', 'ipi-all', 'rcu-batch'],
  setUp: (stage) => walkBesideMunmap(stage, [1]),
  expect: ({ freeing }) => (freeing === 'ipi' ? { unsafe: /freed|reused/ } : 'safe'),
})

/** The walker's CPU runs the address space: whether that helps depends on how the architecture flushes. */
export const smapsIrqOffByInvalidation = scenario({
  name: 'smaps-irq-off-by-invalidation',
  question: 'Do interrupts that are off keep page tables where TLBs are invalidated by broadcast?',
  asked: `${ASKED}, and some architectures free tables directly`,
  cpus: 2,
  archs: ['sparc64', 'x86_64-5level', 'arm64-4k', 'arm64-64k', 'powerpc64-radix-64k'],
  designs: ['vma-lock'],
  freeing: ['ipi'],
  setUp: (stage) => walkBesideMunmap(stage, [0, 1]),
  expect: ({ arch }) => (flushesByIpi(arch) ? 'safe' : { unsafe: /freed|reused/ }),
})
