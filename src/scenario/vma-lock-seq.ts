// Do per-VMA locks with a semaphore and a sequence number keep faults out of VMAs that change or go (Linux 6.4 to 6.14)? What a
// fault knows of its VMA from before it has the lock counts for nothing: what it needs it must look at under the lock.
import { Remap } from '../kernel/syscall/mremap.ts'
import { Vm } from '../kernel/vma/vma.ts'
import { faultVsReuseByOtherMm } from './fault-vs-reuse-by-other-mm.ts'
import { faultVsSplitOff } from './fault-vs-split-off.ts'
import { mergeVsLookup } from './merge-vs-lookup.ts'
import { READ_WRITE } from './runner/calls.ts'
import { scenario } from './scenario.ts'

const FILE = 'design/vma-lock-seq.ts'
const SEQ = { cpus: 2, designs: ['vma-lock-seq'], archs: ['x86_64'], expect: 'safe' } as const

/** CPU 0 writes a page of a mapping that CPU 1 unmaps whole, other memory being mapped there afterwards. */
export const seqFaultVsMunmap = scenario({
  ...SEQ,
  name: 'vma-lock-seq-vs-munmap',
  question: 'May a fault that holds the semaphore of its VMA race a munmap of that VMA?',
  asked: 'Linux 6.4, vma_start_read, vma_start_write and vma_mark_detached; thread 003, phase 2',
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    // Keeps the tables, which are not the question.
    stage.now(0, mm.mmap(page + 3, 1))
    stage.now(0, mm.read(page + 3))
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page + 1, 1))
    return { calls: [[mm.write(page, 7)], [mm.munmap(page, 2)]] }
  },
  variants: [
    {
      name: 'detached-not-looked-at',
      wrong: 'a fault that got the lock after the writer was done does not look whether the VMA is still in the tree',
      edits: [{ file: FILE, from: '    if (load(vma + Vma.detached) === 0) {', to: '    if (load(vma + Vma.detached) >= 0) {' }],
      unsafe: /in no mapping|no order of the calls|stale|data race|use after free|leak/,
    },
    {
      name: 'number-not-looked-at-again',
      wrong: 'a fault does not look at the numbers again once it has the semaphore',
      edits: [
        {
          file: FILE,
          from: '  if (smpLoadAcquire(mm + Mm.mmLockSeq) === load(vma + Vma.lockSeq)) {\n    upRead(vma + Vma.lock)\n    return 0\n  }\n',
          to: '',
        },
      ],
      unsafe: /in no mapping|no order of the calls|stale|data race|use after free|leak/,
    },
    {
      name: 'number-after-the-semaphore',
      wrong: 'a writer stores its number when it has let go of the semaphore',
      edits: [
        {
          file: FILE,
          from: '  writeOnce(vma + Vma.lockSeq, seq)\n  // The semaphore is not kept: the number is the lock.\n  upWrite(vma + Vma.lock)\n',
          to: '  upWrite(vma + Vma.lock)\n  writeOnce(vma + Vma.lockSeq, seq)\n',
        },
      ],
      unsafe: /in no mapping|no order of the calls|stale|data race|use after free|leak/,
    },
    {
      name: 'readers-not-waited-for',
      wrong: 'a writer stores its number without waiting for the faults in the VMA',
      edits: [
        { file: FILE, from: '  downWriteNested(vma + Vma.lock, LockClass.vma)\n', to: '' },
        { file: FILE, from: '  upWrite(vma + Vma.lock)\n', to: '' },
      ],
      unsafe: /in no mapping|no order of the calls|stale|data race|use after free|leak/,
    },
  ],
})

