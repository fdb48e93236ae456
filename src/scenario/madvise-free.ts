// MADV_FREE makes pages clean: what is clean may be taken away. A write after it must make the page dirty again, so no TLB may
// keep an entry that says it is dirty already.
import { pteOf } from '../check/detect/index.ts'
import { Page, PageFlag } from '../kernel/memory/page.ts'
import { Pte, ptePfn } from '../kernel/pagetable/entries.ts'
import { pageOf } from './runner/space-lines.ts'
import { scenario } from './scenario.ts'

/** CPU 0 writes to a page that its TLB knows; CPU 1 declares it free. */
export const madviseFreeVsWrite = scenario({
  name: 'madvise-free-vs-write',
  question: 'May a write after MADV_FREE be lost because a TLB holds the page to be dirty already?',
  asked: 'field: madvise_free_pte_range, tlb_remove_tlb_entry and the flush',
  cpus: 2,
  archs: ['x86_64'],
  setUp: async (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const word = stage.words(2)
    const { words } = stage.machine
    const program = await stage.program<typeof import('./programs/tell.ts')>('tell')
    stage.now(0, mm.mmap(page, 1))
    for (const cpu of [1, 0]) stage.now(cpu, mm.write(page, 1))
    const write = { ...mm.write(page, 7), begin: () => program.noteAndWrite(word, page, 7) }
    return {
      calls: [[write], [mm.free(page, 1), stage.call('tell', () => program.tell(word))]],
      check: () => {
        const pte = pteOf(words, mm.mm, page)
        const flags = words[pageOf(words, ptePfn(pte)) + Page.flags] as number
        if ((flags & PageFlag.lazyfree) === 0) return 'the page is not marked as lazily freeable'
        const lost = words[word + 1] === 1 && (pte & Pte.dirty) === 0
        return lost ? 'the page was written after MADV_FREE had returned, and is clean' : ''
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-flush',
      wrong: 'the entry is made clean, but the TLBs that hold it as dirty are not flushed',
      edits: [{ file: 'syscall/madvise.ts', from: '  tlbAddRange(vpn, vpn + 1)\n', to: '  if (vpn < 0) tlbAddRange(vpn, vpn + 1)\n' }],
      unsafe: /and is clean/,
    },
  ],
})

/** Two threads do to one page what clears its entry for a moment and sets it again. */
export const madviseFreeVsDontneed = scenario({
  name: 'madvise-free-vs-dontneed',
  question: 'May MADV_FREE bring an entry back that MADV_DONTNEED has taken away?',
  asked: 'field: madvise_free_pte_range under the page-table lock, both under mmap_lock for reading',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.write(page, 1))
    return { calls: [[mm.free(page, 1)], [mm.dontneed(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'table-not-locked',
      wrong: 'the entries are rewritten without the lock of their table',
      edits: [
        {
          file: 'syscall/madvise.ts',
          from: 'const mapped = pteOffsetMapLock(load(thisCpu() + Cpu.out2), vpn)',
          to: 'const mapped = pteOffsetMap(load(thisCpu() + Cpu.out2), vpn)',
        },
        { file: 'syscall/madvise.ts', from: '      const ptl = load(thisCpu() + Cpu.out1)\n', to: '' },
        { file: 'syscall/madvise.ts', from: '      pteUnmapUnlock(mapped, ptl)\n', to: '      pteUnmap(mapped)\n' },
        { file: 'syscall/madvise.ts', from: 'pteOffsetMap, pteOffsetMapLock, pteUnmap, pteUnmapUnlock }', to: 'pteOffsetMap, pteUnmap }' },
      ],
      unsafe: /no order of the calls|counters of mm|use after free|map count|bad page/,
    },
  ],
})

/** CPU 1, a child, declares a page free that it shares with its parent on CPU 0, which forks again. */
export const madviseFreeVsFork = scenario({
  name: 'madvise-free-vs-fork-of-the-parent',
  question: 'May a fork lose that another address space has declared a page free that they share?',
  asked: 'field: ClearPageAnonExclusive in copy_present_ptes: page flags are changed by atomic operations',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'], // fork and madvise hold the locks of different address spaces under every design
  setUp: (stage) => {
    const parent = stage.newMm([0])
    const page = stage.table(4)
    const { words } = stage.machine
    stage.now(0, parent.mmap(page, 1))
    stage.now(0, parent.write(page, 1))
    const child = stage.callsOn(stage.now(0, parent.fork()), [1])
    return {
      calls: [[parent.fork()], [child.free(page, 1)]],
      check: () => {
        const flags = words[pageOf(words, ptePfn(pteOf(words, child.mm, page))) + Page.flags] as number
        return (flags & PageFlag.lazyfree) === 0 ? 'the page is not marked as lazily freeable' : ''
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'mark-taken-off-in-two-steps',
      wrong: 'fork reads the flags of the page and writes them back without its mark, over what others have set meanwhile',
      edits: [
        {
          file: 'pagetable/copy-page-range.ts',
          from: 'atomicAnd(page + Page.flags, ~PageFlag.anonExclusive)',
          to: 'writeOnce(page + Page.flags, readOnce(page + Page.flags) & ~PageFlag.anonExclusive)',
        },
        {
          file: 'pagetable/copy-page-range.ts',
          from: 'import { atomicAnd, load, readOnce, thisCpu }',
          to: 'import { load, readOnce, thisCpu, writeOnce }',
        },
      ],
      unsafe: /not marked as lazily freeable/,
    },
  ],
})
