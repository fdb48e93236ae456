// A page of a file is read from its disk once, by whoever asks first; everybody else finds it in the page cache, locked, and
// waits for it. Faults that wait give up what they hold first, and come back.
import { Page, PageFlag } from '../kernel/memory/page.ts'
import { type Call, type Calls, SHARED } from './runner/calls.ts'
import { cachedFrame, pageOf } from './runner/space-lines.ts'
import { type Scenario, scenario, type Variant } from './scenario.ts'

/** One thread reads and one writes the same page of a file on a disk, which nobody has read yet. */
export const fileFaultVsFileFault = scenario({
  name: 'file-fault-vs-file-fault',
  question: 'Is a page of a file read once, and by nobody before it is there, when two threads fault on it?',
  asked: 'thread 003, Splitting the mmap_sem: faults that wait for I/O; filemap_fault and filemap_add_folio in mm/filemap.c',
  cpus: 2,
  archs: ['x86_64'], // the tables are there: nothing of it depends on what they look like
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const file = stage.file(2, true)
    const { words } = stage.machine
    stage.now(0, mm.mmap(page, 2, SHARED, file))
    stage.now(0, mm.read(page + 1))
    return {
      calls: [[mm.read(page)], [mm.write(page, 7)]],
      check: () => {
        const flags = words[pageOf(words, cachedFrame(words, file.inode, 0)) + Page.flags] as number
        if ((flags & PageFlag.dirty) === 0) return 'the page was written, and is not marked dirty'
        return (flags & (PageFlag.locked | PageFlag.waiters)) === 0 ? '' : 'the page is still locked, or waited for'
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'inserted-twice',
      wrong: 'the fresh page is put into the cache without another look whether one is there',
      edits: [
        {
          file: 'memory/page-cache.ts',
          from: '  let page = searchBucket(bucket, inode, index)\n  if (page === 0) {\n    page = fresh',
          to: '  let page = 0\n  if (page === 0) {\n    page = fresh',
        },
      ],
      unsafe: /not marked dirty|leak|map count/,
    },
    {
      name: 'not-waited-for',
      wrong: 'a fault that finds the page locked does not wait for it',
      edits: [{ file: 'fault/file.ts', from: '    else waitOnPageLocked(got)\n', to: '' }],
      unsafe: /tlbFill .* is not ordered with a plain store/,
    },
    {
      name: 'taken-as-it-is',
      wrong: 'a page that is in the cache is taken to be up to date',
      edits: [{ file: 'fault/file.ts', from: 'if (page === 0 || !pageUptodate(page)) {', to: 'if (page === 0) {' }],
      unsafe: /tlbFill .* is not ordered with a plain store/,
    },
    {
      name: 'never-woken',
      wrong: 'who waits for the page is not woken',
      edits: [
        {
          file: 'memory/page-cache.ts',
          from: '  if ((old & PageFlag.waiters) !== 0) futexWake(page + Page.flags, 0x7fffffff)\n',
          to: '',
        },
      ],
      unsafe: /deadlock/,
    },
    {
      name: 'waiter-unmarked',
      wrong: 'a waiter does not say that it waits',
      edits: [
        {
          file: 'memory/page-cache.ts',
          from: 'atomicOr(page + Page.flags, PageFlag.waiters)',
          to: 'readOnce(page + Page.flags)',
        },
        {
          file: 'memory/page-cache.ts',
          from: 'futexWait(page + Page.flags, flags | PageFlag.waiters)',
          to: 'futexWait(page + Page.flags, flags)',
        },
      ],
      unsafe: /deadlock/,
    },
    {
      name: 'waits-under-a-spinlock',
      wrong: 'who finds the page in the cache waits for it with the lock of its bucket held',
      edits: [
        {
          file: 'memory/page-cache.ts',
          from: '  if (page !== 0) getPage(page)\n',
          to: '  if (page !== 0) {\n    getPage(page)\n    waitOnPageLocked(page)\n  }\n',
        },
      ],
      unsafe: /may sleep/,
    },
    {
      name: 'unlocked-in-two-steps',
      wrong: 'the flags of the page are read and written back without the lock, over what others have set meanwhile',
      edits: [
        {
          file: 'memory/page-cache.ts',
          from: '  const old = atomicAnd(page + Page.flags, ~(PageFlag.locked | PageFlag.waiters))\n',
          to: '  const old = readOnce(page + Page.flags)\n  writeOnce(page + Page.flags, old & ~(PageFlag.locked | PageFlag.waiters))\n',
        },
        { file: 'memory/page-cache.ts', from: 'store, thisCpu, zeroPage }', to: 'store, thisCpu, writeOnce, zeroPage }' },
      ],
      unsafe: /not marked dirty|deadlock|is not ordered with/,
    },
    {
      name: 'waiters-cleared-in-two-steps',
      wrong: 'who has waited reads the flags and writes them back without its mark, over what others have set meanwhile',
      edits: [
        {
          file: 'memory/page-cache.ts',
          from: '      atomicAnd(page + Page.flags, ~PageFlag.waiters)\n',
          to: '      writeOnce(page + Page.flags, readOnce(page + Page.flags) & ~PageFlag.waiters)\n',
        },
        { file: 'memory/page-cache.ts', from: 'store, thisCpu, zeroPage }', to: 'store, thisCpu, writeOnce, zeroPage }' },
      ],
      unsafe: /not marked dirty/,
    },
    {
      name: 'not-marked-dirty',
      wrong: 'a first write does not mark the page of the file dirty',
      edits: [
        { file: 'fault/file.ts', from: '    if (writes) atomicOr(page + Page.flags, PageFlag.dirty)\n', to: '' },
        { file: 'fault/file.ts', from: 'import { atomicOr, load', to: 'import { load' },
        { file: 'fault/file.ts', from: 'Page, PageFlag, pageToPfn', to: 'Page, pageToPfn' },
      ],
      unsafe: /not marked dirty/,
    },
    {
      name: 'installed-twice',
      wrong: 'the page is mapped without another look whether it is mapped already',
      edits: [
        {
          file: 'fault/file.ts',
          from: '  const mine = pteNone(ptepGet(ptep))\n  if (mine) {\n    const writes',
          to: '  const mine = true\n  if (mine) {\n    const writes',
        },
      ],
      unsafe: /counters of mm|map count/,
    },
  ],
})

