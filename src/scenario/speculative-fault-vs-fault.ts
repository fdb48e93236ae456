// Two faults that hold nothing meet at the entry: the page-table lock puts them in a row, and the second must look again.
import { scenario } from './scenario.ts'

/** Both CPUs write to one page that is not there yet, below a table that is. */
export const speculativeFaultVsFault = scenario({
  name: 'speculative-fault-vs-fault',
  question: 'May two faults without locks install the same page?',
  asked: 'thread 002, speculative page faults; field: the entry is none, or the same, once its lock is held (pte_same)',
  cpus: 2,
  designs: ['speculative', 'speculative-irq', 'rcu-fault'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page, 1))
    return { calls: [[mm.write(page + 1, 7)], [mm.write(page + 1, 8)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-recheck',
      wrong: 'the page is installed without another look at the entry',
      edits: [{ file: 'fault/anonymous.ts', from: '  const mine = pteNone(ptepGet(ptep))\n', to: '  const mine = true\n' }],
      unsafe: /counters of mm|no order of the calls explains/,
    },
  ],
})
