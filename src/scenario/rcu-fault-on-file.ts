// A fault in an RCU section on a page of a file uses the file, its inode and the page cache, and has a reference to nothing but the page:
// munmap, whose mapping may be the file's last, lets go of the file only when the section is over. What the fault would have to wait for,
// a disk or somebody who reads the page, it leaves to a fault that may sleep.
import { Vm } from '../kernel/vma/vma.ts'
import { UNCHECKED } from './rcu-fault-vs-munmap.ts'
import { READ_WRITE, SHARED } from './runner/calls.ts'
import { type Scenario, scenario, type Variant } from './scenario.ts'

const FILE = 'design/rcu-fault.ts'
const ASKED =
  'thread 003, phase 3: page faults entirely under the RCU read lock; there, of SRCU: the callback will then fput() and such things'

/** CPU 0 reads a page that is in the cache; CPU 1 unmaps the only mapping of the file, and waits until what it deferred is done. */
export const rcuFaultOnFile = scenario({
  name: 'rcu-fault-on-file',
  question: 'May a fault in an RCU section use the file of its VMA without a reference, while munmap takes the file’s last mapping away?',
  asked: ASKED,
  cpus: 2,
  designs: ['rcu-fault'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const file = stage.file(2)
    stage.now(0, mm.mmap(page, 2, SHARED, file))
    stage.now(0, file.close)
    // Keeps the tables, which are not the question.
    stage.now(0, mm.mmap(page + 3, 1))
    stage.now(0, mm.read(page + 3))
    stage.now(0, mm.read(page))
    stage.now(0, mm.dontneed(page, 1))
    return { calls: [[mm.read(page)], [mm.munmap(page, 2), stage.waitForCallbacks]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'fput-at-once',
      wrong: 'munmap lets go of the file before the grace period',
      edits: [
        { file: FILE, from: '  if (load(vma + Vma.file) !== 0) getFile(load(vma + Vma.file))\n', to: '' },
        { file: FILE, from: "import { getFile } from '../memory/file.ts'\n", to: '' },
        { file: FILE, from: 'callRcu(vma + Vma.rcuHead, RcuFunc.vmaAndFile)', to: 'callRcu(vma + Vma.rcuHead, RcuFunc.vma)' },
      ],
      unsafe: /use after free: CPU 0|is not ordered with/,
    },
    {
      name: 'file-kept',
      wrong: 'what keeps the file for faults is not given back with the VMA',
      edits: [{ file: FILE, from: 'callRcu(vma + Vma.rcuHead, RcuFunc.vmaAndFile)', to: 'callRcu(vma + Vma.rcuHead, RcuFunc.vma)' }],
      unsafe: /leak/,
    },
    {
      name: 'page-without-reference',
      wrong: 'a page that is found in the cache is used without a reference',
      edits: [{ file: 'memory/page-cache.ts', from: '  if (page !== 0) getPage(page)\n', to: '' }],
      unsafe: /reference count|use after free|bad page|freed/,
    },
    {
      name: 'no-check-under-lock',
      wrong: 'nobody looks whether a writer has had the VMA before the page of the file is mapped',
      edits: UNCHECKED,
      unsafe: /stale translation|counters of mm|leak|in no mapping|map count/,
    },
    {
      name: 'detached-not-looked-at',
      wrong: 'a VMA that was found and then taken out of the tree is used as long as nobody changes it',
      edits: [{ file: FILE, from: '  if (readOnce(vma + Vma.refcnt) === 0) return Outcome.detached\n', to: '' }],
      unsafe: /stale translation|counters of mm|leak|in no mapping|map count/,
    },
  ],
})

/** CPU 0 writes to a shared page; CPU 1 maps the file’s next page in its place. */
export const rcuFaultOnFileVsRemap = scenario({
  name: 'rcu-fault-on-file-vs-remap',
  question: 'May another page of the file be mapped in the place of the one that a fault in an RCU section has found in the cache?',
  asked: 'thread 003: see if nothing had fundamentally changed, specifically the VMA, before installing the PTE',
  cpus: 2,
  designs: ['rcu-fault'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const file = stage.file(2)
    stage.now(0, mm.mmap(page, 2, SHARED, file))
    stage.now(0, mm.write(page, 1))
    stage.now(0, mm.write(page + 1, 2))
    stage.now(0, mm.munmap(page + 1, 1))
    stage.now(0, mm.mmap(page + 3, 1))
    stage.now(0, mm.read(page + 3))
    stage.now(0, mm.dontneed(page, 1))
    return { calls: [[mm.write(page, 7)], [mm.munmap(page, 1), mm.mmap(page, 1, SHARED, file, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'locked-now-only',
      wrong: 'the check under the lock asks whether a writer has the VMA now, not whether one has had it',
      edits: [
        {
          file: FILE,
          from: 'Vma.lockSeq) !== load(speculation + Speculation.seq)) {',
          to: 'Vma.lockSeq) === readOnce(_mm + Mm.mmLockSeq)) {',
        },
      ],
      unsafe: /stale translation|no order of the calls explains|in no mapping|counters of mm/,
    },
  ],
})

/** CPU 0 writes to a private page of a file, which shows the file's own page or (`mapped` false) nothing yet; CPU 1 takes the right away, and reads. */
function vsMprotect(name: string, question: string, mapped: boolean, variant: Variant): Scenario {
  return scenario({
    name,
    question,
    asked: 'thread 003: the second page-table walk, with ptlock held to pin stuff while validating everything',
    cpus: 2,
    designs: ['rcu-fault'],
    archs: ['x86_64'],
    setUp: (stage) => {
      const mm = stage.newMm()
      const page = stage.table(4)
      stage.now(0, mm.mmap(page, 2, READ_WRITE, stage.file(2)))
      stage.now(0, mm.write(page + 1, 1))
      stage.now(0, mm.read(page))
      if (!mapped) stage.now(0, mm.dontneed(page, 1))
      return { calls: [[mm.write(page, 7)], [mm.mprotect(page, 2, Vm.read), mm.read(page)]] }
    },
    expect: 'safe',
    variants: [variant],
  })
}

export const rcuFaultOnFileVsMprotect = vsMprotect(
  'rcu-fault-on-file-vs-mprotect',
  'May mprotect take the right to write away while a fault in an RCU section copies a page that it has found in the cache?',
  false,
  {
    name: 'no-check-under-lock',
    wrong: 'nobody looks whether a writer has had the VMA before the copy is mapped',
    edits: UNCHECKED,
    unsafe: /no order of the calls explains/,
  },
)

export const rcuFaultCopiesPageOfFile = vsMprotect(
  'rcu-fault-copies-page-of-file',
  'Is it enough for a fault that replaces an entry to look at its VMA when it takes the old page, and at the entry alone when it is done?',
  true,
  {
    name: 'validated-once',
    wrong: 'the VMA is looked at again before the page is copied, and not once more when the copy is mapped',
    edits: [
      {
        file: 'fault/copy-on-write.ts',
        from: '  const ptep = design.pteMapLock(mm, vma, pmd, vpn)\n  if (ptep === 0) {\n    putPage(copy)\n',
        to: '  const ptep = pteOffsetMapLock(pmd, vpn)\n  if (ptep === 0) {\n    putPage(copy)\n',
      },
      { file: 'fault/copy-on-write.ts', from: 'import { pteUnmapUnlock }', to: 'import { pteOffsetMapLock, pteUnmapUnlock }' },
    ],
    unsafe: /no order of the calls explains/,
  },
)

/** Both CPUs read a page that is on a disk. */
export const rcuFaultOnMissingPage = scenario({
  name: 'rcu-fault-on-missing-page',
  question: 'Does a fault in an RCU section leave the page that must be read, and the one that somebody reads, to a fault that may sleep?',
  asked: 'thread 003, phase 3: if we encounter problems, we can fall back to acquiring the VMA refcount',
  cpus: 2,
  designs: ['rcu-fault'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2, SHARED, stage.file(2, true)))
    stage.now(0, mm.read(page + 1))
    return { calls: [[mm.read(page)], [mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'reads-inside',
      wrong: 'a page that is not in the cache is read inside the RCU section',
      edits: [{ file: 'fault/file.ts', from: '    if (load(inode + Inode.disk) !== 0) return -VmFault.retry\n', to: '' }],
      unsafe: /CPU \d may sleep at .* inside the RCU section/,
    },
    {
      name: 'waits-inside',
      wrong: 'a page that somebody reads is waited for inside the RCU section',
      edits: [
        {
          file: 'fault/file.ts',
          from: '  if (pageUptodate(got)) return got\n  putPage(got)\n  return -VmFault.retry\n',
          to: '  if (!pageUptodate(got)) waitOnPageLocked(got)\n  return got\n',
        },
      ],
      unsafe: /CPU \d may sleep at .* inside the RCU section/,
    },
    {
      name: 'not-waited-for',
      wrong: 'a page that somebody reads is mapped as it is',
      edits: [
        {
          file: 'fault/file.ts',
          from: '  if (pageUptodate(got)) return got\n  putPage(got)\n  return -VmFault.retry\n',
          to: '  return got\n',
        },
      ],
      unsafe: /is not ordered with|no order of the calls explains/,
    },
    {
      name: 'page-kept',
      wrong: 'the reference to the page that somebody reads is kept',
      edits: [
        {
          file: 'fault/file.ts',
          from: '  if (pageUptodate(got)) return got\n  putPage(got)\n  return -VmFault.retry\n',
          to: '  return pageUptodate(got) ? got : -VmFault.retry\n',
        },
      ],
      unsafe: /leak/,
    },
  ],
})
