// May a lock that an interrupt handler takes be taken with interrupts on? The handler would spin for the CPU that it has
// interrupted. Each CPU has a flush lock, under which its TLB is told what to forget; the IPI of a shoot-down takes it.
import { scenario } from './scenario.ts'

/** CPU 0 holds its flush lock for a moment while CPU 1 asks it, by an IPI, to forget a page. */
export const spinlockVsInterrupt = scenario({
  name: 'spinlock-vs-interrupt',
  question: 'Can an interrupt handler wait for a lock that the CPU holds which it interrupted?',
  asked: 'lockdep, "inconsistent {HARDIRQ-ON-W} -> {IN-HARDIRQ-W} usage"',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { flush, lookAtOwn } = await stage.program<typeof import('./programs/spinlock.ts')>('spinlock')
    const { mm } = stage.newMm()
    return { calls: [[stage.call('hold the flush lock', () => lookAtOwn())], [stage.call('flush_tlb_mm_range()', () => flush(mm))]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'irqs-on',
      wrong: 'spin_lock_irqsave leaves interrupts on',
      edits: [
        { file: 'sync/spinlock.ts', from: '    irqSave()\n', to: '' },
        { file: 'sync/spinlock.ts', from: '    irqRestore()\n    relax()', to: '    relax()' },
        { file: 'sync/spinlock.ts', from: '  smpStoreRelease(lock, 0)\n  irqRestore()', to: '  smpStoreRelease(lock, 0)' },
      ],
      unsafe: /deadlock|lock order/,
    },
    {
      name: 'irqs-on-too-soon',
      wrong: 'spin_unlock_irqrestore turns interrupts on before it releases the lock',
      edits: [
        {
          file: 'sync/spinlock.ts',
          from: '  smpStoreRelease(lock, 0)\n  irqRestore()',
          to: '  irqRestore()\n  smpStoreRelease(lock, 0)',
        },
      ],
      unsafe: /deadlock|lock order/,
    },
    {
      name: 'irqs-off-too-late',
      wrong: 'spin_lock_irqsave turns interrupts off after it has taken the lock',
      edits: [
        { file: 'sync/spinlock.ts', from: '    irqSave()\n', to: '' },
        { file: 'sync/spinlock.ts', from: '    irqRestore()\n    relax()', to: '    relax()' },
        {
          file: 'sync/spinlock.ts',
          from: '    relax()\n  }\n  lockAcquired(lock, 1)',
          to: '    relax()\n  }\n  irqSave()\n  lockAcquired(lock, 1)',
        },
      ],
      unsafe: /deadlock|lock order/,
    },
  ],
})
