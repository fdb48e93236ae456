// A pin keeps its frame whatever becomes of the mapping: what is written through it must not hit a page of somebody else.
import { Page } from '../kernel/memory/page.ts'
import { Access } from '../kernel/pagetable/tlb.ts'
import type { Call, Calls } from './runner/calls.ts'
import { type Scenario, scenario, type Variant } from './scenario.ts'

const NO_REFERENCE: Variant = {
  name: 'no-reference',
  wrong: 'a pin is no reference',
  edits: [
    { file: 'memory/pin.ts', from: '  atomicAdd(page + Page.refcount, PIN_BIAS)\n', to: '  readOnce(page + Page.refcount)\n' },
    {
      file: 'memory/pin.ts',
      from: '  if (atomicAdd(page + Page.refcount, -PIN_BIAS) === 0) freePage(page)\n',
      to: '  if (readOnce(page + Page.refcount) < 0) freePage(page)\n',
    },
    { file: 'memory/pin.ts', from: 'import { atomicAdd }', to: 'import { readOnce }' },
  ],
  unsafe: /use after free|is not ordered with/,
}

const TABLE_NOT_LOCKED: Variant = {
  name: 'table-not-locked',
  wrong: 'the page is pinned without the lock of its table: its entry may have gone, and its last reference with it',
  edits: [
    { file: 'syscall/gup.ts', from: 'pmd === 0 ? 0 : pteOffsetMapLock(pmd, vpn)', to: 'pmd === 0 ? 0 : pteOffsetMap(pmd, vpn)' },
    { file: 'syscall/gup.ts', from: '  const ptl = load(thisCpu() + Cpu.out1)\n', to: '' },
    { file: 'syscall/gup.ts', from: '  pteUnmapUnlock(ptep, ptl)\n', to: '  pteUnmap(ptep)\n' },
    { file: 'syscall/gup.ts', from: 'import { pteOffsetMapLock, pteUnmapUnlock }', to: 'import { pteOffsetMap, pteUnmap }' },
    {
      file: 'syscall/gup.ts',
      from: "import { load, thisCpu } from '../machine/instructions.ts'\nimport { Cpu } from '../machine/percpu.ts'\n",
      to: "import { load } from '../machine/instructions.ts'\n",
    },
  ],
  unsafe: /use after free|is not ordered with|reference count|freed/,
}

const NO_PAGE: Variant = {
  name: 'no-page',
  wrong: 'a pin is taken although there is no page in the entry',
  edits: [{ file: 'syscall/gup.ts', from: '  if (page !== 0) pinPage(page)\n', to: '  pinPage(page)\n' }],
  unsafe: /NULL pointer: CPU 0 accesses word \d+ of NULL/,
}

function pinVs(name: string, question: string, variants: readonly Variant[], letGo: (mm: Calls, page: number) => Call): Scenario {
  return scenario({
    name,
    question,
    asked: 'field: try_grab_folio under the page-table lock; pin_user_pages and DMA into pages that are gone from the mapping',
    cpus: 2,
    archs: ['x86_64'],
    setUp: async (stage) => {
      const mm = stage.newMm()
      const page = stage.table(4)
      const pin = await stage.program<typeof import('./programs/pin.ts')>('pin')
      stage.now(0, mm.mmap(page, 2))
      for (const one of [page, page + 1]) stage.now(0, mm.write(one, 1))
      const dma: Call = {
        text: `pin 0x${page.toString(16)}, write 7 through it`,
        description: { name: 'write', mm: mm.mm, start: page, pages: 1, stamp: 7 },
        begin: () => pin.pinAndWrite(mm.mm, page, Access.write, 7),
      }
      return { calls: [[dma], [letGo(mm, page)]] }
    },
    expect: 'safe',
    variants,
  })
}

/** CPU 0 writes through a pin; CPU 1 gives the page back. */
export const pinVsDontneed = pinVs(
  'pin-vs-dontneed',
  'May a page be freed that somebody has pinned, or is about to?',
  [NO_REFERENCE, TABLE_NOT_LOCKED, NO_PAGE],
  (mm, page) => mm.dontneed(page, 1),
)

/** CPU 0 writes through a pin; CPU 1 unmaps the page. */
export const pinVsMunmap = pinVs(
  'pin-vs-munmap',
  'May a pin be taken from a mapping that is being unmapped?',
  [
    {
      name: 'mmap-lock-not-taken',
      wrong: 'the page is faulted in and pinned without mmap_lock',
      edits: [
        { file: 'syscall/gup.ts', from: '  mmapReadLock(mm)\n', to: '' },
        { file: 'syscall/gup.ts', from: '  mmapReadUnlock(mm)\n', to: '' },
        { file: 'syscall/gup.ts', from: "import { mmapReadLock, mmapReadUnlock } from '../vma/mmap-lock.ts'\n", to: '' },
      ],
      unsafe: /in no mapping|data race|use after free|is not ordered with|freed/,
    },
  ],
  (mm, page) => mm.munmap(page, 1),
)

/** CPU 0 pins a page that is pinned already; CPU 1 gives that pin back. */
export const pinVsUnpin = scenario({
  name: 'pin-vs-unpin',
  question: 'May a page be pinned while another pin of it is given back?',
  asked: 'field: unpin_user_page holds no lock: the count is atomic',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['vma-lock'],
  setUp: async (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const { kernel } = stage
    const program = await stage.program<typeof import('./programs/pin.ts')>('pin')
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.write(page, 1))
    const pinned = stage.now(
      1,
      stage.call('pin', () => kernel.sysPinUserPage(mm.mm, page, Access.write)),
    )
    return {
      calls: [
        [{ ...mm.write(page, 7), text: 'pin, write 7 through it', begin: () => program.pinAndWrite(mm.mm, page, Access.write, 7) }],
        [stage.call('unpin', () => kernel.sysUnpinUserPage(pinned))],
      ],
      check: () => (stage.machine.words[pinned + Page.refcount] === 1 ? '' : 'the page has more or fewer references than its mapping'),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'counted-in-two-steps',
      wrong: 'a pin reads the count and then writes it',
      edits: [
        {
          file: 'memory/pin.ts',
          from: '  atomicAdd(page + Page.refcount, PIN_BIAS)\n',
          to: '  writeOnce(page + Page.refcount, readOnce(page + Page.refcount) + PIN_BIAS)\n',
        },
        { file: 'memory/pin.ts', from: 'import { atomicAdd }', to: 'import { atomicAdd, readOnce, writeOnce }' },
      ],
      unsafe: /more or fewer references/,
    },
  ],
})
