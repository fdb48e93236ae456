// May a VMA be split under a reader who looks it up? The reader must find one of the parts, never neither (the maple tree
// stores both parts at once, and the VMA that shrinks is write-locked before its bounds change).
import { scenario } from './scenario.ts'

/** CPU 0 faults in a VMA, at the part that remains, while CPU 1 unmaps its middle and so splits it. */
export const splitVsLookup = scenario({
  name: 'split-vs-lookup',
  question: 'May a fault look a VMA up while it is being split?',
  asked: 'thread 003, Splitting the mmap_sem, phase 2: look-up under RCU and a reference count',
  cpus: 2,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 3))
    stage.now(0, mm.write(page, 1))
    return {
      calls: [[mm.write(page + 2, 7)], [mm.munmap(page + 1, 1)]],
      check: ([cpu0]) => (cpu0?.[0] === 0 ? '' : 'a fault found a hole where a VMA was before and after'),
    }
  },
  expect: 'safe',
})
