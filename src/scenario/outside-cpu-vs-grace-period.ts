// A CPU outside the kernel holds up no grace period, and one that comes in while a grace period runs must not be taken for
// one that was outside: publishing "inside" and the grace period's look at it must not miss each other.
import { SmapsWalk } from '../kernel/proc/smaps.ts'
import { scenario } from './scenario.ts'

/** CPU 0, outside, walks tables under RCU while CPU 1 frees the table and waits for the grace period. */
export const outsideCpuVsGracePeriod = scenario({
  name: 'outside-cpu-vs-grace-period',
  question: 'May a grace period end without asking a CPU that was outside the kernel when it began?',
  asked: 'field: RCU of a non-preemptible kernel, dyntick-idle CPUs',
  cpus: 2,
  usually: { designs: ['vma-lock'] },
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 1))
    stage.now(1, mm.write(page, 1))
    stage.now(1, mm.munmap(page, 1))
    stage.now(1, mm.mmap(page, 1))
    stage.now(1, mm.write(page, 2))
    return {
      calls: [
        [mm.smaps(page, 1, SmapsWalk.rcu), mm.read(page)],
        [mm.munmap(page, 1), stage.waitForCallbacks],
      ],
    }
  },
  expect: 'safe',
})
