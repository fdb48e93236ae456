import { scenario } from 'gracewalk/check'

export const twoFaults = scenario({
  name: 'two-faults-vs-munmap',
  question: 'May faults of two CPUs race a munmap of both pages?',
  asked: 'what does one fault do to what keeps a writer from another?',
  cpus: 3,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(1)
    stage.now(0, mm.mmap(page, 2))
    return { calls: [[mm.write(page, 5)], [mm.write(page + 1, 6)], [mm.munmap(page, 2)]] }
  },
  expect: 'safe',
})
