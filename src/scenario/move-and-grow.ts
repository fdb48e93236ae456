// mremap that cuts a mapping off, and the heap: each changes VMAs that faults of other threads are on.
import { Mm } from '../kernel/memory/mm.ts'
import { SmapsWalk } from '../kernel/proc/smaps.ts'
import { type Call, type Calls, SHARED } from './runner/calls.ts'
import type { Stage } from './runner/stage.ts'
import { type Scenario, scenario, type Variant } from './scenario.ts'

/** CPU 0 writes to a page while CPU 1 changes the mapping there. */
function writeBeside(
  name: string,
  question: string,
  asked: string,
  setUp: (stage: Stage, mm: Calls & { readonly mm: number }, page: number) => readonly [Call, Call],
  variants: readonly Variant[] = [],
): Scenario {
  return scenario({
    name,
    question,
    asked,
    cpus: 2,
    archs: ['x86_64'],
    setUp: (stage) => {
      const mm = stage.newMm()
      const [write, change] = setUp(stage, mm, stage.table(4))
      return { calls: [[write], [change]] }
    },
    expect: 'safe',
    variants,
  })
}

/** The mapping loses its last page. */
export const mremapShrinkVsFault = writeBeside(
  'mremap-shrink-vs-fault',
  'May a fault be on the part of a mapping that mremap cuts off?',
  'field: mremap shrinks by do_vmi_munmap',
  (stage, mm, page) => {
    stage.now(0, mm.mmap(page, 2))
    for (const one of [page, page + 1]) stage.now(1, mm.write(one, 1))
    return [mm.read(page + 1), mm.mremap(page, 2, 1, 0, 0)]
  },
)

/** The heap gets another page. */
export const brkGrowVsFault = writeBeside(
  'brk-grow-vs-fault',
  'May a fault be on the heap while it grows?',
  'field: do_brk_flags expands the VMA below, vma_start_write first',
  (stage, mm, page) => {
    heapAt(stage, mm.mm, page)
    stage.now(0, mm.brk(page + 1))
    stage.now(1, mm.write(page, 1))
    return [mm.write(page + 1, 7), mm.brk(page + 2)]
  },
)

function heapAt({ machine }: Stage, mm: number, page: number): void {
  machine.words[mm + Mm.startBrk] = page
  machine.words[mm + Mm.brk] = page
}

/** CPU 0 reads smaps of a file's mapping that CPU 1 unmaps. */
export const smapsVsMunmapOfFile = writeBeside(
  'smaps-vs-munmap-of-file',
  'May smaps walk the pages of a file while the file goes with its last mapping?',
  'thread 000, page-table walks without mmap_lock, 25 February 2021',
  (stage, mm, page) => {
    const file = stage.file(1)
    stage.now(0, mm.mmap(page, 1, SHARED, file))
    stage.now(0, file.close)
    stage.now(1, mm.write(page, 1))
    return [mm.smaps(page, 1, SmapsWalk.mmapLock), mm.munmap(page, 1)]
  },
)
