// call_srcu: what is deferred is freed after a grace period of its domain, by whoever makes the domain's steps. The lists of a
// domain are everybody's, so they have a lock.
import { Global } from '../kernel/machine/globals.ts'
import { Cpu } from '../kernel/machine/percpu.ts'
import { Cache } from '../kernel/memory/slab.ts'
import { Srcu } from '../kernel/sync/srcu.ts'
import { FREED_UNDER_READER } from './rcu-mutants.ts'
import type { Stage } from './runner/stage.ts'
import { scenario, type Variant } from './scenario.ts'

/** Steps of grace periods after which everything that was queued before is free, if nobody reads. */
const ENOUGH = 10

async function setTheScene(stage: Stage) {
  const program = await stage.program<typeof import('./programs/srcu.ts')>('srcu')
  const pointer = stage.words(32)
  const domain = pointer + 2
  stage.now(
    0,
    stage.call('make a domain', () => program.makeDomain(domain, pointer + 16)),
  )
  stage.machine.words[pointer] = stage.now(
    0,
    stage.call('make', () => program.make(1)),
  )
  return {
    read: stage.call('read', () => program.read(domain, pointer)),
    update: stage.call('replace, call_srcu()', () => program.updateDeferred(domain, pointer, 2)),
    free: (steps: number) => stage.call(`${steps} steps, free what is due`, () => program.freeDeferred(domain, steps)),
    labels: new Map([[pointer, 'pointer']]),
    after: [stage.call('free all', () => program.freeDeferred(domain, ENOUGH)), stage.call('dispose', () => program.dispose(pointer))],
  }
}

/** CPU 0 reads what CPU 1 replaces and has freed. */
export const srcuCallbackVsReader = scenario({
  name: 'srcu-callback-vs-reader',
  question: 'Is what call_srcu frees still read by somebody?',
  asked: 'thread 003, Splitting the mmap_sem, phase 3: VMAs freed through SRCU; srcu_funnel_gp_start and its sequence',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { read, update, free, ...rest } = await setTheScene(stage)
    return {
      ...rest,
      calls: [[read], [update, free(5)]],
      check: ([reader]) => (reader?.every((value) => value === 1 || value === 2) ? '' : 'a reader saw a freed object'),
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'no-grace-period',
      wrong: 'what is queued is due when the grace period before has ended',
      edits: [
        {
          file: 'sync/srcu.ts',
          from: 'store(domain + Srcu.waitSeq, (readOnce(domain + Srcu.done) + 2) | 0)',
          to: 'store(domain + Srcu.waitSeq, readOnce(domain + Srcu.done))',
        },
      ],
      unsafe: FREED_UNDER_READER,
    },
    {
      name: 'due-at-once',
      wrong: 'whether the grace period has ended is not looked at',
      edits: [
        {
          file: 'sync/srcu.ts',
          from: '  if (load(domain + Srcu.waitHead) !== 0 && ((readOnce(domain + Srcu.done) - load(domain + Srcu.waitSeq)) | 0) >= 0) {',
          to: '  if (load(domain + Srcu.waitHead) !== 0) {',
        },
      ],
      unsafe: FREED_UNDER_READER,
    },
  ],
})

const QUEUED_UNLOCKED: Variant = {
  name: 'queued-unlocked',
  wrong: 'what is deferred is queued without the lock of the list',
  edits: [
    { file: 'sync/srcu.ts', from: '  spinLock(domain + Srcu.listLock)\n  const tail', to: '  const tail' },
    {
      file: 'sync/srcu.ts',
      from: '  store(domain + Srcu.tail, head)\n  spinUnlock(domain + Srcu.listLock)\n',
      to: '  store(domain + Srcu.tail, head)\n',
    },
  ],
  unsafe: /data race|leak|is not ordered with/,
}

/** Both CPUs replace the object and queue what was there. */
export const srcuTwoCallbacks = scenario({
  name: 'srcu-two-callbacks',
  question: 'Is everything freed that two CPUs give to call_srcu at the same time?',
  asked: 'kernel/rcu/srcutree.c: the callback list of a domain and its lock',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { read: _, update, free, ...rest } = await setTheScene(stage)
    return { ...rest, calls: [[update], [update, free(1)]] }
  },
  expect: 'safe',
  variants: [
    QUEUED_UNLOCKED,
    {
      name: 'advanced-unlocked',
      wrong: 'the lists are moved on without their lock',
      edits: [
        { file: 'sync/srcu.ts', from: '  driveSrcu(domain)\n  spinLock(domain + Srcu.listLock)\n', to: '  driveSrcu(domain)\n' },
        { file: 'sync/srcu.ts', from: '  spinUnlock(domain + Srcu.listLock)\n  return done\n', to: '  return done\n' },
      ],
      unsafe: /data race|leak|is not ordered with/,
    },
    {
      name: 'callback-lost',
      wrong: 'what is queued behind something else is not linked to it',
      edits: [{ file: 'sync/srcu.ts', from: '  else store(tail + RcuHead.next, head)\n', to: '' }],
      unsafe: /leak/,
    },
  ],
})

