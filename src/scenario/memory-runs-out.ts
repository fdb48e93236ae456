// Memory runs out in the middle of a fault, a fork, a split, a move: the call fails, what it had taken is given back, what was
// there stays as it was, and what another CPU does meanwhile is not disturbed.
import { Cache } from '../kernel/memory/slab.ts'
import { Access } from '../kernel/pagetable/tlb.ts'
import { SmapsWalk } from '../kernel/proc/smaps.ts'
import { Remap } from '../kernel/syscall/mremap.ts'
import { type Call, type Calls, mayLackMemory, READ_ONLY, READ_WRITE } from './runner/calls.ts'
import type { Stage } from './runner/stage.ts'
import { type Scenario, scenario, type Variant } from './scenario.ts'

/** Makes CPU 0's list hold the structure of an address space, so that fork gets that far. */
function spareMm({ now, call, kernel }: Stage): void {
  const mm = now(
    0,
    call('exec()', () => kernel.sysNewMm()),
  )
  now(
    0,
    call('exit()', () => kernel.sysExit(mm)),
  )
}

/** CPU 0 faults where not even tables are, with two frames: it gets no further than they go. */
export const memoryRunsOutInFault = scenario({
  name: 'memory-runs-out-in-fault',
  question: 'Does a fault that gets tables but no page leave everything as it should be?',
  asked: 'field: VM_FAULT_OOM from __handle_mm_fault; tables stay, counted',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const far = stage.table(40)
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.mmap(far, 1))
    stage.now(1, mm.write(page, 1))
    stage.shortage(0, 2)
    return { calls: [[mayLackMemory(mm.write(far, 7))], [mm.dontneed(page, 1)]] }
  },
  expect: 'safe',
})

