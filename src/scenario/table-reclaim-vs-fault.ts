// MADV_DONTNEED over the whole span of a PTE table gives the table back while faults go on in the same VMA: they hold the VMA
// or mmap_lock for reading, and so does it. May a table go from under a fault?
import { Access } from '../kernel/pagetable/tlb.ts'
import { SmapsWalk } from '../kernel/proc/smaps.ts'
import type { Calls } from './runner/calls.ts'
import type { Stage } from './runner/stage.ts'
import { scenario, type Variant } from './scenario.ts'

/** A mapping of one PTE table's span on two CPUs, of which CPU 0 has written `page`. */
function spanOf(stage: Stage): Calls & { readonly mm: number; readonly page: number; readonly giveBack: ReturnType<Calls['dontneed']> } {
  const mm = stage.newMm()
  const page = stage.table(4)
  stage.now(0, mm.mmap(page, stage.tablePages))
  stage.now(0, mm.write(page, 1))
  return { ...mm, page, giveBack: mm.dontneed(page, stage.tablePages) }
}

const WRONG = /freed|leak|stale|linear|counter|lost|no order|race/

/** In pte_offset_map_lock and in what reclaims. */
const lockers: readonly Variant[] = [
  {
    name: 'pmd-not-looked-at-again',
    wrong: 'pte_offset_map_lock does not look at the PMD again once it has the lock',
    edits: [
      {
        file: 'pagetable/pte-offset-map.ts',
        from: 'if (pmdpGetLockless(pmd) === pmdval) {\n      store',
        to: 'if (pmdpGetLockless(pmd) === pmdval || pmdval !== 0) {\n      store',
      },
    ],
    unsafe: WRONG,
  },
  {
    name: 'emptiness-seen-without-the-lock',
    wrong: 'the table is looked through without its lock, so that an entry may come in between',
    edits: [
      { file: 'pagetable/pt-reclaim.ts', from: '    spinLock(ptl)\n', to: '' },
      { file: 'pagetable/pt-reclaim.ts', from: '    spinUnlock(ptl)\n', to: '' },
    ],
    unsafe: WRONG,
  },
]

/** CPU 0 writes a page of the table that CPU 1 empties and gives back. */
export const tableReclaimVsFault = scenario({
  name: 'table-reclaim-vs-fault',
  question: 'May an empty page table be given back under mmap_lock for reading, beside a fault in its span?',
  asked: 'threads 000 and 001: pte_offset_map may fail; field: reclaim of empty page tables, 2024',
  cpus: 2,
  setUp: (stage) => {
    const { page, giveBack, write } = spanOf(stage)
    return { calls: [[write(page + 1, 7)], [giveBack]] }
  },
  expect: 'safe',
  variants: lockers,
})

/** CPU 0 reads a page that it has not touched, so that the zero page is mapped; CPU 1 gives the table back. */
export const tableReclaimVsReadFault = scenario({
  name: 'table-reclaim-vs-read-fault',
  question: 'May an empty page table be given back beside a fault that only reads?',
  asked: 'threads 000 and 001: pte_offset_map may fail; field: reclaim of empty page tables, 2024',
  cpus: 2,
  designs: ['vma-lock'],
  setUp: (stage) => {
    const { page, giveBack, read } = spanOf(stage)
    return { calls: [[read(page + 1)], [giveBack]] }
  },
  expect: 'safe',
})

/** CPU 0 writes a page that shows the zero page; CPU 1 gives the table back. */
export const tableReclaimVsCopyOnWrite = scenario({
  name: 'table-reclaim-vs-copy-on-write',
  question: 'May an empty page table be given back beside a copy-on-write?',
  asked: 'threads 000 and 001: pte_offset_map may fail; field: reclaim of empty page tables, 2024',
  cpus: 2,
  designs: ['vma-lock'],
  setUp: (stage) => {
    const { page, giveBack, read, write } = spanOf(stage)
    stage.now(0, read(page + 1))
    return { calls: [[write(page + 1, 7)], [giveBack]] }
  },
  expect: 'safe',
})

/** CPU 0 writes a page that it no longer shares, its child having exited; CPU 1 gives the table back. */
export const tableReclaimVsReuse = scenario({
  name: 'table-reclaim-vs-reuse',
  question: 'May an empty page table be given back beside a write that makes its own page writable again?',
  asked: 'threads 000 and 001: pte_offset_map may fail; field: reclaim of empty page tables, 2024',
  cpus: 2,
  designs: ['vma-lock'],
  setUp: (stage) => {
    const { page, giveBack, fork, write } = spanOf(stage)
    const child = stage.now(0, fork())
    stage.now(
      0,
      stage.call('exit', () => stage.kernel.sysExit(child)),
    )
    return { calls: [[write(page, 7)], [giveBack]] }
  },
  expect: 'safe',
})

