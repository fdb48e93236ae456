// A VMA that gets into no tree, for want of memory, is given up: nobody has found it there. But its memory is type-safe, and may have been
// a VMA that a fault has found: what is freed must not look like one that may be locked.
import { Cache } from '../kernel/memory/slab.ts'
import { Remap } from '../kernel/syscall/mremap.ts'
import { mayLackMemory } from './runner/calls.ts'
import { scenario } from './scenario.ts'

/** CPU 0 faults; CPU 1 unmaps there, and makes a VMA of the same memory, which gets into no tree for want of memory. */
export const mmapRefusedVsFault = scenario({
  name: 'mmap-refused-vs-fault',
  question: 'May a fault lock a VMA that never was in the tree, because its memory was a VMA that the fault has found?',
  asked: 'bugs.md, B15: memory of VMAs is type-safe; field: mmap_region, out of memory in vma_iter_prealloc',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    // Keeps the tables, which are not the question.
    stage.now(0, mm.mmap(page + 2, 1))
    stage.now(0, mm.read(page + 2))
    stage.now(0, mm.mmap(page, 1))
    // Enough to take the old VMA out of the tree.
    stage.shortage(1, 0, Cache.mapleNode, 1)
    return { calls: [[mm.read(page)], [mm.munmap(page, 1), mayLackMemory(mm.mmap(page, 1))]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'freed-as-if-in-use',
      wrong: 'the VMA that is given up is not marked detached before it is freed',
      edits: [{ file: 'syscall/mmap.ts', from: '  design.vmaDetach(vma)\n', to: '' }],
      unsafe: /in no mapping|no order of the calls|counters of mm|freed|data race|is not ordered with/,
    },
  ],
})

/** As `mmapRefusedVsFault`, with a VMA that mremap makes for the new place. */
export const mremapRefusedVsFault = scenario({
  name: 'mremap-refused-vs-fault',
  question: 'May a fault lock the VMA that mremap has made for the new place, and given up?',
  asked: 'bugs.md, B15: memory of VMAs is type-safe; field: copy_vma, out of memory in vma_link',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page + 2, 1))
    stage.now(0, mm.read(page + 2))
    stage.now(0, mm.mmap(page, 1))
    // Enough to take the old VMA out of the tree.
    stage.shortage(1, 0, Cache.mapleNode, 1)
    const move = mm.mremap(page + 2, 1, 1, Remap.mayMove | Remap.fixed, page)
    return { calls: [[mm.read(page)], [mm.munmap(page, 1), mayLackMemory(move)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'freed-as-if-in-use',
      wrong: 'the VMA that is given up is not marked detached before it is freed',
      edits: [{ file: 'syscall/mremap.ts', from: '    design.vmaDetach(copy)\n', to: '' }],
      unsafe: /in no mapping|no order of the calls|counters of mm|freed|data race|is not ordered with/,
    },
  ],
})

/** As `mmapRefusedVsFault`, with a VMA that fork makes for the child of another process; the child's address space is freed as well. */
export const forkRefusedVsFault = scenario({
  name: 'fork-refused-vs-fault',
  question: 'May a fault lock the VMA that fork has made for a child, and given up with the child?',
  asked: 'bugs.md, B15: memory of VMAs is type-safe, and its mm may be gone; field: dup_mmap, out of memory',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm([1])
    const page = stage.table(4)
    stage.now(1, mm.mmap(page, 1))
    const other = stage.newMm([])
    stage.now(0, other.mmap(page, 1))
    // The structure of an address space in CPU 0's list, so that fork gets that far.
    const spare = stage.now(
      0,
      stage.call('exec()', () => stage.kernel.sysNewMm()),
    )
    stage.now(
      0,
      stage.call('exit()', () => stage.kernel.sysExit(spare)),
    )
    // A frame for the child's top table.
    stage.shortage(0, 1, Cache.mapleNode, 0)
    return { calls: [[mm.munmap(page, 1), mayLackMemory(other.fork())], [mayLackMemory(mm.read(page))]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'freed-as-if-in-use',
      wrong: 'the VMA that is given up is not marked detached before it is freed',
      edits: [{ file: 'syscall/fork.ts', from: '    design.vmaDetach(copy)\n', to: '' }],
      unsafe: /in no mapping|no order of the calls|counters of mm|freed|data race|is not ordered with/,
    },
  ],
})
