// May MADV_DONTNEED, which holds mmap_lock for reading only, take pages away under a fault? Both go on side by side.
import { scenario } from './scenario.ts'

/** CPU 0 writes a page while CPU 1 gives it back. */
export const dontneedVsFault = scenario({
  name: 'dontneed-vs-fault',
  question: 'May MADV_DONTNEED race a fault on the same page?',
  asked: 'field: zap_page_range under mmap_lock for reading',
  cpus: 2,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    for (const cpu of [0, 1]) stage.now(cpu, mm.write(page, 1))
    return { calls: [[mm.write(page, 7)], [mm.dontneed(page, 1), mm.read(page)]] }
  },
  expect: 'safe',
})
