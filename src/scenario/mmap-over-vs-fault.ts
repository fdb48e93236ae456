// mmap with MAP_FIXED over a mapping in use: the old pages go, the new mapping appears, in one call.
import { scenario } from './scenario.ts'

/** CPU 0 reads a page over which CPU 1 maps fresh memory: it sees the old value or zero, never a hole. */
export const mmapOverVsFault = scenario({
  name: 'mmap-over-vs-fault',
  question: 'May a fault see a hole while MAP_FIXED replaces the mapping?',
  asked: 'field: mmap_region replaces under mmap_lock held for writing',
  cpus: 2,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page, 1))
    return {
      calls: [[mm.read(page)], [mm.mmap(page, 1)]],
      check: ([cpu0]) => (cpu0?.[0] === 0 || cpu0?.[0] === 1 ? '' : 'a fault found a hole where a mapping replaced another'),
    }
  },
  expect: 'safe',
})