/** Both CPUs give the same table back. */
export const tableReclaimTwice = scenario({
  name: 'table-reclaim-twice',
  question: 'May two give the same empty page table back?',
  asked: 'field: reclaim of empty page tables, 2024',
  cpus: 2,
  designs: ['mmap-lock'],
  setUp: (stage) => {
    const { giveBack } = spanOf(stage)
    return { calls: [[giveBack], [giveBack]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'pmd-cleared-without-its-lock',
      wrong: 'the PMD is read and cleared without its lock',
      edits: [
        { file: 'pagetable/pt-reclaim.ts', from: '  spinLock(mm + Mm.pageTableLock)\n', to: '' },
        { file: 'pagetable/pt-reclaim.ts', from: '  spinUnlock(mm + Mm.pageTableLock)\n', to: '' },
      ],
      unsafe: WRONG,
    },
  ],
})

/** CPU 0 reads what is mapped while CPU 1 gives the table back and, at once, touches the page again. */
export const tableReclaimVsSmaps = scenario({
  name: 'table-reclaim-vs-smaps',
  question: 'May an empty page table be given back while /proc reads what its span maps?',
  asked: 'thread 000: smaps walks under RCU; field: reclaim of empty page tables, 2024',
  cpus: 2,
  designs: ['vma-lock'],
  setUp: (stage) => {
    const { page, giveBack, smaps, write } = spanOf(stage)
    return { calls: [[smaps(page, stage.tablePages, SmapsWalk.rcu)], [giveBack, write(page, 7)]] }
  },
  expect: 'safe',
})

/** CPU 0 pins a page of the table that CPU 1 gives back. */
export const tableReclaimVsPin = scenario({
  name: 'table-reclaim-vs-pin',
  question: 'May an empty page table be given back beside somebody who pins a page in its span?',
  asked: 'field: follow_page_pte, pte_offset_map_lock may fail; reclaim of empty page tables, 2024',
  cpus: 2,
  designs: ['vma-lock'],
  archs: ['x86_64'],
  setUp: async (stage) => {
    const { mm, page, giveBack } = spanOf(stage)
    const pin = await stage.program<typeof import('./programs/pin.ts')>('pin')
    const dma = {
      text: 'pin, write 7 through it',
      description: { name: 'write', mm, start: page, pages: 1, stamp: 7 },
      begin: () => pin.pinAndWrite(mm, page, Access.write, 7),
    }
    return { calls: [[dma], [giveBack]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-table-not-looked-at',
      wrong: 'a pin does not look whether there was a table to map the entry from',
      edits: [{ file: 'syscall/gup.ts', from: '  if (ptep === 0) return 0\n', to: '' }],
      unsafe: /NULL pointer/,
    },
  ],
})

/** CPU 0 declares a page of the table free; CPU 1 gives the page and the table back. Both hold mmap_lock for reading. */
export const tableReclaimVsMadviseFree = scenario({
  name: 'table-reclaim-vs-madvise-free',
  question: 'May an empty page table be given back beside MADV_FREE in its span?',
  asked: 'field: madvise_free_pte_range, pte_offset_map_lock may fail; reclaim of empty page tables, 2024',
  cpus: 2,
  designs: ['vma-lock'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const { free, page, giveBack } = spanOf(stage)
    return { calls: [[free(page, 1)], [giveBack]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-table-not-looked-at',
      wrong: 'MADV_FREE does not look whether there was a table to map the entries from',
      edits: [{ file: 'syscall/madvise.ts', from: '    if (mapped !== 0) {', to: '    if (mapped >= 0) {' }],
      unsafe: /NULL pointer/,
    },
  ],
})

/** CPU 0 populates a page of the table that CPU 1 gives back. */
export const tableReclaimVsPopulate = scenario({
  name: 'table-reclaim-vs-populate',
  question: 'May an empty page table be given back beside MADV_POPULATE_READ in its span?',
  asked: 'field: follow_page_pte, pte_offset_map may fail; reclaim of empty page tables, 2024',
  cpus: 2,
  designs: ['vma-lock'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const { page, giveBack, populate } = spanOf(stage)
    return { calls: [[populate(page, 1, false)], [giveBack]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-table-not-looked-at',
      wrong: 'who populates does not look whether there was a table to map the entry from',
      edits: [{ file: 'syscall/madvise.ts', from: '  if (ptep === 0) return false\n', to: '' }],
      unsafe: /NULL pointer/,
    },
  ],
})

/** CPU 0 touches the first page of a table that is not there yet; CPU 1 gives the table back as soon as it is. */
export const tableReclaimVsFirstFault = scenario({
  name: 'table-reclaim-vs-first-fault',
  question: 'May a page table be given back before the fault that has allocated it has mapped it?',
  asked: 'thread 001, mm: pte_offset_map may fail, also after pte_alloc; field: reclaim of empty page tables, 2024',
  cpus: 2,
  designs: ['vma-lock'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    // A neighbour keeps the tables above.
    stage.now(0, mm.mmap(page, stage.tablePages + 1))
    stage.now(0, mm.read(page + stage.tablePages))
    return { calls: [[mm.read(page)], [mm.dontneed(page, stage.tablePages)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'taken-to-be-there',
      wrong: 'a fault that has allocated a table takes it to be there',
      edits: [
        {
          file: 'fault/handle-mm-fault.ts',
          from: '    if (ptep === 0) return 0\n',
          to: '',
        },
      ],
      unsafe: /NULL pointer/,
    },
  ],
})
