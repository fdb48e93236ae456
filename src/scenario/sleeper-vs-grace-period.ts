// RCU takes a CPU that sleeps or spins in a wait for quiescent. Does it say so in time, and does it say in time that it is back?

import { FREED_UNDER_READER } from './rcu-mutants.ts'
import type { Stage } from './runner/stage.ts'
import type { Play } from './scenario.ts'
import { scenario } from './scenario.ts'

/** Seen at the latest when it leaves the kernel, in which it is not. */
const AWAKE_OUTSIDE = new RegExp(`${FREED_UNDER_READER.source}|never entered`)

type Program = typeof import('./programs/rcu.ts')

/** A word that points to an object, and what all of these scenarios share. */
async function begin(stage: Stage): Promise<{ readonly program: Program; readonly pointer: number; readonly rest: Omit<Play, 'calls'> }> {
  const program = (await stage.program<Program>('rcu')) as unknown as Program
  const pointer = stage.words(32)
  stage.machine.words[pointer] = stage.now(
    1,
    stage.call('make', () => program.make(1)),
  )
  return {
    program,
    pointer,
    rest: {
      labels: new Map([[pointer, 'pointer']]),
      after: [stage.call('dispose', () => program.dispose(pointer))],
      check: ([read]) => (read?.some((value) => value === -1) ? 'a reader saw a freed object' : ''),
    },
  }
}

const ASKED = 'field: quiescent states of RCU; thread 003: grace periods while a fault sleeps'

/** CPU 0 sleeps for a semaphore, then reads; CPU 1 updates with the semaphore held, and again without. */
export const semaphoreSleeperVsGracePeriod = scenario({
  name: 'semaphore-sleeper-vs-grace-period',
  question: 'Does a grace period pass by who sleeps for a semaphore, and wait for who has slept?',
  asked: ASKED,
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { program, pointer, rest } = await begin(stage)
    const sem = pointer + 2
    return {
      ...rest,
      calls: [
        [stage.call('down_read(), read', () => program.readWithSemaphore(sem, pointer))],
        [stage.call('update under the semaphore, update', () => program.updateWithAndWithoutSemaphore(sem, pointer, 2))],
      ],
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'asleep-in-the-kernel',
      wrong: 'who goes to sleep does not say that it has left the kernel',
      edits: [{ file: 'sync/rwsem.ts', from: '    setContext(Mode.outside)\n', to: '' }],
      unsafe: /sleeps at .* inside the kernel|deadlock|livelock/,
    },
    {
      name: 'awake-outside',
      wrong: 'who has slept does not say that it is back in the kernel',
      edits: [{ file: 'sync/rwsem.ts', from: '    setContext(Mode.kernel)\n', to: '' }],
      unsafe: AWAKE_OUTSIDE,
    },
  ],
})

/** CPU 0 waits for an SRCU domain, then reads; CPU 1, a reader of the domain, updates. */
export const srcuWaiterVsGracePeriod = scenario({
  name: 'srcu-waiter-vs-grace-period',
  question: 'Does an RCU grace period pass by who waits in synchronize_srcu?',
  asked: ASKED,
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { program, pointer, rest } = await begin(stage)
    const srcu = (await stage.program('srcu')) as unknown as typeof import('./programs/srcu.ts')
    const domain = pointer + 2
    stage.now(
      0,
      stage.call('make a domain', () => srcu.makeDomain(domain, pointer + 16)),
    )
    return {
      ...rest,
      calls: [
        [stage.call('synchronize_srcu(), read', () => program.readAfterSrcu(domain, pointer))],
        [stage.call('update as SRCU reader', () => program.updateAsSrcuReader(domain, pointer, 2))],
      ],
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'waits-in-the-kernel',
      wrong: 'who waits for SRCU readers is in no quiescent state, so that a reader that waits for one waits for ever',
      edits: [{ file: 'sync/srcu.ts', from: '    setContext(Mode.kernel)\n    relax()', to: '    relax()' }],
      unsafe: /^livelock: all that can go on take turns/,
    },
  ],
})

/** Both CPUs wait for a grace period, which needs the other. */
export const twoWaitForGracePeriods = scenario({
  name: 'two-wait-for-grace-periods',
  question: 'Do two CPUs that both wait for a grace period wait for each other?',
  asked: ASKED,
  cpus: 2,
  archs: ['powerpc64-hash-64k'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { program, pointer, rest } = await begin(stage)
    const other = pointer + 1
    stage.machine.words[other] = stage.now(
      0,
      stage.call('make', () => program.make(1)),
    )
    return {
      ...rest,
      after: [...(rest.after ?? []), stage.call('dispose', () => program.dispose(other))],
      calls: [
        [stage.call('update one', () => program.update(other, 2))],
        [stage.call('update the other', () => program.update(pointer, 2))],
      ],
    }
  },
  expect: 'safe',
})