/** CPU 0 brings a page into the cache. CPU 1 finds it there, before it is unlocked, and does what makes it dirty. */
function dirtyBeforeUnlocked(
  name: string,
  question: string,
  asked: string,
  dirty: (mm: Calls, page: number) => readonly Call[],
  variant: Variant,
): Scenario {
  return scenario({
    name,
    question,
    asked,
    cpus: 2,
    archs: ['x86_64'],
    designs: ['vma-lock'],
    setUp: (stage) => {
      const mm = stage.newMm()
      const page = stage.table(4)
      const file = stage.file(2)
      const { words } = stage.machine
      stage.now(0, mm.mmap(page, 2, SHARED, file))
      stage.now(0, mm.read(page + 1))
      return {
        calls: [[mm.read(page)], dirty(mm, page)],
        check: () => {
          const flags = words[pageOf(words, cachedFrame(words, file.inode, 0)) + Page.flags] as number
          if ((flags & PageFlag.dirty) === 0) return 'the page was written, and is not marked dirty'
          return (flags & (PageFlag.locked | PageFlag.waiters)) === 0 ? '' : 'the page is still locked, or waited for'
        },
      }
    },
    expect: 'safe',
    variants: [variant],
  })
}

/** CPU 1 reads the page, and then writes to it. */
export const writeFaultVsUnlock = dirtyBeforeUnlocked(
  'write-fault-vs-unlock-of-page',
  'May a write fault make a shared page dirty while whoever has read it unlocks it?',
  'field: set_page_dirty in wp_page_shared and folio_end_read: page flags are changed by atomic operations',
  (mm, page) => [mm.read(page), mm.write(page, 7)],
  {
    name: 'marked-in-two-steps',
    wrong: 'the flags are read and written back with the mark, over what others have changed meanwhile',
    edits: [
      {
        file: 'fault/copy-on-write.ts',
        from: 'atomicOr(page + Page.flags, PageFlag.dirty)\n',
        to: 'writeOnce(page + Page.flags, readOnce(page + Page.flags) | PageFlag.dirty)\n',
      },
      { file: 'fault/copy-on-write.ts', from: 'import { atomicOr, copyPage', to: 'import { copyPage' },
    ],
    unsafe: /still locked, or waited for/,
  },
)

/** CPU 1 writes to the page and unmaps it. */
export const zapOfDirtyPageVsUnlock = dirtyBeforeUnlocked(
  'zap-of-dirty-page-vs-unlock-of-page',
  'May a page that was written be unmapped while whoever has read it unlocks it?',
  'field: folio_mark_dirty in zap_present_folio_ptes and folio_end_read: page flags are changed by atomic operations',
  (mm, page) => [mm.write(page, 7), mm.dontneed(page, 1)],
  {
    name: 'marked-in-two-steps',
    wrong: 'the flags are read and written back with the mark, over what others have changed meanwhile',
    edits: [
      {
        file: 'pagetable/zap.ts',
        from: 'atomicOr(page + Page.flags, PageFlag.dirty)\n',
        to: 'writeOnce(page + Page.flags, readOnce(page + Page.flags) | PageFlag.dirty)\n',
      },
      {
        file: 'pagetable/zap.ts',
        from: 'import { atomicOr, load, readOnce, thisCpu }',
        to: 'import { load, readOnce, thisCpu, writeOnce }',
      },
    ],
    unsafe: /still locked, or waited for/,
  },
)

/** CPU 0 touches a page of the mapping that the file does not have; CPU 1 the one that it has. */
export const beyondEndOfFile = scenario({
  name: 'beyond-end-of-file',
  question: 'Is an access behind the end of a file refused while another one brings a page of it into the cache?',
  asked: 'field: filemap_fault, VM_FAULT_SIGBUS at i_size; the length never changes here, there is no truncate',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 3, SHARED, stage.file(2)))
    stage.now(0, mm.read(page))
    return { calls: [[mm.read(page + 2)], [mm.read(page + 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'end-not-looked-at',
      wrong: 'a fault does not look where the file ends',
      edits: [
        {
          file: 'fault/file.ts',
          from: '  if (index < 0 || index >= readOnce(inode + Inode.pages)) return VmFault.sigbus\n',
          to: '  if (index >= readOnce(inode + Inode.pages) + 9) return VmFault.sigbus\n',
        },
      ],
      unsafe: /no order of the calls|leak/,
    },
  ],
})
