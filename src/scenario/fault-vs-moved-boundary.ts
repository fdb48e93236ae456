// Merging moves boundaries between VMAs, and takes whole ones away, under faults that have found them. What a fault computes from start and page
// offset of its VMA must belong together; and a fault that is on a VMA which goes must not be taken for over by whoever comes after the merge.
import { Vm } from '../kernel/vma/vma.ts'
import { type Call, type Calls, SHARED } from './runner/calls.ts'
import type { Stage } from './runner/stage.ts'
import { type Scenario, scenario, type Variant } from './scenario.ts'

const FILE = 'vma/merge.ts'

/** CPU 0 makes an access while CPU 1 makes its calls. `page`: the first of the four of a PTE table. */
function besideMerge(
  about: Pick<Scenario, 'name' | 'question' | 'asked'>,
  designs: readonly string[],
  setUp: (stage: Stage, mm: Calls, page: number) => readonly [Call, readonly Call[]],
  variants: readonly Variant[],
): Scenario {
  return scenario({
    ...about,
    cpus: 2,
    archs: ['x86_64'],
    usually: { designs, archs: ['x86_64'] },
    setUp: (stage) => {
      const mm = stage.newMm()
      const [access, changes] = setUp(stage, mm, stage.table(4))
      return { calls: [[access], changes] }
    },
    expect: 'safe',
    variants,
  })
}

/** The pages of a file from its page 1 on, mapped from `page` on; 5 and 6 are in the first two, of which the second is in no page table. */
function mapFile(stage: Stage, mm: Calls, page: number): ReturnType<Stage['file']> {
  const file = stage.file(4)
  stage.now(0, mm.mmap(page, 2, SHARED, file, 1))
  stage.now(0, mm.write(page, 5))
  stage.now(0, mm.write(page + 1, 6))
  stage.now(0, mm.dontneed(page + 1, 1))
  return file
}

/** CPU 1 maps the page of the file that comes before, so that the mapping grows downwards. */
export const fileMappingGrowsDownwards = besideMerge(
  {
    name: 'file-mapping-grows-downwards',
    question: 'May a mapping of a file grow downwards under a fault that computes which page of the file it is on?',
    asked: 'field: vma_merge_new_range, vma_start_write before vm_start and vm_pgoff change',
  },
  ['vma-lock'],
  (stage, mm, page) => {
    const file = mapFile(stage, mm, page + 1)
    return [mm.read(page + 2), [mm.mmap(page, 1, SHARED, file, 0)]]
  },
  [
    {
      name: 'not-write-locked',
      wrong: 'the mapping that grows downwards is not write-locked',
      edits: [{ file: FILE, from: '  if (!right) return 0\n  design.vmaStartWrite(next)\n', to: '  if (!right) return 0\n' }],
      unsafe: /data race|no order of the calls/,
      on: { design: 'vma-lock' },
    },
    {
      name: 'page-offset-kept',
      wrong: 'the mapping that grows downwards keeps its page offset',
      edits: [
        { file: FILE, from: '  if (start < from) writeOnce(vma + Vma.pgoff, (load(vma + Vma.pgoff) - (from - start)) | 0)\n', to: '' },
      ],
      unsafe: /no order of the calls/,
      on: { design: 'vma-lock' },
    },
    {
      name: 'start-kept',
      wrong: 'the mapping that grows downwards keeps its start',
      edits: [{ file: FILE, from: '  writeOnce(vma + Vma.start, low)\n', to: '' }],
      unsafe: /no order of the calls/,
      on: { design: 'vma-lock' },
    },
  ],
)

/** CPU 1 gives the first of two pages of a file the rights of the page below, which is mapped by itself: it goes over to that mapping. */
export const fileMappingLosesItsStart = besideMerge(
  {
    name: 'file-mapping-loses-its-start',
    question: 'May the first page of a mapping of a file go over to the mapping below, under a fault on a later page?',
    asked: 'field: vma_merge_existing_range, a neighbour grows over the start of a VMA',
  },
  ['vma-lock'],
  (stage, mm, page) => {
    const file = mapFile(stage, mm, page + 1)
    stage.now(0, mm.mmap(page, 1, SHARED & ~Vm.write, file, 0))
    return [mm.read(page + 2), [mm.mprotect(page + 1, 1, Vm.read)]]
  },
  [
    {
      name: 'page-offset-kept',
      wrong: 'the mapping that loses its first page keeps its page offset',
      edits: [
        {
          file: FILE,
          from: '    writeOnce(middle + Vma.pgoff, (load(middle + Vma.pgoff) + end - load(middle + Vma.start)) | 0)\n',
          to: '',
        },
      ],
      unsafe: /no order of the calls/,
      on: { design: 'vma-lock' },
    },
  ],
)

