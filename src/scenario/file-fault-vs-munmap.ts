// A fault that waits for the disk has given up its VMA. The mapping may go meanwhile, and the file with it if nobody else has it
// open: the fault has a reference of its own, and looks the VMA up again.
import { SHARED } from './runner/calls.ts'
import { scenario, type Variant } from './scenario.ts'

const NO_FILE_REFERENCE: Variant = {
  name: 'no-reference-to-the-file',
  wrong: 'a fault that gives up its VMA to wait for the disk does not keep the file',
  edits: [
    { file: 'fault/file.ts', from: '  getFile(file)\n', to: '' },
    { file: 'fault/file.ts', from: '  putFile(file)\n', to: '' },
  ],
  unsafe: /use after free|freed|is not ordered with/,
}

/** CPU 0 reads a page of a file on a disk; CPU 1 unmaps the mapping, which alone keeps the file. */
export const fileFaultVsMunmap = scenario({
  name: 'file-fault-vs-munmap',
  question: 'May a munmap take the last mapping of a file away while a fault on it waits for the disk?',
  asked: 'thread 003, Splitting the mmap_sem: faults that wait for I/O; maybe_unlock_mmap_for_io and its get_file in mm/filemap.c',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const file = stage.file(2, true)
    stage.now(0, mm.mmap(page, 2, SHARED, file))
    stage.now(0, file.close)
    // Keeps the tables, which are not the question.
    stage.now(0, mm.mmap(page + 3, 1))
    stage.now(0, mm.read(page + 3))
    return { calls: [[mm.read(page)], [mm.munmap(page, 2)]] }
  },
  expect: 'safe',
  variants: [
    NO_FILE_REFERENCE,
    {
      name: 'goes-on-without-the-vma',
      wrong: 'a fault that has given up its VMA maps the page when it has it, instead of coming back',
      edits: [
        {
          file: 'fault/file.ts',
          from: '  else if (mayDrop) {\n    putPage(got)\n    answer = -(VmFault.retry | VmFault.major)\n  }\n',
          to: '',
        },
      ],
      unsafe: /unbalanced|deadlock|lock order/,
    },
    {
      // bugs.md, B30 (fc8efd2ddfed): do_fault asked the VMA for its mm at the end.
      name: 'vma-used-after-it-was-released',
      wrong: 'a fault that has given up its VMA looks at it once more before it returns',
      edits: [
        {
          file: 'fault/file.ts',
          from: '    if (fetched <= 0) return -fetched\n',
          to: '    if (fetched <= 0) return load(vma + Vma.mm) === mm ? -fetched : VmFault.retry\n',
        },
      ],
      unsafe: /use after free|data race/,
    },
    {
      name: 'keeps-the-vma',
      wrong: 'a fault says that it has given up its VMA although it has not',
      edits: [{ file: 'fault/file.ts', from: '  if (mayDrop) design.releaseFault(mm, vma, flags)\n', to: '' }],
      unsafe: /lock order|deadlock/,
    },
  ],
})

/** CPU 0 reads a page that is in the cache; CPU 1 unmaps the only mapping, and the file empties its cache. */
export const cachedFaultVsMunmap = scenario({
  name: 'cached-fault-vs-munmap',
  question: 'May a munmap that empties the page cache of a file race a fault that finds a page there?',
  asked: 'field: folio_try_get in filemap_get_folio; the VMA keeps the file, the file its pages',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const file = stage.file(2)
    stage.now(0, mm.mmap(page, 2, SHARED, file))
    stage.now(0, file.close)
    for (const one of [page, page + 1]) stage.now(0, mm.read(one))
    stage.now(0, mm.dontneed(page, 1))
    return { calls: [[mm.write(page, 7)], [mm.munmap(page, 2)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-reference-to-the-page',
      wrong: 'a page that is found in the cache is used without a reference',
      edits: [{ file: 'memory/page-cache.ts', from: '  if (page !== 0) getPage(page)\n', to: '' }],
      unsafe: /reference count|use after free|bad page|freed/,
    },
    {
      name: 'last-mapping-keeps-its-file',
      wrong: 'a mapping that goes does not let go of its file',
      edits: [
        { file: 'syscall/munmap.ts', from: '    if (load(vma + Vma.file) !== 0) putFile(load(vma + Vma.file))\n', to: '' },
        { file: 'syscall/munmap.ts', from: "import { putFile } from '../memory/file.ts'\n", to: '' },
      ],
      unsafe: /leak/,
    },
  ],
})
