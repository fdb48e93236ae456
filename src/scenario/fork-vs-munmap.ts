// fork walks the VMAs of the parent while other threads of it would change them.
import { Remap } from '../kernel/syscall/mremap.ts'
import type { Variant } from './scenario.ts'
import { scenario } from './scenario.ts'

const NO_LOCK: Variant = {
  name: 'parent-not-locked',
  wrong: 'fork copies the parent without its mmap_lock',
  edits: [
    { file: 'syscall/fork.ts', from: '  mmapWriteLock(parent)\n', to: '' },
    { file: 'syscall/fork.ts', from: '  mmapWriteUnlock(parent)\n', to: '' },
  ],
  unsafe: /data race|use after free|no order of the calls explains|counters of mm|map count|bad page|leak|freed|deadlock/,
  on: { design: 'mmap-lock' },
}

/** CPU 0 forks while CPU 1, in the parent, unmaps a page: the child has it or has it not. */
export const forkVsMunmap = scenario({
  name: 'fork-vs-munmap',
  question: 'May a munmap race a fork of the same address space?',
  asked: 'field: dup_mmap under mmap_lock for writing',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(1, mm.write(page, 1))
    return { calls: [[mm.fork()], [mm.munmap(page, 1)]] }
  },
  expect: 'safe',
  variants: [NO_LOCK],
})

/** CPU 0 forks an address space that CPU 1 runs and in which it moves a page: the child has it at one place. */
export const forkVsMremap = scenario({
  name: 'fork-vs-mremap',
  question: 'May mremap move a page of an address space while it is forked?',
  asked: 'field: dup_mmap and move_page_tables, both under mmap_lock for writing',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm([1])
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(1, mm.write(page, 1))
    return { calls: [[mm.fork()], [mm.mremap(page, 1, 1, Remap.mayMove | Remap.fixed, page + 2)]] }
  },
  expect: 'safe',
  variants: [NO_LOCK],
})
