// May a fault install a writable entry while mprotect takes the right away? After mprotect has returned no write may succeed.
import { Vm } from '../kernel/vma/vma.ts'
import { scenario } from './scenario.ts'

/** CPU 0 writes a page while CPU 1 makes it read-only and then looks at it twice. */
export const faultVsMprotect = scenario({
  name: 'fault-vs-mprotect',
  question: 'May a write fault race an mprotect that takes the right to write away?',
  asked: 'thread 002, speculative page faults and their checks, July 2021',
  cpus: 2,
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(1, mm.write(page + 1, 1))
    return { calls: [[mm.write(page, 7)], [mm.mprotect(page, 2, Vm.read), mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'flags-before-the-lock',
      wrong: 'the flags of a VMA that is neither split nor merged are changed without its lock',
      edits: [{ file: 'vma/split.ts', from: '  design.vmaStartWrite(middle)\n  return middle\n', to: '  return middle\n' }],
      unsafe: /data race|counters|no order of the calls|stale translation/,
      on: { design: 'vma-lock' },
    },
  ],
})
