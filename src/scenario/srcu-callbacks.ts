// call_srcu: what is deferred is freed after a grace period of its domain, by whoever makes the domain's steps. The lists of a
// domain are everybody's, so they have a lock.
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
