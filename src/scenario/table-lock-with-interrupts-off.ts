// A write fault that replaces a page flushes the old entry under the lock of its table. Where a flush is an IPI it waits, with the
// lock, for CPUs that may be waiting for the lock with interrupts off; where it is a broadcast nobody is waited for.
import { flushesByIpi } from './runner/axes.ts'
import { scenario } from './scenario.ts'

/** CPU 0 breaks copy on write of a page; CPU 1 locks the same table with interrupts off. */
export const tableLockWithInterruptsOff = scenario({
  name: 'table-lock-with-interrupts-off',
  question: 'May the lock of a page table be waited for with interrupts off?',
  asked: 'threads 001 and 002: interrupts off from the walk to the lock (pte_access_start, speculative page faults)',
  cpus: 2,
  archs: ['x86_64', 'sparc64', 'arm64-4k', 'powerpc64-radix-64k'],
  designs: ['vma-lock'],
  setUp: async (stage) => {
    const walker = await stage.program<typeof import('./programs/table-lock.ts')>('table-lock')
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(0, mm.mmap(page, 2))
    stage.now(0, mm.write(page, 3))
    stage.callsOn(stage.now(0, mm.fork()), [])
    stage.now(1, mm.read(page))
    return {
      calls: [[mm.write(page, 9)], [stage.call('is present', () => walker.isPresent(mm.mm, page))]],
      check: ([, [present]]) => (present === 1 ? '' : 'a page that was there all the time was not present'),
    }
  },
  expect: ({ arch }) => (flushesByIpi(arch) ? { unsafe: /deadlock|lock order: .* IPI acknowledgement/ } : 'safe'),
})