/** CPU 1 takes the right to write from the last page of a mapping, so that the mapping above grows over it, and reads it. */
export const mappingLosesItsEnd = besideMerge(
  {
    name: 'mapping-loses-its-end',
    question: 'May the last page of a mapping go over to the mapping above, under a fault that has found the mapping and no more?',
    asked: 'field: vma_merge_existing_range, a neighbour grows over the end of a VMA; the bounds are looked at once more',
  },
  ['rcu-fault'],
  (stage, mm, page) => {
    const file = stage.file(4)
    stage.now(0, mm.mmap(page, 3, SHARED, file, 0))
    stage.now(0, mm.write(page + 1, 5))
    stage.now(0, mm.dontneed(page + 1, 1))
    stage.now(0, mm.mprotect(page + 2, 1, Vm.read))
    return [mm.write(page + 1, 7), [mm.mprotect(page + 1, 1, Vm.read), mm.read(page + 1)]]
  },
  [
    {
      name: 'end-kept',
      wrong: 'the mapping that loses its last page keeps its end',
      edits: [
        {
          file: FILE,
          from: '    writeOnce(middle + Vma.start, end)\n  } else writeOnce(middle + Vma.end, start)\n',
          to: '    writeOnce(middle + Vma.start, end)\n  }\n',
        },
      ],
      unsafe: /no order of the calls|leak/,
      on: { design: 'rcu-fault' },
    },
  ],
)

/** CPU 1 fills the hole between two mappings, so that they become one, and then unmaps the page of the upper one that CPU 0 reads. */
export const faultVsHoleFilled = besideMerge(
  {
    name: 'fault-vs-hole-filled',
    question: 'May a fault go on in a mapping that has become part of the one below, when that one is unmapped?',
    asked: 'field: vma_merge_new_range, both neighbours: the one that is swallowed must be write-locked too',
  },
  ['rcu-fault'],
  (stage, mm, page) => {
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.mmap(page + 2, 2))
    stage.now(0, mm.write(page + 2, 1))
    return [mm.read(page + 3), [mm.mmap(page + 1, 1), mm.munmap(page + 3, 1)]]
  },
  [
    {
      name: 'swallowed-not-write-locked',
      wrong: 'the mapping that is swallowed is not write-locked',
      edits: [
        { file: FILE, from: '      design.vmaStartWrite(next)\n      if (dupAnonVma(prev, next)', to: '      if (dupAnonVma(prev, next)' },
      ],
      unsafe: /in no mapping|no order of the calls|stale/,
      on: { design: 'rcu-fault' },
    },
  ],
)

/** CPU 1 gives the page between two mappings their rights back, so that all three become one, and then unmaps the page that CPU 0 reads. */
export const faultVsMiddleMerged = besideMerge(
  {
    name: 'fault-vs-middle-merged',
    question: 'May a fault go on in a mapping that mprotect of the page below has joined with others, when that page is unmapped?',
    asked: 'field: vma_merge_existing_range, both neighbours: the upper one is swallowed and must be write-locked too',
  },
  ['rcu-fault'],
  (stage, mm, page) => {
    stage.now(0, mm.mmap(page, 4))
    stage.now(0, mm.write(page + 2, 1))
    stage.now(0, mm.mprotect(page + 1, 1, Vm.read))
    return [mm.read(page + 3), [mm.mprotect(page + 1, 1, Vm.read | Vm.write), mm.munmap(page + 3, 1)]]
  },
  [
    {
      name: 'swallowed-not-write-locked',
      wrong: 'the mapping that is swallowed is not write-locked',
      edits: [
        {
          file: FILE,
          from: '    design.vmaStartWrite(next)\n    if (dupAnonVma(prev, load(next',
          to: '    if (dupAnonVma(prev, load(next',
        },
      ],
      unsafe: /in no mapping|no order of the calls|stale/,
      on: { design: 'rcu-fault' },
    },
  ],
)
