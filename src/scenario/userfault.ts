// userfaultfd's missing mode: a page that is not there is reported, never zero-filled, and whoever fills it does so once. The
// kernel here reports at once and nobody sleeps in it: waiting for the page is the library's (see `library/userfault.ts`).
import type { Call, Calls } from './runner/calls.ts'
import type { Stage } from './runner/stage.ts'
import { scenario } from './scenario.ts'

/** A range of two pages that userfaultfd fills, below a table that is there. */
async function registered(
  stage: Stage,
  register = true,
): Promise<{ mm: Calls & { readonly mm: number }; page: number; copy: (value: number) => Call }> {
  const mm = stage.newMm()
  const page = stage.table(4)
  stage.now(0, mm.mmap(page, 2))
  stage.now(0, mm.write(page + 1, 1))
  if (register) stage.now(0, mm.userfault(page, 2, true))
  return { mm, page, copy: await copierOf(stage, mm.mm, page) }
}

/** UFFDIO_COPY of a value to `page`. */
async function copierOf(stage: Stage, mm: number, page: number): Promise<(value: number) => Call> {
  const filler = await stage.program<typeof import('./programs/userfault.ts')>('userfault')
  return (value) => ({
    text: `UFFDIO_COPY 0x${page.toString(16)} = ${value}`,
    description: { name: 'userfault-copy', mm, start: page, pages: 1, stamp: value },
    begin: () => filler.copyPage(mm, page, value),
  })
}

