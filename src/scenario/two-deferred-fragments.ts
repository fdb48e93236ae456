// May two page tables share one rcu_head? On powerpc with 64K pages sixteen PTE tables lie in one page, whose struct page has
// one rcu_head (thread 004); with the radix MMU 256 do.
import { type Scenario, scenario } from './scenario.ts'

/** Two CPUs unmap a table each; both tables are fragments of one page, and both are deferred in one grace period. */
const DEFINITION: Scenario = {
  name: 'two-deferred-fragments',
  question: 'May two page tables that share a page be deferred together through its one rcu_head?',
  asked: 'thread 004, pte_free_defer() for powerpc, 1 June 2023',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  archs: ['powerpc64-hash-64k'],
  freeing: ['pte-free-defer', 'pte-free-defer-one-head', 'pte-free-defer-increments', 'rcu-batch'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const pages = [stage.table(4), stage.table(6)]
    for (const [cpu, page] of pages.entries()) {
      stage.now(cpu, mm.mmap(page, 1))
      stage.now(cpu, mm.write(page, 1))
    }
    // One of them waits; a second would only take turns with it.
    return { calls: pages.map((page, cpu) => [mm.munmap(page, 1), ...(cpu === 1 ? [stage.waitForCallbacks] : [])]) }
  },
  expect: ({ freeing }) => (freeing === 'pte-free-defer-one-head' ? { unsafe: /rcu_head|data race/ } : 'safe'),
}

/** Sixteen tables in a page. */
export const twoDeferredFragments = scenario(DEFINITION)

/** 256 tables in a page. */
export const twoDeferredFragmentsOf256 = scenario({
  ...DEFINITION,
  name: 'two-deferred-fragments-of-256',
  archs: ['powerpc64-radix-64k'],
  designs: ['vma-lock'],
  freeing: ['pte-free-defer', 'pte-free-defer-one-head', 'pte-free-defer-increments'],
})
