// A write fault flushes the entry that it replaces while it holds the lock of its table: it waits, with the lock held, until
// other CPUs have answered an IPI. Nobody may wait for that lock with interrupts off.
import { scenario } from './scenario.ts'

/** CPU 0 faults on a page of the table in which CPU 1 breaks copy on write of another. */
export const speculativeFaultVsFlush = scenario({
  name: 'speculative-fault-vs-flush',
  question: 'May a fault with interrupts off wait for the lock of a page table?',
  asked: 'thread 002, speculative page faults: similar precautions are also taken when taking the page table lock; July 2021',
  cpus: 2,
  designs: ['speculative', 'speculative-irq'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page, 3))
    stage.callsOn(stage.now(0, mm.fork()), [])
    return { calls: [[mm.write(page + 1, 7)], [mm.write(page, 9)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'spins',
      wrong: 'the lock is waited for with interrupts off',
      edits: [
        { file: 'design/speculative.ts', from: 'import { spinTrylock, spinUnlock }', to: 'import { spinLock, spinUnlock }' },
        {
          file: 'design/speculative.ts',
          from: '  if (spinTrylock(ptl) === 0) return refuse(Outcome.lockHeld, form)\n',
          to: '  spinLock(ptl)\n',
        },
      ],
      on: { design: 'speculative-irq' },
      unsafe: /deadlock|lock order: .* waits for page->ptl under an IPI acknowledgement/,
    },
  ],
})