/** CPU 0 waits for its callbacks, then reads; CPU 1 updates. */
export const barrierVsGracePeriod = scenario({
  name: 'barrier-vs-grace-period',
  question: 'Do a CPU that waits for its callbacks and one that waits for a grace period wait for each other?',
  asked: ASKED,
  cpus: 2,
  archs: ['powerpc64-hash-64k'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { program, pointer, rest } = await begin(stage)
    return {
      ...rest,
      calls: [
        [stage.call('rcu_barrier(), read', () => program.readAfterBarrier(pointer))],
        [stage.call('update', () => program.update(pointer, 2))],
      ],
    }
  },
  expect: 'safe',
})

/** CPU 0 waits for the readers of a VMA, then reads; CPU 1 faults in that VMA, then updates. */
export const vmaWriterVsGracePeriod = scenario({
  name: 'vma-writer-vs-grace-period',
  question: 'Does a grace period wait for a writer that has slept for the readers of a VMA?',
  asked: ASKED,
  cpus: 2,
  archs: ['x86_64'],
  designs: ['vma-lock'],
  setUp: async (stage) => {
    const { program, pointer, rest } = await begin(stage)
    const { mm, mmap, write, read } = stage.newMm()
    const page = stage.table(4)
    stage.now(1, mmap(page, 2))
    stage.now(1, write(page, 1))
    return {
      ...rest,
      calls: [
        [stage.call('lock the VMA for writing, read', () => program.readAfterVmaWrite(mm, page, pointer))],
        [read(page + 1), stage.call('update', () => program.update(pointer, 2))],
      ],
    }
  },
  expect: 'safe',
})

/** CPU 0 waits for a page of a file, then reads; CPU 1 updates before that page is read, and again after. */
export const pageWaiterVsGracePeriod = scenario({
  name: 'page-waiter-vs-grace-period',
  question: 'Does a grace period pass by who sleeps for a page that is being read, and wait for who has slept?',
  asked: ASKED,
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { program, pointer, rest } = await begin(stage)
    const { inode } = stage.file(1)
    const page = stage.now(
      1,
      stage.call('add a page', () => program.addLockedPage(inode)),
    )
    return {
      ...rest,
      calls: [
        [stage.call('wait for the page, read', () => program.readAfterPage(inode, pointer))],
        [stage.call('update, read the page, update', () => program.updateAndReadPage(inode, page, pointer, 2))],
      ],
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'asleep-in-the-kernel',
      wrong: 'who goes to sleep for a page does not say that it has left the kernel',
      edits: [
        {
          file: 'memory/page-cache.ts',
          from: '    setContext(Mode.outside)\n    futexWait(page + Page.flags',
          to: '    futexWait(page + Page.flags',
        },
      ],
      unsafe: /sleeps at .* inside the kernel|deadlock|livelock/,
    },
    {
      name: 'awake-outside',
      wrong: 'who has slept for a page does not say that it is back in the kernel',
      edits: [
        {
          file: 'memory/page-cache.ts',
          from: '    futexWait(page + Page.flags, flags | PageFlag.waiters)\n    setContext(Mode.kernel)\n',
          to: '    futexWait(page + Page.flags, flags | PageFlag.waiters)\n',
        },
      ],
      unsafe: AWAKE_OUTSIDE,
    },
  ],
})

/** CPU 0 waits for a callback of the SRCU domain of VMAs; CPU 1, a reader of the domain, updates what RCU protects. */
export const srcuBarrierVsGracePeriod = scenario({
  name: 'srcu-barrier-vs-grace-period',
  question: 'Does an RCU grace period pass by who waits in srcu_barrier?',
  asked: ASKED,
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { program, pointer, rest } = await begin(stage)
    return {
      ...rest,
      check: () => '',
      calls: [
        [stage.call('call_srcu(), srcu_barrier()', () => program.waitForSrcuCallback())],
        [stage.call('update as SRCU reader', () => program.updateInSrcuDomain(pointer, 2))],
      ],
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'waits-in-the-kernel',
      wrong: 'who waits for callbacks of the domain is in no quiescent state, so that a reader that waits for one waits for ever',
      edits: [
        {
          file: 'softirq.ts',
          from: '    if (srcuDoBatch(domain) === 0) {\n      setContext(Mode.kernel)\n',
          to: '    if (srcuDoBatch(domain) === 0) {\n',
        },
      ],
      unsafe: /^livelock: all that can go on take turns|deadlock/,
    },
  ],
})
