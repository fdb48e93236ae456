// What locks on single VMAs are for: a fault does not take mmap_lock because something else is being changed, or has been. What is
// looked at is whether faults fell back to mmap_lock, which a CPU counts.
import { Vm } from '../kernel/vma/vma.ts'
import { scenario } from './scenario.ts'

const ASKED = 'thread 003, Splitting the mmap_sem; vma_end_write_all: one store unlocks every VMA that a writer has locked'
const FELL_BACK = 'a fault took mmap_lock, and nobody was changing its VMA'

/** CPU 0 changes a mapping and then reads a page of it, while CPU 1 maps other memory. */
export const faultBesideWriterElsewhere = scenario({
  name: 'fault-beside-writer-elsewhere',
  question: 'Does a fault need mmap_lock while another mapping is changed, its own VMA having been changed before?',
  asked: ASKED,
  cpus: 2,
  designs: ['vma-lock', 'vma-lock-seq', 'srcu'],
  archs: ['x86_64'],
  setUp: async (stage) => {
    const { fallbacks } = await stage.program<typeof import('./programs/identities.ts')>('identities')
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page + 1, 1))
    const count = stage.call('faults under mmap_lock so far', () => fallbacks())
    return {
      calls: [[mm.mprotect(page, 2, Vm.read), count, mm.read(page), count], [mm.mmap(page + 3, 1)]],
      check: ([cpu0]) => (cpu0?.[1] === cpu0?.[3] ? '' : FELL_BACK),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'locked-for-ever',
      wrong: 'the number of the mm does not change when a writer is done: its VMAs stay locked',
      edits: [{ file: 'design/vma-lock.ts', from: '  writeSeqcountEnd(mm + Mm.mmLockSeq)\n', to: '' }],
      unsafe: /nobody was changing its VMA/,
    },
    {
      name: 'locked-for-ever-by-its-number',
      wrong: 'the same in the form with semaphores',
      edits: [
        {
          file: 'design/vma-lock-seq.ts',
          from: '  smpStoreRelease(mm + Mm.mmLockSeq, (load(mm + Mm.mmLockSeq) + 1) | 0)\n',
          to: '',
        },
      ],
      unsafe: /nobody was changing its VMA/,
      on: { design: 'vma-lock-seq' },
    },
    {
      name: 'written-for-ever',
      wrong: 'the same under SRCU: the number of the last writer counts as that of one at work',
      edits: [{ file: 'design/srcu.ts', from: '  writeSeqcountEnd(mm + Mm.mmLockSeq)\n', to: '' }],
      unsafe: /nobody was changing its VMA/,
      on: { design: 'srcu' },
    },
  ],
})

/** CPU 1 runs a child and reads in it, while CPU 0 changes the parent. */
export const firstFaultOfAChild = scenario({
  name: 'first-fault-of-a-child',
  question: 'Does the first fault of a child need mmap_lock, fork having write-locked the VMAs that it made?',
  asked: `${ASKED}; dup_mmap locks and unlocks the child's mmap_lock too`,
  cpus: 2,
  designs: ['vma-lock', 'vma-lock-seq'],
  archs: ['x86_64'],
  setUp: async (stage) => {
    const { fallbacks } = await stage.program<typeof import('./programs/identities.ts')>('identities')
    const parent = stage.newMm([0])
    const page = stage.table(4)
    stage.now(0, parent.mmap(page, 2))
    stage.now(0, parent.write(page + 1, 1))
    const child = stage.callsOn(stage.now(0, parent.fork()), [1])
    const count = stage.call('faults under mmap_lock so far', () => fallbacks())
    return {
      calls: [[parent.mprotect(page, 2, Vm.read)], [count, child.read(page), count]],
      check: ([, cpu1]) => (cpu1?.[0] === cpu1?.[2] ? '' : FELL_BACK),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'child-not-locked',
      wrong: 'fork does not take mmap_lock of the child, so that the VMAs that it locks there stay locked',
      edits: [
        { file: 'syscall/fork.ts', from: '  mmapWriteLock(child)\n', to: '' },
        { file: 'syscall/fork.ts', from: '  mmapWriteUnlock(child)\n', to: '' },
      ],
      unsafe: /nobody was changing its VMA/,
    },
  ],
})