/** CPU 0 faults on the upper page of a mapping while CPU 1 unmaps that page. */
export const seqFaultVsSplitOff = scenario({
  ...SEQ,
  name: 'vma-lock-seq-vs-split-off',
  question: 'May a VMA shrink between the look-up of a fault and its semaphore?',
  asked: 'Linux 6.4, lock_vma_under_rcu: the bounds are looked at after vma_start_read',
  setUp: faultVsSplitOff.setUp,
  variants: [
    {
      name: 'bounds-before-the-lock',
      wrong: 'the address is compared with the bounds before the VMA is locked, and not again',
      edits: [
        {
          file: FILE,
          from: '    if (vma === 0 || vmaStartRead(mm, vma) === 0) return 0\n',
          to: '    if (vma === 0 || vpn < readOnce(vma + Vma.start) || vpn >= readOnce(vma + Vma.end)) return 0\n    if (vmaStartRead(mm, vma) === 0) return 0\n',
        },
        { file: FILE, from: '  if (vpn < load(vma + Vma.start) || vpn >= load(vma + Vma.end)) return false\n', to: '' },
      ],
      unsafe: /in no mapping|no order of the calls explains|stale/,
    },
  ],
})

/** CPU 0 faults in a VMA that CPU 1 merges away. */
export const seqMergeVsLookup = scenario({
  ...SEQ,
  name: 'vma-lock-seq-vs-merge',
  question: 'May a fault look a VMA up while it is merged into its neighbour, and lock it by its semaphore?',
  asked: 'Linux 6.4, vma_merge: vma_start_write for all that change, and vma_mark_detached for what goes',
  setUp: mergeVsLookup.setUp,
})

/** CPU 0 writes to two pages of the parent, below two tables, while CPU 1 forks it: the child has both, the first, or none. */
export const seqFaultVsFork = scenario({
  ...SEQ,
  name: 'vma-lock-seq-vs-fork',
  question: 'May a fault that takes no mmap_lock race a fork?',
  asked: 'Linux 6.4.1: fork copied VMAs whose semaphores it had not taken, and per-VMA locks were turned off until it did',
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(5) - 1
    stage.now(0, mm.mmap(page, 2))
    // By the other CPU: this one has no translations yet.
    for (const one of [page, page + 1]) stage.now(1, mm.write(one, 1))
    return { calls: [[mm.write(page, 7), mm.write(page + 1, 8)], [mm.fork()]] }
  },
  variants: [
    {
      name: 'parent-not-locked',
      wrong: 'fork does not write-lock the VMAs of the parent that it copies',
      edits: [{ file: 'syscall/fork.ts', from: '    design.vmaStartWrite(vma)\n', to: '' }],
      unsafe: /no order of the calls|stale|data race|counters|map count|bad page/,
    },
  ],
})

/** CPU 0 faults in one address space; CPU 1 unmaps there and maps in another one. */
export const seqFaultVsReuse = scenario({
  ...SEQ,
  name: 'vma-lock-seq-vs-reuse-by-other-mm',
  question: 'May the memory of a VMA become the VMA of another address space while a fault tries to lock it?',
  asked: 'Linux 6.4, vm_area_free through call_rcu; bugs.md, B15, is what replacing it by type-safe memory brought',
  setUp: faultVsReuseByOtherMm.setUp,
  variants: [
    {
      name: 'freed-at-once',
      wrong: 'a VMA is freed without a grace period',
      edits: [
        { file: FILE, from: '  callRcu(vma + Vma.rcuHead, RcuFunc.vma)\n', to: '  kmemCacheFree(Cache.vma, vma)\n' },
        {
          file: FILE,
          from: "import { Mm } from '../memory/mm.ts'\n",
          to: "import { Mm } from '../memory/mm.ts'\nimport { Cache, kmemCacheFree } from '../memory/slab.ts'\n",
        },
      ],
      unsafe: /data race|use after free|stale|counters of mm|no order of the calls/,
    },
  ],
})

/**
 * CPU 0 writes to a page of a mapping that has an anon_vma; CPU 1 moves the memory away, which takes the anon_vma from the VMA
 * that stays behind (MREMAP_DONTUNMAP), and unmaps the neighbour whose anon_vma would suit it.
 */
