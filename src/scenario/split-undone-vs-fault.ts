// A split that finds no memory for the tree is undone: its new VMA was in no tree. But memory of VMAs is type-safe, so that a fault which found
// the VMA that the memory held before may count itself into the new one, and must be waited for before the memory is used again.
import { Errno } from '../kernel/machine/errno.ts'
import { Cache } from '../kernel/memory/slab.ts'
import { mayLackMemory, READ_ONLY, READ_WRITE } from './runner/calls.ts'
import { scenario } from './scenario.ts'

/** CPU 0 faults on a mapping that CPU 1 unmaps; its VMA becomes the upper part of a split that fails, and then a mapping at the same place. */
export const splitUndoneVsFault = scenario({
  name: 'split-undone-vs-fault',
  question: 'May a VMA that never got into the tree be freed without waiting for readers?',
  asked: 'field: vma_mark_detached and SLAB_TYPESAFE_BY_RCU; a split that fails after its new VMA was marked attached',
  cpus: 2,
  designs: ['vma-lock'],
  archs: ['x86_64'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    // Three mappings that do not merge, so that the tree needs no node when the middle one goes and comes back.
    stage.now(0, mm.mmap(page, 1, READ_ONLY))
    stage.now(0, mm.mmap(page + 1, 1, READ_WRITE))
    stage.now(0, mm.mmap(page + 2, 2, READ_ONLY))
    stage.now(0, mm.read(page))
    stage.shortage(1, 0, Cache.mapleNode, 0)
    return {
      calls: [[mm.read(page + 1)], [mm.munmap(page + 1, 1), mayLackMemory(mm.munmap(page + 3, 1)), mm.mmap(page + 1, 1)]],
      check: ([, cpu1]) => (cpu1?.[1] === -Errno.ENOMEM ? '' : 'the split was to fail'),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'not-waited-for',
      wrong: 'the upper part of a split that fails is freed without waiting for readers',
      edits: [{ file: 'vma/split.ts', from: '  if (error !== 0) {\n    design.vmaDetach(upper)\n', to: '  if (error !== 0) {\n' }],
      unsafe: /data race|deadlock|livelock/,
    },
  ],
})
