// That a page of a file was written is known from the dirty bit of an entry, which the hardware sets at any time. Whoever takes
// the entry away must not lose it: nobody else remembers that the page must go to the disk.

import { pteOf } from '../check/detect/index.ts'
import { Global } from '../kernel/machine/globals.ts'
import { Page, PageFlag, pfnToVirt } from '../kernel/memory/page.ts'
import { Pte, ptePfn } from '../kernel/pagetable/entries.ts'
import { Remap } from '../kernel/syscall/mremap.ts'
import { Vm } from '../kernel/vma/vma.ts'
import { type Call, type Calls, SHARED } from './runner/calls.ts'
import { cachedFrame, pageOf } from './runner/space-lines.ts'
import type { Stage } from './runner/stage.ts'
import { type Play, type Scenario, scenario, type Variant } from './scenario.ts'

/**
 * A page of a file that is mapped writable and clean, as after writeback; no TLB knows it. Then CPU 0 writes, CPU 1 does `call`, which
 * leaves the entry at page `to` if it moves it.
 */
function writeBeside(stage: Stage, call: (mm: Calls, page: number) => Call, to?: number): Play {
  const mm = stage.newMm()
  const page = stage.table(4)
  const file = stage.file(2)
  const { words } = stage.machine
  stage.now(0, mm.mmap(page, 2, SHARED, file))
  for (const one of [page, page + 1]) stage.now(0, mm.write(one, 1))
  clean(words, mm.mm, page, cachedFrame(words, file.inode, 0))
  stage.now(0, { text: 'switch', begin: () => stage.kernel.sysSwitchMm(0) })
  stage.now(0, { text: 'switch', begin: () => stage.kernel.sysSwitchMm(mm.mm) })
  return {
    calls: [[mm.write(page, 7)], [call(mm, page)]],
    check: () => {
      const pfn = cachedFrame(words, file.inode, 0)
      const flags = words[pageOf(words, pfn) + Page.flags] as number
      const pte = pteOf(words, mm.mm, to ?? page)
      const known = (flags & PageFlag.dirty) !== 0 || (ptePfn(pte) === pfn && (pte & Pte.dirty) !== 0)
      return words[pfnToVirt(pfn)] === 7 && !known ? 'the page was written, and nobody knows that it is dirty' : ''
    },
  }
}

/** What writeback does: the page and its entry are clean. */
function clean(words: Int32Array, mm: number, page: number, pfn: number): void {
  const flags = pageOf(words, pfn) + Page.flags
  words[flags] = (words[flags] as number) & ~PageFlag.dirty
  const pte = pteOf(words, mm, page)
  const frames = words[Global.frames] as number
  // The entry is the one word of a page table that holds it.
  for (let p = frames; p < words.length; p++) if (words[p] === pte) words[p] = pte & ~Pte.dirty
}

const LOST: RegExp = /nobody knows that it is dirty/

const HARDWARE_IN_TWO_STEPS: Variant = {
  name: 'hardware-in-two-steps',
  wrong: 'the hardware reads the entry and then writes it back with the dirty bit',
  edits: [
    {
      file: 'pagetable/tlb.ts',
      from: '    if (want !== pte && !hardwareSet(ptep, pte, want ^ pte)) continue\n',
      to: '    if (want !== pte) writeOnce(ptep, want)\n',
    },
    { file: 'pagetable/tlb.ts', from: 'import { hardwareGet, hardwareSet, ', to: 'import { hardwareGet, ' },
  ],
  unsafe: /counters of mm|nobody knows|no order|stale|map count/,
}

const CLEARED_IN_TWO_STEPS: Variant = {
  name: 'cleared-in-two-steps',
  wrong: 'the entry is read and then cleared: what the hardware sets between is lost',
  edits: [
    {
      file: 'pagetable/entries.ts',
      from: '  const low = xchg(ptep, EMPTY_PTE)\n',
      to: '  const low = readOnce(ptep)\n  writeOnce(ptep, EMPTY_PTE)\n',
    },
  ],
  unsafe: LOST,
}

/** CPU 1 unmaps the page. */
export const dirtyPageVsMunmap: Scenario = scenario({
  name: 'dirty-page-vs-munmap',
  question: 'May munmap lose that a page of a file was written through a TLB?',
  asked: 'field: ptep_get_and_clear and folio_mark_dirty in zap_present_folio_ptes; the flush before the page is let go',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => writeBeside(stage, (mm, page) => mm.munmap(page, 1)),
  expect: 'safe',
  variants: [
    CLEARED_IN_TWO_STEPS,
    HARDWARE_IN_TWO_STEPS,
    {
      name: 'dirty-not-carried-over',
      wrong: 'unmapping does not tell the page that its entry was dirty',
      edits: [
        {
          file: 'pagetable/zap.ts',
          from: '  if ((pte & Pte.dirty) !== 0 && !pageAnon(page)) atomicOr(page + Page.flags, PageFlag.dirty)\n',
          to: '',
        },
      ],
      unsafe: LOST,
    },
  ],
})

/** CPU 1 takes the right to write. */
export const dirtyPageVsMprotect: Scenario = scenario({
  name: 'dirty-page-vs-mprotect',
  question: 'May mprotect lose that a page of a file was written through a TLB?',
  asked: 'field: ptep_modify_prot_start in change_pte_range: cleared first, lest the hardware set dirty in what is being rewritten',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => writeBeside(stage, (mm, page) => mm.mprotect(page, 1, Vm.read)),
  expect: 'safe',
  variants: [
    {
      name: 'rewritten-in-two-steps',
      wrong: 'the entry is read and then overwritten with fewer rights',
      edits: [
        {
          file: 'pagetable/change-protection.ts',
          from: '      const old = ptepGetAndClear(ptep)\n',
          to: '      const old = readOnce(ptep)\n',
        },
        { file: 'pagetable/change-protection.ts', from: 'ptePresent, ptepGetAndClear, setPte', to: 'ptePresent, setPte' },
      ],
      unsafe: LOST,
    },
  ],
})

/** CPU 1 moves the page elsewhere. */
export const dirtyPageVsMremap: Scenario = scenario({
  name: 'dirty-page-vs-mremap',
  question: 'May mremap lose that a page of a file was written through a TLB?',
  asked: 'field: ptep_get_and_clear in move_ptes; 5d1904204c99 (writes lost between mremap and page cleaning)',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'], // every design has mmap_lock held for writing during mremap
  setUp: (stage) => {
    const to = stage.table(6)
    return writeBeside(stage, (mm, page) => mm.mremap(page, 1, 1, Remap.mayMove | Remap.fixed, to), to)
  },
  expect: 'safe',
  variants: [
    {
      name: 'moved-in-two-steps',
      wrong: 'the entry is read, stored at its new place and then cleared at the old one',
      edits: [
        {
          file: 'pagetable/move-page-tables.ts',
          from: '    setPte(newPte + i * ENTRY_WORDS, ptepGetAndClear(oldPte + i * ENTRY_WORDS))\n',
          to: '    setPte(newPte + i * ENTRY_WORDS, readOnce(oldPte + i * ENTRY_WORDS))\n    ptepGetAndClear(oldPte + i * ENTRY_WORDS)\n',
        },
      ],
      unsafe: LOST,
    },
  ],
})