export const seqFaultVsDontUnmap = scenario({
  ...SEQ,
  name: 'vma-lock-seq-vs-dontunmap',
  question: 'May a VMA lose its anon_vma between the look of a fault and its lock?',
  asked: 'bugs.md, B12: lock_vma_under_rcu looked at anon_vma before it had the lock (657b5146955e)',
  archs: ['powerpc64-hash-64k'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const readable = READ_WRITE & ~Vm.write
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.write(page, 1))
    stage.now(0, mm.mmap(page + 2, 1))
    stage.now(0, mm.write(page + 2, 2))
    stage.now(0, mm.mprotect(page + 2, 1, Vm.read))
    // The neighbour reaches the mapping now, with an anon_vma of its own.
    stage.now(0, mm.mmap(page + 1, 1, readable))
    // Pages and flushes are not the question.
    for (const one of [page, page + 2]) stage.now(0, mm.dontneed(one, 1))
    const away = Remap.mayMove | Remap.fixed | Remap.dontUnmap
    return { calls: [[mm.write(page, 7)], [mm.mremap(page, 1, 1, away, page + 3), mm.munmap(page + 1, 2)]] }
  },
  variants: [
    {
      name: 'anon-vma-before-the-lock',
      wrong: 'whether the VMA has an anon_vma is asked before it is locked, and the fault relies on the answer',
      edits: [
        {
          file: FILE,
          from: '    if (vma === 0 || vmaStartRead(mm, vma) === 0) return 0\n',
          to: '    if (vma === 0 || readOnce(vma + Vma.anonVma) === 0 || vmaStartRead(mm, vma) === 0) return 0\n',
        },
        { file: FILE, from: '  return !vmaIsAnonymous(vma) || readOnce(vma + Vma.anonVma) !== 0\n', to: '  return true\n' },
        {
          file: 'fault/anonymous.ts',
          from: '  if ((flags & FaultFlag.vmaLock) !== 0) {\n    design.releaseFault(mm, vma, flags)\n    return VmFault.retry\n  }\n  return anonVmaPrepare',
          to: '  return anonVmaPrepare',
        },
      ],
      unsafe: /use after free|data race/,
    },
  ],
})

/** CPU 0 faults in a mapping that CPU 1 unmaps, and whose VMA it has freed. Readers of RCU are counted: being in the kernel is no section. */
export const seqFaultVsFree = scenario({
  ...SEQ,
  name: 'vma-lock-seq-vs-free',
  question: 'May a VMA be freed while a fault is still busy with its semaphore?',
  asked: 'Linux 6.4, vma_start_read and vma_end_read: the semaphore lies in what RCU frees; rwsem: who wakes a writer may come after it',
  rcus: ['preemptible'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    // Keeps the tables, which are not the question.
    stage.now(0, mm.mmap(page + 3, 1))
    stage.now(0, mm.read(page + 3))
    stage.now(0, mm.mmap(page, 2))
    stage.now(1, mm.write(page + 1, 1))
    stage.now(1, mm.dontneed(page + 1, 1))
    return { calls: [[mm.read(page)], [mm.munmap(page, 2), stage.waitForCallbacks]] }
  },
  variants: [
    {
      name: 'looked-up-outside-rcu',
      wrong: 'the VMA is looked up and locked without being in an RCU section',
      edits: [
        {
          file: FILE,
          from: '  rcuReadLock()\n  const vma = findAndLockVma(mm, vpn)\n  rcuReadUnlock()\n',
          to: '  const vma = findAndLockVma(mm, vpn)\n',
        },
      ],
      unsafe: /use after free|freed|data race|is not ordered with/,
    },
    {
      name: 'let-go-of-outside-rcu',
      wrong: 'the semaphore is let go of without being in an RCU section',
      edits: [
        {
          file: FILE,
          from: '  rcuReadLock()\n  upRead(vma + Vma.lock)\n  rcuReadUnlock()\n',
          to: '  upRead(vma + Vma.lock)\n',
        },
      ],
      unsafe: /use after free|freed|data race|is not ordered with/,
    },
  ],
})
