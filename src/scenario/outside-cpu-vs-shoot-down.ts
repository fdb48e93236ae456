// A CPU outside the kernel is not interrupted: whoever invalidates leaves a request and goes on, and the CPU looks on its way
// in. Publishing "inside" and looking at the request must not miss each other.
import { scenario } from './scenario.ts'

/** CPU 0, outside with a warm TLB, begins an access while CPU 1 unmaps the page and maps it anew. */
export const outsideCpuVsShootDown = scenario({
  name: 'outside-cpu-vs-shoot-down',
  question: 'May a shoot-down skip a CPU outside the kernel, whose TLB knows the page?',
  asked: 'field: lazy TLB, tlb_gen, and the order of publishing and looking',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    for (const cpu of [0, 1]) stage.now(cpu, mm.write(page, 1))
    return { calls: [[mm.read(page)], [mm.dontneed(page, 1), mm.write(page, 2)]] }
  },
  expect: 'safe',
})
