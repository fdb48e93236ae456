// May a fault run beside a munmap of the very page, without mmap_lock or with it? (thread 003, "Splitting the mmap_sem": the
// second walk must validate the VMA before it installs anything.)
import { scenario } from './scenario.ts'

/** CPU 0 faults on a page that is not there yet while CPU 1 unmaps it. */
export const faultVsMunmap = scenario({
  name: 'fault-vs-munmap',
  question: 'May a fault on a page race a munmap of that page?',
  asked: 'thread 003, Splitting the mmap_sem, February 2020',
  cpus: 2,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 3))
    stage.now(0, mm.write(page, 1))
    return { calls: [[mm.write(page + 1, 7)], [mm.munmap(page, 2)]] }
  },
  expect: 'safe',
})
