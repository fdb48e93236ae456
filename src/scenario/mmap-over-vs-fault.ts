// mmap with MAP_FIXED over a mapping in use: the old pages go, the new mapping appears, in one call.
import { scenario } from './scenario.ts'

/** CPU 0 reads a page over which CPU 1 maps fresh memory: it sees the old value or zero, never a hole. */
export const mmapOverVsFault = scenario({
  name: 'mmap-over-vs-fault',
  question: 'May a fault see a hole while MAP_FIXED replaces the mapping?',
  asked: 'field: mmap_region replaces under mmap_lock held for writing',
  cpus: 2,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page, 1))
    return {
      calls: [[mm.read(page)], [mm.mmap(page, 1)]],
      check: ([cpu0]) => (cpu0?.[0] === 0 || cpu0?.[0] === 1 ? '' : 'a fault found a hole where a mapping replaced another'),
    }
  },
  expect: 'safe',
})

/** CPU 0 reads two pages over which CPU 1 maps fresh memory; its TLB has the second one only. */
export const mmapOverTwoPagesVsFault = scenario({
  name: 'mmap-over-two-pages-vs-fault',
  question: 'May a fault see a page of the new mapping while a page of the old one is still to be seen?',
  asked: 'field: mmap_region; the new VMA is in the tree, write-locked, before the old pages are unmapped and flushed',
  cpus: 2,
  designs: ['vma-lock', 'vma-lock-seq'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(1, mm.mmap(page, 2))
    for (const one of [page, page + 1]) stage.now(1, mm.write(one, 1))
    stage.now(0, mm.read(page + 1))
    return { calls: [[mm.read(page), mm.read(page + 1)], [mm.mmap(page, 2)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'new-vma-not-locked',
      wrong: 'the new VMA is in the tree without being write-locked',
      edits: [{ file: 'syscall/mmap.ts', from: '  design.vmaStartWrite(vma)\n', to: '' }],
      unsafe: /no order of the calls explains|stale/,
    },
  ],
})
