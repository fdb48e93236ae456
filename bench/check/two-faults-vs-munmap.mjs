// Two faults and a munmap of one page on three CPUs: more states than can be visited in a minute, so that it is searched up to a bound.
import { scenario } from 'gracewalk/check'

export default scenario({
  name: 'two-faults-vs-munmap',
  question: 'May two faults on a page run beside a munmap of it?',
  asked: 'thread 003, Splitting the mmap_sem, February 2020',
  cpus: 3,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 3))
    stage.now(0, mm.write(page, 1))
    return { calls: [[mm.write(page + 1, 7)], [mm.write(page + 1, 8)], [mm.munmap(page + 1, 1)]] }
  },
  expect: 'safe',
})
