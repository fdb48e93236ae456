// May entries be moved under a fault at their old or new place? The old translation must be gone before the page can be
// reached, and freed, through the new one.
import { Remap } from '../kernel/syscall/mremap.ts'
import { scenario } from './scenario.ts'

/** CPU 0 writes at the old place while CPU 1 moves the mapping and writes at the new one. */
export const mremapVsFault = scenario({
  name: 'mremap-vs-fault',
  question: 'May mremap move a page while another CPU writes to it at its old place?',
  asked: 'bugs.md, B4: mremap and the flush of the old place (CVE-2018-18281)',
  cpus: 2,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    const target = stage.table(6)
    stage.now(0, mm.mmap(page, 1))
    for (const cpu of [0, 1]) stage.now(cpu, mm.write(page, 1))
    return {
      calls: [[mm.write(page, 7)], [mm.mremap(page, 1, 1, Remap.mayMove | Remap.fixed, target), mm.read(target)]],
    }
  },
  expect: 'safe',
})