/** Both CPUs fill one page. */
export const userfaultCopyTwice = scenario({
  name: 'userfault-copy-twice',
  question: 'May two threads fill one missing page at the same time?',
  asked: 'field: mfill_atomic_install_pte: -EEXIST for who comes second',
  cpus: 2,
  archs: ['x86_64'],
  setUp: async (stage) => {
    const { copy } = await registered(stage)
    return { calls: [[copy(7)], [copy(8)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'mapped-over',
      wrong: 'the page is mapped over whatever is there',
      edits: [{ file: 'syscall/userfault.ts', from: '  const mine = pteNone(ptepGet(ptep))\n', to: '  const mine = true\n' }],
      unsafe: /counters of mm|map count|no order|leak/,
    },
    {
      name: 'page-kept',
      wrong: 'who comes second does not give its page back',
      edits: [{ file: 'syscall/userfault.ts', from: '  if (result !== 0) putPage(page)\n', to: '' }],
      unsafe: /leak/,
    },
    {
      name: 'table-not-locked',
      wrong: 'the entry is set without the lock of its table',
      edits: [
        {
          file: 'syscall/userfault.ts',
          from: '    ptep = pteOffsetMapLock(pmd, vpn)\n',
          to: '    ptep = pteOffsetMap(pmd, vpn)\n',
        },
        { file: 'syscall/userfault.ts', from: '  const ptl = load(thisCpu() + Cpu.out1)\n', to: '' },
        { file: 'syscall/userfault.ts', from: '  pteUnmapUnlock(ptep, ptl)\n', to: '  pteUnmap(ptep)\n' },
        { file: 'syscall/userfault.ts', from: 'import { pteOffsetMapLock, pteUnmapUnlock }', to: 'import { pteOffsetMap, pteUnmap }' },
        { file: 'syscall/userfault.ts', from: 'import { load, thisCpu, writeOnce }', to: 'import { load, writeOnce }' },
        { file: 'syscall/userfault.ts', from: "import { Cpu } from '../machine/percpu.ts'\n", to: '' },
      ],
      unsafe: /counters of mm|map count|no order|leak/,
    },
  ],
})

/** CPU 0 fills a page that CPU 1 reads. */
export const userfaultCopyVsFault = scenario({
  name: 'userfault-copy-vs-fault',
  question: 'May a read of a missing page find zeroes?',
  asked: 'field: handle_userfault in do_anonymous_page, UFFD_MISSING',
  cpus: 2,
  archs: ['x86_64'],
  setUp: async (stage) => {
    const { mm, page, copy } = await registered(stage)
    return { calls: [[copy(7)], [mm.read(page), mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'zero-filled',
      wrong: 'a fault on a registered range fills the page itself',
      edits: [{ file: 'fault/anonymous.ts', from: '  if ((vmFlags & Vm.userfault) !== 0) return VmFault.userfault\n', to: '' }],
      unsafe: /no order of the calls/,
    },
  ],
})

/** CPU 0 fills a page of a mapping that CPU 1 unmaps. */
export const userfaultCopyVsMunmap = scenario({
  name: 'userfault-copy-vs-munmap',
  question: 'May a page be filled into a mapping that is being unmapped?',
  asked: 'field: mfill_atomic under mmap_lock for reading (or the VMA’s lock)',
  cpus: 2,
  archs: ['x86_64'],
  setUp: async (stage) => {
    const { mm, page, copy } = await registered(stage)
    return { calls: [[copy(7)], [mm.munmap(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'not-locked',
      wrong: 'the page is filled without mmap_lock',
      edits: [
        { file: 'syscall/userfault.ts', from: '  mmapReadLock(mm)\n', to: '' },
        { file: 'syscall/userfault.ts', from: '  mmapReadUnlock(mm)\n', to: '' },
        { file: 'syscall/userfault.ts', from: 'import { mmapReadLock, mmapReadUnlock, mmapWriteLock', to: 'import { mmapWriteLock' },
      ],
      unsafe: /data race|in no mapping|use after free|is not ordered with|freed/,
    },
  ],
})

/** CPU 1 registers a range beside a fault of CPU 0, and must then be told of what is missing. */
export const userfaultRegisterVsFault = scenario({
  name: 'userfault-register-vs-fault',
  question: 'May a fault zero-fill a page after its range was registered?',
  asked: 'field: userfaultfd_register and vma_start_write, Linux 6.4: faults under the VMA’s lock',
  cpus: 2,
  archs: ['x86_64'],
  setUp: async (stage) => {
    const { mm, page } = await registered(stage, false)
    return { calls: [[mm.read(page)], [mm.userfault(page, 2, true), mm.read(page)]] }
  },
  // Registration changes the VMA and no entry, so that nothing makes it wait for a fault that has looked at the count already.
  expect: ({ design }) => (/^(speculative|rcu-fault)/.test(design) ? { unsafe: /^no order of the calls/ } : 'safe'),
  variants: [
    {
      name: 'not-locked',
      wrong: 'the range is registered without mmap_lock',
      edits: [
        { file: 'syscall/userfault.ts', from: '  mmapWriteLock(mm)\n', to: '' },
        { file: 'syscall/userfault.ts', from: '  mmapWriteUnlock(mm)\n', to: '' },
        { file: 'syscall/userfault.ts', from: 'mmapReadUnlock, mmapWriteLock, mmapWriteUnlock }', to: 'mmapReadUnlock }' },
      ],
      unsafe: /data race|no order|is not ordered with/,
    },
  ],
})

/** CPU 1 gives a range up that CPU 0 is filling. */
export const userfaultUnregisterVsCopy = scenario({
  name: 'userfault-unregister-vs-copy',
  question: 'May a page be filled after its range was given up?',
  asked: 'field: userfaultfd_unregister; mfill_atomic looks whether the VMA is registered',
  cpus: 2,
  archs: ['x86_64'],
  setUp: async (stage) => {
    const { mm, page, copy } = await registered(stage)
    return { calls: [[copy(7)], [mm.userfault(page, 2, false), mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'registration-not-looked-at',
      wrong: 'filling does not look whether the range is registered',
      edits: [
        {
          file: 'syscall/userfault.ts',
          from: '  if (vma === 0 || (load(vma + Vma.flags) & Vm.userfault) === 0) return -Errno.EINVAL\n',
          to: '  if (vma === 0) return -Errno.EINVAL\n',
        },
      ],
      unsafe: /no order of the calls/,
    },
  ],
})

/** CPU 0 fills a page of a span whose table CPU 1 gives back. */
export const userfaultCopyVsTableReclaim = scenario({
  name: 'userfault-copy-vs-table-reclaim',
  question: 'May a page be filled below a table that is being given back?',
  asked: 'field: mfill_atomic_install_pte, pte_offset_map_lock may fail; reclaim of empty page tables, 2024',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['vma-lock'],
  setUp: async (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, stage.tablePages))
    stage.now(0, mm.write(page + 1, 1))
    stage.now(0, mm.userfault(page, stage.tablePages, true))
    const copy = await copierOf(stage, mm.mm, page)
    return { calls: [[copy(7)], [mm.dontneed(page, stage.tablePages)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'as-if-a-page-were-there',
      wrong: 'a table that has gone is told as a page that is there',
      edits: [
        {
          file: 'syscall/userfault.ts',
          from: '    ptep = pteOffsetMapLock(pmd, vpn)\n',
          to: '    ptep = pteOffsetMapLock(pmd, vpn)\n    if (ptep === 0) return -Errno.EEXIST\n',
        },
      ],
      unsafe: /no order of the calls explains/,
    },
  ],
})
