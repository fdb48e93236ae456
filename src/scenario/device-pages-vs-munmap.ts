// A driver finds the mappings of its pages through the list of VMAs of its inode, and munmap takes VMAs out of that list. What munmap has
// unmapped by then must be flushed: the driver who finds no mapping gives the pages away.
import { Remap } from '../kernel/syscall/mremap.ts'
import { Vm } from '../kernel/vma/vma.ts'
import { SHARED } from './runner/calls.ts'
import { scenario } from './scenario.ts'

/** CPU 0 unmaps a page of a device; CPU 1, which has it in its TLB, runs the driver that takes the page back, and reads. */
export const devicePagesVsMunmap = scenario({
  name: 'device-pages-vs-munmap',
  question: 'May a driver give its pages away while munmap is unmapping them?',
  asked: 'bugs.md, B5: munmap of VM_PFNMAP unlinked the VMA before it flushed (CVE-2022-39188, b67fbebd4cf9)',
  cpus: 2,
  archs: ['x86_64', 'arm64-4k'],
  usually: { designs: ['mmap-lock'], archs: ['x86_64'] },
  setUp: (stage) => {
    const mm = stage.newMm([0, 1])
    const page = stage.table(4)
    const device = stage.device(0)
    stage.now(0, mm.mmap(page, 1, SHARED, device))
    // Keeps the page tables.
    stage.now(0, mm.mmap(page + 1, 1))
    stage.now(1, mm.write(page, 7))
    return { calls: [[mm.munmap(page, 1)], [device.revoke, mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'unlinked-before-the-flush',
      wrong: 'munmap takes the VMA out of the list of its inode before it flushes',
      edits: [
        { file: 'vma/i-mmap.ts', from: '      if (!flushed) tlbFlushMmu()\n      flushed = true\n', to: '' },
        { file: 'vma/i-mmap.ts', from: '  let flushed = false\n', to: '' },
        { file: 'vma/i-mmap.ts', from: 'import { tlbFinishMmu, tlbFlushMmu, tlbGatherMmu }', to: 'import { tlbFinishMmu, tlbGatherMmu }' },
      ],
      unsafe: /use after free: CPU 1 .*freed|stale translation/,
    },
    {
      name: 'flushes-not-nested',
      wrong: 'the driver flushes what it has cleared itself, and not what munmap has cleared and is about to flush',
      edits: [
        {
          file: 'pagetable/mmu-gather.ts',
          from: '  if (readOnce(mm + Mm.tlbFlushPending) > 1) tlbAddRange(0, EVERYTHING)\n',
          to: '',
        },
        { file: 'pagetable/mmu-gather.ts', from: 'const EVERYTHING = 0x7fffffff\n', to: '' },
        {
          file: 'pagetable/mmu-gather.ts',
          from: 'import { atomicAdd, load, readOnce, store, thisCpu }',
          to: 'import { atomicAdd, load, store, thisCpu }',
        },
      ],
      unsafe: /use after free: CPU 1 .*freed|stale translation/,
    },
  ],
})

/** CPU 0 faults on a page of a device while CPU 1 runs the driver that takes it back. */
export const devicePagesVsFault = scenario({
  name: 'device-pages-vs-fault',
  question: 'May a fault map a page that its driver is taking back?',
  asked: 'field: vmf_insert_pfn beside unmap_mapping_range; the lock that drivers hold over both',
  cpus: 2,
  archs: ['x86_64'],
  usually: { designs: ['vma-lock', 'speculative-file'] },
  setUp: (stage) => {
    const mm = stage.newMm([0, 1])
    const page = stage.table(4)
    const device = stage.device(1)
    stage.now(0, mm.mmap(page, 2, SHARED, device))
    stage.now(0, mm.write(page, 7))
    return { calls: [[mm.write(page + 1, 8), mm.read(page + 1)], [device.revoke]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'driver-not-locked',
      wrong: 'a fault looks whether the page is there, and maps it, without the lock of the driver',
      edits: [
        { file: 'fault/pfn.ts', from: '  spinLock(inode + Inode.deviceLock)\n', to: '' },
        { file: 'fault/pfn.ts', from: '  spinUnlock(inode + Inode.deviceLock)\n', to: '' },
        { file: 'fault/pfn.ts', from: 'index < load(inode + Inode.pages)', to: 'index < readOnce(inode + Inode.pages)' },
        { file: 'fault/pfn.ts', from: 'import { load, thisCpu }', to: 'import { load, readOnce, thisCpu }' },
        { file: 'fault/pfn.ts', from: "import { spinLock, spinUnlock } from '../sync/spinlock.ts'\n", to: '' },
      ],
      unsafe: /use after free|no order of the calls/,
      on: { design: 'vma-lock' },
    },
    {
      name: 'closed-after-the-search',
      wrong: 'the driver looks for mappings first, and then sees to it that there are no new ones',
      edits: [
        {
          file: 'syscall/device.ts',
          from: '  const pages = deviceClose(inode)\n  unmapMapping(inode)\n',
          to: '  unmapMapping(inode)\n  const pages = deviceClose(inode)\n',
        },
      ],
      unsafe: /use after free|no order of the calls/,
      on: { design: 'vma-lock' },
    },
  ],
})

/** CPU 0 moves the mapping of a device elsewhere while CPU 1 runs the driver that takes the page back, and reads it at the new place. */
export const devicePagesVsMremap = scenario({
  name: 'device-pages-vs-mremap',
  question: 'May a driver miss a mapping of its page that mremap is moving?',
  asked: 'field: move_page_tables and rmap walks that hold the lock of the file alone; take_rmap_locks, or the order of the copies',
  cpus: 2,
  archs: ['x86_64'],
  usually: { designs: ['mmap-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm([0, 1])
    const page = stage.table(4)
    const device = stage.device(0)
    stage.now(0, mm.mmap(page, 1, SHARED, device))
    stage.now(0, mm.write(page, 7))
    return { calls: [[mm.mremap(page, 1, 1, Remap.mayMove | Remap.fixed, page + 2), mm.read(page + 2)], [device.revoke]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'copy-listed-first',
      wrong: 'the copy is put in front of the mapping from which entries are moved',
      edits: [
        {
          file: 'vma/i-mmap.ts',
          from: '  listAddTail(vma + Vma.shared, inode + Inode.iMmap)\n',
          to: '  listAdd(vma + Vma.shared, inode + Inode.iMmap)\n',
        },
        {
          file: 'vma/i-mmap.ts',
          from: 'import { ListHead, listAddTail, listDelInit }',
          to: 'import { ListHead, listAdd, listAddTail, listDelInit }',
        },
      ],
      unsafe: /use after free|stale translation/,
    },
  ],
})

/** CPU 0 unmaps the middle of a mapping of a device, which is split twice for that; CPU 1 runs the driver that takes the pages back, and reads. */
export const devicePagesVsSplit = scenario({
  name: 'device-pages-vs-split',
  question: 'May a driver miss a part of a mapping of its pages that is being split?',
  asked:
    'field: vma_prepare and vma_complete of a split, i_mmap_lock_write over the change of the bounds and the insertion of the new part',
  cpus: 2,
  archs: ['x86_64'],
  usually: { designs: ['mmap-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm([0, 1])
    const page = stage.table(4)
    const device = stage.device(2)
    stage.now(0, mm.mmap(page, 3, SHARED, device))
    stage.now(1, mm.write(page + 2, 7))
    return { calls: [[mm.munmap(page + 1, 1)], [device.revoke, mm.read(page + 2)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'split-without-the-lock',
      wrong: 'a part is put into the list of the inode without the lock of the list',
      edits: [
        { file: 'vma/i-mmap.ts', from: '  spinLock(inode + Inode.iMmapLock)\n  listAddTail(upper', to: '  listAddTail(upper' },
        {
          file: 'vma/i-mmap.ts',
          from: '  writeOnce(vma + Vma.end, at)\n  spinUnlock(inode + Inode.iMmapLock)\n',
          to: '  writeOnce(vma + Vma.end, at)\n',
        },
      ],
      unsafe: /data race|is not ordered with|use after free|stale translation/,
      on: { design: 'mmap-lock' },
    },
    {
      name: 'end-kept',
      wrong: 'the lower part of a mapping of a device keeps its end',
      edits: [
        {
          file: 'vma/i-mmap.ts',
          from: '  writeOnce(vma + Vma.end, at)\n  spinUnlock(inode + Inode.iMmapLock)\n',
          to: '  spinUnlock(inode + Inode.iMmapLock)\n',
        },
      ],
      unsafe: /total_vm|leak|no order of the calls|use after free/,
      on: { design: 'mmap-lock' },
    },
  ],
})

/** CPU 0 faults on a page of a device, holding no lock of its VMA, while CPU 1 unmaps it. */
export const deviceFaultVsMunmap = scenario({
  name: 'device-fault-vs-munmap',
  question: 'May a fault without locks map a page of a device where munmap has been?',
  asked: 'field: vmf_insert_pfn in a speculative fault; what insert_pfn maps is locked and validated as any other entry',
  cpus: 2,
  designs: ['speculative-file'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const device = stage.device(1)
    stage.now(0, mm.mmap(page, 2, SHARED, device))
    stage.now(0, mm.read(page + 1))
    return { calls: [[mm.read(page)], [mm.munmap(page, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'not-validated',
      wrong: 'the entry is locked as under mmap_lock: nobody asks whether a writer has been there',
      edits: [
        { file: 'fault/pfn.ts', from: 'design.pteMapLock(mm, vma, pmd, vpn)', to: 'pteOffsetMapLock(pmd, vpn)' },
        { file: 'fault/pfn.ts', from: "import { design } from '../design/design.ts'\n", to: '' },
        { file: 'fault/pfn.ts', from: 'import { pteUnmapUnlock }', to: 'import { pteOffsetMapLock, pteUnmapUnlock }' },
      ],
      unsafe: /in no mapping|stale translation|no order of the calls/,
    },
    {
      name: 'refusal-not-heeded',
      wrong: 'a fault that may no longer map the page maps it all the same',
      edits: [{ file: 'fault/pfn.ts', from: '  if (ptep === 0) return\n', to: '' }],
      unsafe: /NULL pointer/,
    },
  ],
})

/** CPU 0 reads a page of a device that CPU 1 writes and then makes read-only. */
export const deviceFaultVsDeviceFault = scenario({
  name: 'device-fault-vs-device-fault',
  question: 'May a fault put an entry with fewer rights over the one that another fault has put there?',
  asked: 'field: insert_pfn looks whether the entry is none: whoever overwrites one owes a flush',
  cpus: 2,
  designs: ['vma-lock'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const device = stage.device(1)
    stage.now(0, mm.mmap(page, 2, SHARED, device))
    stage.now(0, mm.read(page + 1))
    return { calls: [[mm.read(page)], [mm.write(page, 7), mm.mprotect(page, 1, Vm.read), mm.write(page, 8)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'overwritten',
      wrong: 'the entry is set whatever is there',
      edits: [
        { file: 'fault/pfn.ts', from: '  if (pteNone(ptepGet(ptep))) setPte', to: '  setPte' },
        { file: 'fault/pfn.ts', from: 'import { Pte, pfnPte, pteNone, ptepGet, setPte }', to: 'import { Pte, pfnPte, setPte }' },
      ],
      unsafe: /no order of the calls|stale translation/,
    },
  ],
})
