// What may become of an entry between the moment at which a write fault decides to copy its page and the moment at which the
// copy is put in; and what must not become writable because a VMA is.
import { pteOf } from '../check/detect/index.ts'
import { pfnToVirt } from '../kernel/memory/page.ts'
import { Pte, ptePfn } from '../kernel/pagetable/entries.ts'
import { Vm } from '../kernel/vma/vma.ts'
import { scenario } from './scenario.ts'

const WRONG = /no order|linear|map count|rss|counter|writable/

/** CPU 0 writes to a page that a child shares, while CPU 1 gives the page back and reads it. */
export const copyOnWriteVsDontneedAndRead = scenario({
  name: 'copy-on-write-vs-dontneed-and-read',
  question: 'Is a copy of what is no longer mapped ever put in, over what has been mapped since?',
  asked: 'field: wp_page_copy and its second look at the entry (pte_same)',
  cpus: 2,
  archs: ['powerpc64-hash-64k'],
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.write(page, 1))
    stage.callsOn(stage.now(0, mm.fork()), [])
    return { calls: [[mm.write(page, 7)], [mm.dontneed(page, 1), mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'another-page-overwritten',
      wrong: 'the copy is put in although another page has come into the entry',
      edits: [
        {
          file: 'fault/copy-on-write.ts',
          from: 'if (!ptePresent(now) || ptePfn(now) !== ptePfn(old) || (now & Pte.write) !== 0) {\n    pteUnmapUnlock(ptep, ptl)\n    putPage(copy)',
          to: 'if (!ptePresent(now) || (now & Pte.write) !== 0) {\n    pteUnmapUnlock(ptep, ptl)\n    putPage(copy)',
        },
      ],
      unsafe: WRONG,
    },
  ],
})

/** CPU 0 makes a VMA writable again whose page a child on CPU 1 shares. */
export const mprotectVsChild = scenario({
  name: 'mprotect-vs-child',
  question: 'Does mprotect make writable what is still shared with a child?',
  asked: 'field: change_pte_range and can_change_pte_writable (exclusive and dirty)',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['vma-lock'],
  setUp: (stage) => {
    const parent = stage.newMm()
    const page = stage.table(4)
    stage.now(0, parent.mmap(page, 1))
    stage.now(0, parent.write(page, 1))
    stage.now(0, parent.mprotect(page, 1, Vm.read))
    const child = stage.callsOn(stage.now(0, parent.fork()), [1])
    return { calls: [[parent.mprotect(page, 1, Vm.read | Vm.write), parent.write(page, 7)], [child.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'writable-whatever-is-shared',
      wrong: 'mprotect gives the right to write to any page',
      edits: [{ file: 'pagetable/change-protection.ts', from: 'exclusiveAndDirty(old)', to: 'ptePresent(old)' }],
      unsafe: WRONG,
    },
  ],
})

/** CPU 0 writes to a page whose entry is clean, by its hardware alone, while CPU 1 forks. */
export const hardwareWriteVsFork = scenario({
  name: 'hardware-write-vs-fork',
  question: 'Does a fork take the right to write away while the hardware sets accessed and dirty?',
  asked: 'field: ptep_set_wrprotect must be atomic beside the hardware',
  cpus: 2,
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const { words } = stage.machine
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.write(page, 1))
    // Clean and not accessed, but writable.
    stage.now(0, mm.free(page, 1))
    return {
      calls: [[mm.write(page, 7)], [mm.fork()]],
      check: () => {
        const pte = pteOf(words, mm.mm, page)
        const lost = words[pfnToVirt(ptePfn(pte))] === 7 && (pte & Pte.dirty) === 0
        return lost ? 'the page was written after MADV_FREE, and is clean' : ''
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'right-not-taken-away',
      wrong: 'fork does not look whether its change of the entry came about',
      edits: [
        {
          file: 'pagetable/copy-page-range.ts',
          from: 'ptepTryReplace(source, pte, pte & ~Pte.write)',
          to: '(ptepTryReplace(source, pte, pte & ~Pte.write) || pte !== 0)',
        },
      ],
      unsafe: WRONG,
    },
    {
      name: 'taken-away-in-two-steps',
      wrong: 'the entry is read and then overwritten: what the hardware sets between is lost',
      edits: [
        {
          file: 'pagetable/entries.ts',
          from: '  return cmpxchg(ptep, low, pte & PTE_LOW) === low\n',
          to: '  const same = readOnce(ptep) === low\n  if (same) writeOnce(ptep, pte & PTE_LOW)\n  return same\n',
        },
      ],
      unsafe: /and is clean/,
    },
  ],
})