/** Both CPUs queue a callback in the domain of VMAs, and each waits for what is queued. */
export const srcuTwoBarriers = scenario({
  name: 'srcu-two-barriers',
  question: 'May two CPUs run the callbacks of one domain, each waiting for its own?',
  asked: 'kernel/rcu/srcutree.c: srcu_invoke_callbacks, one at a time; srcu_barrier',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { waitForSrcuCallback } = await stage.program<typeof import('./programs/rcu.ts')>('rcu')
    const wait = stage.call('call_srcu(), srcu_barrier()', () => waitForSrcuCallback())
    return { calls: [[wait], [wait]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'run-by-two-at-once',
      wrong: 'two CPUs may run callbacks of the domain at the same time',
      edits: [
        { file: 'softirq.ts', from: '  if (spinTrylock(domain + Srcu.runLock) === 0) return 0\n', to: '' },
        { file: 'softirq.ts', from: '  spinUnlock(domain + Srcu.runLock)\n', to: '' },
        { file: 'softirq.ts', from: "import { spinTrylock, spinUnlock } from './sync/spinlock.ts'\n", to: '' },
      ],
      unsafe: /data race|livelock|is not ordered with/,
    },
  ],
})

/** CPU 0 has queued a batch and leaves the kernel again and again; CPU 1 is a reader of the domain. */
export const srcuCallbacksOnTheWayOut = scenario({
  name: 'srcu-callbacks-on-the-way-out',
  question: 'Does a CPU go on running the callbacks of call_srcu until they have run, with nobody waiting for them?',
  asked: 'kernel/rcu/srcutree.c: srcu_invoke_callbacks and srcu_reschedule; thread 003: munmap that leaves a callback and returns',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['mmap-lock'],
  setUp: async (stage) => {
    const { deferLastOfABatch, make, readInSrcuDomain, dispose } = await stage.program<typeof import('./programs/rcu.ts')>('rcu')
    const { visit } = await stage.program<typeof import('./programs/barrier.ts')>('barrier')
    const pointer = stage.words(1)
    stage.machine.words[pointer] = stage.now(
      1,
      stage.call('make', () => make(1)),
    )
    const { words } = stage.machine
    const leave = stage.call('enter and leave the kernel', () => visit())
    return {
      calls: [
        [stage.call('call_srcu()', () => deferLastOfABatch()), leave, leave, leave],
        [stage.call('read', () => readInSrcuDomain(pointer))],
      ],
      after: [stage.call('dispose', () => dispose(pointer))],
      check: () => {
        const domain = Global.srcuDomain
        if (words[domain + Srcu.queued] === words[domain + Srcu.invoked]) return ''
        const [area] = [words[Global.perCpuAreas] as number]
        return (words[area + Cpu.srcuCallbacks] as number) > 0
          ? ''
          : 'callbacks are queued, and the CPU that queued them runs none any more'
      },
    }
  },
  expect: 'safe',
  variants: [
    {
      name: 'asked-once',
      wrong: 'a CPU makes one step for a batch of callbacks and forgets them',
      edits: [
        {
          file: 'softirq.ts',
          from: '  if (srcuDoBatch(domain) !== 0 || readOnce(domain + Srcu.invoked) === queued) store',
          to: '  if (srcuDoBatch(domain) >= 0 || readOnce(domain + Srcu.invoked) === queued) store',
        },
      ],
      unsafe: /runs none any more/,
    },
  ],
})

/** CPU 0 has no VMA but that of a mapping that CPU 1 has unmapped, and that faults under SRCU may still use; CPU 1 makes such a fault. */
export const mmapBehindAnSrcuGracePeriod = scenario({
  name: 'mmap-behind-an-srcu-grace-period',
  question: 'Does an mmap find the VMA that only a grace period of SRCU keeps from it, and that another CPU gave to call_srcu?',
  asked: 'field: out_of_memory and srcu_barrier; thread 003: VMAs freed through SRCU',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['srcu'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const page = stage.table(4)
    stage.now(1, mm.mmap(page, 2))
    stage.now(1, mm.write(page + 1, 1))
    stage.now(1, mm.mmap(page + 3, 1))
    stage.now(1, mm.munmap(page + 3, 1))
    stage.shortage(0, 0, Cache.vma, 0)
    return { calls: [[mm.mmap(page + 3, 1)], [mm.read(page)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'own-callbacks-alone',
      wrong: 'who has no memory asks only for callbacks of its own CPU whether there is anything to wait for',
      edits: [
        {
          file: 'softirq.ts',
          from: '  return readOnce(Global.srcuDomain + Srcu.queued) !== readOnce(Global.srcuDomain + Srcu.invoked)\n',
          to: '  return false\n',
        },
      ],
      unsafe: /mmap of page 0x[0-9a-f]+ failed with ENOMEM/,
    },
  ],
})
