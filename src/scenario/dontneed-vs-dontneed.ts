// Two gathers on one range: the second finds no entry to clear, but the translations that the first cleared may still be in
// TLBs when it returns (mm_tlb_flush_nested).
import { scenario } from './scenario.ts'

/** Both CPUs give the same page back; CPU 1, which knows it, reads it once its own call has returned. */
export const dontneedVsDontneed = scenario({
  name: 'dontneed-vs-dontneed',
  question: 'May MADV_DONTNEED return while another one has cleared the entry but not flushed yet?',
  asked: 'field: mm_tlb_flush_nested in tlb_finish_mmu, two zaps under mmap_lock for reading',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(1, mm.write(page, 3))
    return { calls: [[mm.dontneed(page, 1)], [mm.dontneed(page, 1), mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-nested-flush',
      wrong: 'a gather does not flush for another that is under way',
      edits: [
        {
          file: 'pagetable/mmu-gather.ts',
          from: '  if (readOnce(mm + Mm.tlbFlushPending) > 1) tlbAddRange(0, EVERYTHING)\n',
          to: '',
        },
      ],
      unsafe: /stale translation: CPU 1|no order of the calls explains/,
    },
    {
      name: 'counted-up-in-two-steps',
      wrong: 'who begins reads the count of gathers and writes it back, over another that begins at the same time',
      edits: [
        {
          file: 'pagetable/mmu-gather.ts',
          from: '  atomicAdd(mm + Mm.tlbFlushPending, 1)\n',
          to: '  writeOnce(mm + Mm.tlbFlushPending, readOnce(mm + Mm.tlbFlushPending) + 1)\n',
        },
        {
          file: 'pagetable/mmu-gather.ts',
          from: 'import { atomicAdd, load, readOnce, store, thisCpu }',
          to: 'import { atomicAdd, load, readOnce, store, thisCpu, writeOnce }',
        },
      ],
      unsafe: /gathers were begun|stale translation: CPU 1|no order of the calls explains/,
    },
  ],
})

/** CPU 0 gives a page back. CPU 1, which knows it, does the same after a call that finds nothing; then it reads the page. */
export const dontneedVsTwoDontneeds = scenario({
  name: 'dontneed-vs-two-dontneeds',
  question: 'May MADV_DONTNEED miss that another one has yet to flush, because that one began while a third one ended?',
  asked: 'field: inc_tlb_flush_pending and dec_tlb_flush_pending, atomic counters of the gathers under way',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(1, mm.write(page, 3))
    return { calls: [[mm.dontneed(page, 1)], [mm.dontneed(page + 1, 1), mm.dontneed(page, 1), mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'counted-down-in-two-steps',
      wrong: 'who has flushed reads the count of gathers and writes it back, over another that has begun meanwhile',
      edits: [
        {
          file: 'pagetable/mmu-gather.ts',
          from: '  atomicAdd(mm + Mm.tlbFlushPending, -1)\n',
          to: '  writeOnce(mm + Mm.tlbFlushPending, readOnce(mm + Mm.tlbFlushPending) - 1)\n',
        },
        {
          file: 'pagetable/mmu-gather.ts',
          from: 'import { atomicAdd, load, readOnce, store, thisCpu }',
          to: 'import { atomicAdd, load, readOnce, store, thisCpu, writeOnce }',
        },
      ],
      unsafe: /gathers were begun|stale translation: CPU 1|no order of the calls explains/,
    },
  ],
})