/** CPU 0 must copy a page of a file, and has no frame. */
export const memoryRunsOutInFileWrite = scenario({
  name: 'memory-runs-out-in-file-write',
  question: 'Does a private write to a page of a file let go of that page if it gets none of its own?',
  asked: 'field: do_cow_fault, VM_FAULT_OOM before and after the page-cache page was found',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const file = stage.file(2)
    stage.now(0, mm.mmap(page, 2, READ_WRITE, file))
    stage.now(0, file.close)
    stage.now(0, mm.write(page + 1, 1))
    stage.now(0, mm.read(page))
    stage.now(0, mm.dontneed(page, 1))
    stage.shortage(0, 0)
    return { calls: [[mayLackMemory(mm.write(page, 7))], [mm.dontneed(page + 1, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'page-kept',
      wrong: 'without memory for the copy, the reference to the page of the file is kept',
      edits: [{ file: 'fault/file.ts', from: '  if (copy < 0) {\n    putPage(page)\n', to: '  if (copy < 0) {\n' }],
      unsafe: /leak/,
    },
  ],
})

/** CPU 0 forks with memory for a part of the tables; CPU 1 writes. */
export const memoryRunsOutInFork = scenario({
  name: 'memory-runs-out-in-fork',
  question: 'Does a fork that fails half way take back what it has copied, and leave the parent as it was?',
  asked: 'field: dup_mmap, out of memory in copy_page_range; the child is torn down by exit_mmap',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['vma-lock'], // fork holds mmap_lock for writing under every design
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const far = stage.table(40)
    for (const one of [page, far]) {
      stage.now(0, mm.mmap(one, 1))
      stage.now(1, mm.write(one, 1))
    }
    spareMm(stage)
    // With anything deferred fork would wait for it and begin again.
    stage.now(0, stage.waitForCallbacks)
    stage.shortage(0, 5)
    return { calls: [[mayLackMemory(mm.fork())], [mayLackMemory(mm.write(page, 7))]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'child-kept',
      wrong: 'what was copied of the child is not torn down',
      edits: [
        { file: 'syscall/fork.ts', from: '  if (failed !== 0) exitMmap(child)\n', to: '' },
        { file: 'syscall/fork.ts', from: 'import { exitMmap, mmAlloc }', to: 'import { mmAlloc }' },
      ],
      unsafe: /leak|map count/,
    },
  ],
})

/** CPU 0 forks, and finds no VMA for the child. */
export const memoryRunsOutInForkOfVma = scenario({
  name: 'memory-runs-out-in-fork-of-vma',
  question: 'Does a fork that lacks an anon_vma_chain give back the VMA that was to have it?',
  asked: 'field: dup_mmap, fail_nomem_anon_vma_fork',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(1, mm.write(page, 1))
    spareMm(stage)
    // A frame for the child's top table: with another one the cache could grow.
    stage.shortage(0, 1, Cache.anonVmaChain, 1)
    return { calls: [[mayLackMemory(mm.fork())], [mayLackMemory(mm.write(page, 7))]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'vma-kept',
      wrong: 'the VMA of the child is not given back',
      edits: [
        {
          file: 'syscall/fork.ts',
          from: '  if (!wipe && anonVmaFork(copy, vma) !== 0) {\n    design.vmaFree(copy)\n    return 1\n  }\n',
          to: '  if (!wipe && anonVmaFork(copy, vma) !== 0) return 1\n',
        },
      ],
      unsafe: /leak/,
    },
    {
      name: 'chain-kept',
      wrong: 'the child stays in the anon_vmas that it has entered',
      edits: [
        {
          file: 'vma/anon-vma.ts',
          from: '    if (avc !== 0) kmemCacheFree(Cache.anonVmaChain, avc)\n    unlinkAnonVmas(child)\n',
          to: '    if (avc !== 0) kmemCacheFree(Cache.anonVmaChain, avc)\n',
        },
      ],
      unsafe: /leak/,
    },
  ],
})

/** CPU 0 unmaps the middle of a mapping and finds no memory to split it; CPU 1 writes there. */
export const memoryRunsOutInSplit = scenario({
  name: 'memory-runs-out-in-split',
  question: 'Does a munmap that cannot split leave the mapping whole and its faults working?',
  asked: 'field: __split_vma and vms_gather_munmap_vmas, -ENOMEM before anything was unmapped',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(1, mm.write(page + 1, 1))
    stage.shortage(0, 0, Cache.anonVmaChain, 0)
    return { calls: [[mayLackMemory(mm.munmap(page, 1))], [mm.write(page + 1, 7)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'upper-part-kept',
      wrong: 'the VMA for the upper part is not given back',
      edits: [
        {
          file: 'vma/split.ts',
          from: '  if (anonVmaClone(upper, vma, 1) !== 0) {\n    design.vmaFree(upper)\n    return -Errno.ENOMEM\n  }\n',
          to: '  if (anonVmaClone(upper, vma, 1) !== 0) return -Errno.ENOMEM\n',
        },
      ],
      unsafe: /leak/,
    },
    {
      name: 'upper-part-freed-twice',
      wrong: 'the VMA for the upper part is given back twice',
      edits: [
        {
          file: 'vma/split.ts',
          from: '  if (anonVmaClone(upper, vma, 1) !== 0) {\n',
          to: '  if (anonVmaClone(upper, vma, 1) !== 0) {\n    design.vmaFree(upper)\n',
        },
      ],
      unsafe: /double free|freed twice|freed again/,
    },
    {
      name: 'locked-for-ever',
      wrong: 'a munmap that fails does not release mmap_lock',
      edits: [
        {
          file: 'syscall/munmap.ts',
          from: '  if (first <= 0) {\n    mmapWriteUnlock(mm)\n',
          to: '  if (first <= 0) {\n    if (first === 0) mmapWriteUnlock(mm)\n',
        },
      ],
      unsafe: /holding lock|deadlock|still holds/,
    },
  ],
})

/** CPU 0 moves a page to where there are no tables, and gets none; CPU 1 writes to it. */
export const memoryRunsOutInMremap = scenario({
  name: 'memory-runs-out-in-mremap',
  question: 'Does an mremap that gets no tables at its target leave the page where it was?',
  asked: 'field: move_page_tables out of memory: Linux moves back what it has moved; here tables are made first',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(1, mm.write(page, 1))
    stage.shortage(0, 1)
    return { calls: [[mayLackMemory(mm.mremap(page, 1, 1, Remap.mayMove | Remap.fixed, stage.table(40)))], [mm.write(page, 7)]] }
  },
  expect: 'safe',
})

/** CPU 0 has no frame but those of tables that wait for a grace period, which a walker on CPU 1 holds up. */
function behindAGracePeriod(
  name: string,
  question: string,
  variant: Variant,
  access: (stage: Stage, mm: Calls & { readonly mm: number }, page: number) => Promise<Call>,
  lack: (stage: Stage, mm: Calls) => void = (stage) => stage.shortage(0, 0),
): Scenario {
  return scenario({
    name,
    question,
    asked: 'field: out_of_memory and rcu_barrier; memory that is freed but not yet given back',
    cpus: 2,
    archs: ['x86_64'],
    setUp: async (stage) => {
      const mm = stage.newMm()
      const page = stage.table(4)
      const gone = stage.table(40)
      stage.now(0, mm.mmap(page, 2))
      stage.now(0, mm.write(page + 1, 1))
      stage.now(0, mm.mmap(gone, 1))
      stage.now(0, mm.write(gone, 1))
      stage.now(0, mm.munmap(gone, 1))
      lack(stage, mm)
      return { calls: [[await access(stage, mm, page)], [mm.smaps(page + 1, 1, SmapsWalk.rcu)]] }
    },
    expect: 'safe',
    variants: [variant],
  })
}

export const faultBehindAGracePeriod = behindAGracePeriod(
  'fault-behind-a-grace-period',
  'Does a fault find the memory that only a grace period keeps from it?',
  {
    name: 'callbacks-not-waited-for',
    wrong: 'a fault without memory does not wait for what its CPU has deferred',
    edits: [
      { file: 'fault/user-access.ts', from: '      rcuBarrier()\n', to: '' },
      { file: 'fault/user-access.ts', from: 'import { rcuBarrier, rcuSoftirq }', to: 'import { rcuSoftirq }' },
    ],
    unsafe: /write of 7 to page 0x10 ended in want of memory/,
  },
  async (_stage, mm, page) => mm.write(page, 7),
)

export const pinBehindAGracePeriod = behindAGracePeriod(
  'pin-behind-a-grace-period',
  'Does a pin find the memory that only a grace period keeps from it?',
  {
    name: 'callbacks-not-waited-for',
    wrong: 'a pin without memory does not wait for what its CPU has deferred',
    edits: [
      { file: 'syscall/gup.ts', from: '      rcuBarrier()\n', to: '' },
      { file: 'syscall/gup.ts', from: "import { rcuBarrier } from '../softirq.ts'\n", to: '' },
    ],
    unsafe: /write of 7 to page 0x10 ended in want of memory/,
  },
  async (stage, { mm }, page) => {
    const pin = await stage.program<typeof import('./programs/pin.ts')>('pin')
    return {
      text: 'pin, write 7 through it',
      description: { name: 'write', mm, start: page, pages: 1, stamp: 7 },
      begin: () => pin.pinAndWrite(mm, page, Access.write, 7),
    }
  },
)

export const mmapBehindAGracePeriod = behindAGracePeriod(
  'mmap-behind-a-grace-period',
  'Does an mmap over a mapping find the memory that only a grace period keeps from it?',
  {
    name: 'callbacks-not-waited-for',
    wrong: 'an mmap without memory does not wait for what its CPU has deferred',
    edits: [
      { file: 'syscall/mmap.ts', from: '    rcuBarrier()\n', to: '' },
      { file: 'syscall/mmap.ts', from: 'import { rcuBarrier, rcuBarrierPending }', to: 'import { rcuBarrierPending }' },
    ],
    unsafe: /mmap of page 0x10 failed with ENOMEM/,
  },
  async (_stage, mm, page) => mm.mmap(page, 1, READ_ONLY),
  (stage) => stage.shortage(0, 0, Cache.vma, 0),
)

export const forkBehindAGracePeriod = behindAGracePeriod(
  'fork-behind-a-grace-period',
  'Does a fork find the memory that only a grace period keeps from it?',
  {
    name: 'callbacks-not-waited-for',
    wrong: 'a fork without memory does not wait for what its CPU has deferred',
    edits: [
      { file: 'syscall/fork.ts', from: '    rcuBarrier()\n', to: '' },
      { file: 'syscall/fork.ts', from: 'import { rcuBarrier, rcuBarrierPending }', to: 'import { rcuBarrierPending }' },
    ],
    unsafe: /fork failed for want of memory/,
  },
  async (_stage, mm) => mm.fork(),
  (stage, mm) => {
    spareMm(stage)
    // Tables for the child, of one mapping, so that its end queues few callbacks.
    const [start, end] = [stage.table(48), stage.table(52)]
    stage.now(0, mm.mmap(start, end - start))
    for (let page = start; page < end; page += (end - start) / 4) stage.now(0, mm.write(page, 1))
    stage.now(0, mm.munmap(start, end - start))
    stage.shortage(0, 0)
  },
)

/** CPU 0 maps over a mapping and has no memory; CPU 1 reads there. */
export const memoryRunsOutInMmapOver = scenario({
  name: 'memory-runs-out-in-mmap-over',
  question: 'Does an mmap over a mapping that gets no VMA leave the old one where it was?',
  asked: 'field: mmap_region of Linux 6.12 and later: what it needs is there before anything is unmapped',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['rcu-fault'], // the memory of a VMA that goes may not be had at once
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.mmap(page + 2, 1))
    stage.now(1, mm.write(page + 2, 1))
    stage.shortage(0, 0, Cache.vma, 0)
    return { calls: [[mayLackMemory(mm.mmap(page, 1, READ_ONLY))], [mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'unmapped-before',
      wrong: 'the old mapping is unmapped before the new one has its VMA',
      edits: [
        {
          file: 'syscall/mmap.ts',
          from: '  const vma = newVma(mm, start, pages, flags, pgoff, file)\n  if (vma === 0) return -Errno.ENOMEM\n  const error = unmapAndReplace(mm, start, start + pages, vma)\n',
          to: '  const first = unmapAndReplace(mm, start, start + pages, 0)\n  if (first !== 0) return first\n  const vma = newVma(mm, start, pages, flags, pgoff, file)\n  if (vma === 0) return -Errno.ENOMEM\n  const error = vmaTreeLink(mm, vma)\n',
        },
      ],
      unsafe: /no order of the calls explains/,
    },
  ],
})
