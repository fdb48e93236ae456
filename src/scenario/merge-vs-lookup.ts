// May two VMAs be merged under a reader who looks one of them up? The one that goes must not be used after it was freed.
import { Vm } from '../kernel/vma/vma.ts'
import { scenario } from './scenario.ts'

/** CPU 0 faults in a VMA that CPU 1 merges away by giving it its neighbours' rights. */
export const mergeVsLookup = scenario({
  name: 'merge-vs-lookup',
  question: 'May a fault look a VMA up while it is merged into its neighbour?',
  asked: 'thread 003, Splitting the mmap_sem, phase 2: look-up under RCU and a reference count',
  cpus: 2,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 3))
    stage.now(0, mm.write(page + 1, 1))
    stage.now(0, mm.mprotect(page + 1, 1, Vm.read))
    return {
      calls: [[mm.read(page + 1)], [mm.mprotect(page + 1, 1, Vm.read | Vm.write)]],
      check: ([cpu0]) => (cpu0?.[0] === 1 ? '' : 'a fault found a hole where a VMA was before and after'),
    }
  },
  expect: 'safe',
})
