import { scenario } from 'gracewalk/check'

export const twoMunmaps = scenario({
  name: 'fault-vs-two-munmaps',
  question: 'May a fault race two munmaps, the first of which is of its page?',
  asked: 'CVE-2018-17182: the number by which a cache of VMAs is found out of date came round',
  cpus: 2,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(1)
    stage.now(0, mm.mmap(page, 1))
    stage.now(0, mm.mmap(page + 2, 1))
    stage.now(0, mm.write(page, 1))
    return { calls: [[mm.write(page, 5)], [mm.munmap(page, 1), mm.munmap(page + 2, 1)]] }
  },
  expect: 'safe',
})
