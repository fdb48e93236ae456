// MADV_POPULATE faults page after page as the user would, under mmap_lock for reading, and looks by itself whether that has done it.
import { pteOf } from '../check/detect/index.ts'
import { Pte } from '../kernel/pagetable/entries.ts'
import { READ_ONLY } from './runner/calls.ts'
import { scenario } from './scenario.ts'

/** CPU 0 populates a page that CPU 1 unmaps. */
export const populateVsMunmap = scenario({
  name: 'populate-vs-munmap',
  question: 'May a range be unmapped while it is populated?',
  asked: 'field: madvise_populate and faultin_page_range, mmap_lock taken for each page',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page + 1, 1))
    return { calls: [[mm.populate(page, 1, true)], [mm.munmap(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'not-locked',
      wrong: 'a page is faulted in without mmap_lock',
      edits: [
        { file: 'syscall/madvise.ts', from: '    mmapReadLock(mm)\n    const vma', to: '    const vma' },
        { file: 'syscall/madvise.ts', from: '    mmapReadUnlock(mm)\n    if (result !== 0', to: '    if (result !== 0' },
      ],
      unsafe: /in no mapping|data race|is not ordered with|use after free|freed/,
    },
  ],
})

/** CPU 0 populates a page for writing that the child shares; the child writes meanwhile. */
export const populateVsCopyOnWrite = scenario({
  name: 'populate-vs-copy-on-write',
  question: 'Does populating for writing end when the page is copied on write, and not before it may be written?',
  asked: 'field: MADV_POPULATE_WRITE breaks copy on write, Linux 5.14',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => {
    const parent = stage.newMm([0])
    const page = stage.table(4)
    stage.now(0, parent.mmap(page, 1))
    stage.now(0, parent.write(page, 1))
    const child = stage.callsOn(stage.now(0, parent.fork()), [1])
    return {
      calls: [[parent.populate(page, 1, true)], [child.write(page, 8)]],
      check: () =>
        (pteOf(stage.machine.words, parent.mm, page) & Pte.write) !== 0 ? '' : 'the page was populated, and may not be written',
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'present-is-enough',
      wrong: 'a page that is mapped counts as populated, may it be written or not',
      edits: [
        {
          file: 'syscall/madvise.ts',
          from: '  return ptePresent(pte) && (right === Vm.read || (pte & Pte.write) !== 0)\n',
          to: '  return ptePresent(pte) && right !== 0\n',
        },
      ],
      unsafe: /may not be written/,
    },
  ],
})

/** CPU 0 populates a page for reading while CPU 1 gives it back. */
export const populateVsDontneed = scenario({
  name: 'populate-vs-dontneed',
  question: 'Does populating end although somebody gives the page back?',
  asked: 'field: faultin_page_range tries again until the page is there',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2, READ_ONLY))
    stage.now(0, mm.read(page + 1))
    return { calls: [[mm.populate(page, 1, false), mm.read(page)], [mm.dontneed(page, 1)]] }
  },
  expect: 'safe',
})

/** CPU 0 populates a page where no table is; CPU 1 reads its neighbour, which makes the table. */
export const populateVsFault = scenario({
  name: 'populate-vs-fault',
  question: 'May MADV_POPULATE_READ take a page for populated because a fault has just made its table?',
  asked: 'field: MADV_POPULATE_READ, Linux 5.14: all page tables and pages are there when it returns',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2, READ_ONLY))
    return {
      calls: [[mm.populate(page, 1, false)], [mm.read(page + 1)]],
      check: () => ((pteOf(stage.machine.words, mm.mm, page) & Pte.present) !== 0 ? '' : 'the page was populated, and is not there'),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'table-is-enough',
      wrong: 'a page whose table is there counts as populated',
      edits: [
        {
          file: 'syscall/madvise.ts',
          from: '  return ptePresent(pte) && (right === Vm.read || (pte & Pte.write) !== 0)\n',
          to: '  return right === Vm.read || (ptePresent(pte) && (pte & Pte.write) !== 0)\n',
        },
      ],
      unsafe: /is not there/,
    },
  ],
})
