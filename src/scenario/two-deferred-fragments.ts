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

/**
 * Two CPUs give back an empty table each, under mmap_lock for reading; munmap and munmap would come one after the other. The sketch with
 * bitmaps is right for just two: `deferred-by-bitmap.ts` has one and three.
 */
export const twoReclaimedFragments = scenario({
  ...DEFINITION,
  name: 'two-reclaimed-fragments',
  question: 'May two empty page tables that share a page be given back at the same time?',
  asked: 'thread 004, pte_free_defer() for powerpc, June 2023; reclaim of empty page tables, 2024, comes under mmap_lock for reading',
  designs: ['vma-lock'],
  freeing: [
    'pte-free-defer',
    'pte-free-defer-one-head',
    'pte-free-defer-increments',
    'pte-free-defer-bitmap',
    'pte-free-defer-bitmap-fixed',
  ],
  setUp: (stage) => {
    const mm = stage.newMm()
    const pages = [stage.table(4), stage.table(6)]
    for (const [cpu, page] of pages.entries()) {
      stage.now(cpu, mm.mmap(page, stage.tablePages))
      stage.now(cpu, mm.read(page))
    }
    return { calls: pages.map((page) => [mm.dontneed(page, stage.tablePages)]) }
  },
  variants: [
    {
      name: 'bit-in-two-steps',
      wrong: 'the bits are read and then written, so that neither of two who come together finds the other',
      edits: [
        {
          file: 'pagetable/pte-free-defer-bitmap.ts',
          from: 'const old = atomicOr(map + FragmentMap.pending, fragmentBit(table))',
          to: 'const old = readOnce(map + FragmentMap.pending)\n  writeOnce(map + FragmentMap.pending, old | fragmentBit(table))',
        },
        {
          file: 'pagetable/pte-free-defer-bitmap.ts',
          from: 'atomicOr, load, store, xchg }',
          to: 'atomicOr, load, readOnce, store, writeOnce, xchg }',
        },
      ],
      unsafe: /leak/,
      on: { freeing: 'pte-free-defer-bitmap' },
    },
  ],
})

/** Three tables of a page are deferred and their grace period can end; CPU 0's callback takes them together while CPU 1 defers a fourth. */
export const deferredWhileOthersAreFreed = scenario({
  name: 'fragment-deferred-while-others-are-freed',
  question: 'May a fragment be deferred while the callback adds up those that were deferred after the one that queued the rcu_head?',
  asked: 'thread 004, pte_free_defer() for powerpc, June 2023: pt_frag_refcount counts deferred fragments as well, by large increments',
  cpus: 2,
  designs: ['vma-lock'],
  archs: ['powerpc64-hash-64k'],
  freeing: ['pte-free-defer', 'pte-free-defer-increments'],
  setUp: (stage) => {
    const mm = stage.newMm()
    for (const n of [4, 5, 6, 8]) {
      stage.now(1, mm.mmap(stage.table(n), 1))
      stage.now(1, mm.write(stage.table(n), n))
    }
    for (const n of [4, 5, 6]) stage.now(0, mm.munmap(stage.table(n), 1))
    return { calls: [[stage.waitForCallbacks], [mm.munmap(stage.table(8), 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'added-up-in-two-steps',
      wrong: 'the callback reads the count and then writes it, so that a deferral in between is lost',
      edits: [
        {
          file: 'pagetable/pte-free-defer-drafts.ts',
          from: 'left = atomicAdd(count, -DEFERRED)\n',
          to: '{\n    left = readOnce(count) - DEFERRED\n    writeOnce(count, left)\n  }\n',
        },
        { file: 'pagetable/pte-free-defer-drafts.ts', from: 'import { atomicAdd }', to: 'import { atomicAdd, readOnce, writeOnce }' },
      ],
      unsafe: /leak/,
      on: { freeing: 'pte-free-defer-increments' },
    },
  ],
})
