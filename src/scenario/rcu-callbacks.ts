// Are callbacks called, each once, and none before the readers that may hold its object are gone? A CPU collects what it defers
// and moves it on when it leaves the kernel, or when somebody waits.
import { FREED_UNDER_READER, rcuMutants } from './rcu-mutants.ts'
import { scenario } from './scenario.ts'

type Program = typeof import('./programs/rcu.ts')

/** CPU 0 reads, twice, what CPU 1 replaces two times, with both old objects freed by callbacks. */
export const rcuCallbacks = scenario({
  name: 'rcu-callbacks',
  question: 'Is every callback called, and none too soon, when a second one is queued behind it?',
  asked: 'thread 004, pte_free_defer() and call_rcu; kernel/rcu/rcu_segcblist.c',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  rcus: ['quiescent', 'preemptible'],
  setUp: async (stage) => {
    const { dispose, make, read, updateDeferred, updateTwice } = await stage.program<Program>('rcu')
    const pointer = stage.words(1)
    stage.machine.words[pointer] = stage.now(
      1,
      stage.call('make', () => make(1)),
    )
    const reader = stage.call('read', () => read(pointer))
    return {
      labels: new Map([[pointer, 'pointer']]),
      after: [stage.call('dispose', () => dispose(pointer))],
      calls: [
        [reader, reader],
        [
          stage.call('replace, call_rcu()', () => updateDeferred(pointer, 2)),
          stage.call('replace twice, call_rcu(), rcu_barrier()', () => updateTwice(pointer, 3)),
        ],
      ],
      check: ([read]) => (read?.every((value) => value >= 1 && value <= 4) ? '' : 'a reader saw a freed object'),
    }
  },
  expect: 'safe',
  variants: [
    ...rcuMutants,
    {
      name: 'callback-lost',
      wrong: 'a callback that is queued behind another one is not linked to it',
      edits: [{ file: 'sync/rcu.ts', from: 'else store(tail + RcuHead.next, head)', to: 'else store(tail + RcuHead.func, func)' }],
      unsafe: /deadlock|livelock|leak|endless|steps/,
    },
    {
      name: 'no-grace-period',
      wrong: 'callbacks are due when the grace period before has ended',
      edits: [
        {
          file: 'sync/rcu.ts',
          from: 'store(cpu + Cpu.rcuWaitSeq, gracePeriodSnap())',
          to: 'store(cpu + Cpu.rcuWaitSeq, readOnce(Global.rcuGpSeq))',
        },
      ],
      unsafe: FREED_UNDER_READER,
    },
  ],
})

/** CPU 0 reads, twice, what CPU 1 replaces; CPU 1 has had another object freed before, whose grace period still runs. */
export const rcuCallbackBehindAnother = scenario({
  name: 'rcu-callback-behind-another',
  question: 'Does a callback that is queued while another one waits get a grace period of its own?',
  asked: 'thread 004, pte_free_defer() and call_rcu; kernel/rcu/rcu_segcblist.c',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  rcus: ['quiescent', 'preemptible'],
  setUp: async (stage) => {
    const { beginPeriod, dispose, enterSection, leaveSection, make, read, updateDeferred } = await stage.program<Program>('rcu')
    const pointer = stage.words(1)
    stage.machine.words[pointer] = stage.now(
      1,
      stage.call('make', () => make(1)),
    )
    // CPU 0 holds the grace period up from before the first interleaving.
    stage.now(
      0,
      stage.call('enter', () => enterSection()),
    )
    stage.now(
      1,
      stage.call('begin a grace period', () => beginPeriod()),
    )
    stage.now(
      0,
      stage.call('leave', () => leaveSection()),
    )
    const reader = stage.call('read', () => read(pointer))
    return {
      labels: new Map([[pointer, 'pointer']]),
      after: [stage.call('dispose', () => dispose(pointer))],
      calls: [
        [reader, reader],
        [stage.call('replace, call_rcu()', () => updateDeferred(pointer, 2)), stage.waitForCallbacks],
      ],
      check: ([read]) => (read?.every((value) => value === 1 || value === 2) ? '' : 'a reader saw a freed object'),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'latecomers-ride-along',
      wrong: 'callbacks are called when they are queued behind others whose grace period is over',
      edits: [
        {
          file: 'sync/rcu.ts',
          from: 'store(cpu + Cpu.rcuWaitHead, 0)\n',
          to: 'store(cpu + Cpu.rcuWaitHead, 0)\n  store(done + RcuHead.next, load(cpu + Cpu.rcuNextHead))\n  store(cpu + Cpu.rcuNextHead, 0)\n  store(cpu + Cpu.rcuNextTail, 0)\n',
        },
      ],
      unsafe: FREED_UNDER_READER,
    },
  ],
})
