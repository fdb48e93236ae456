// The native and the stepped build agree: the same operations of one CPU leave the same words in memory.
import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import { runAlone } from '../../src/check/index.ts'
import { bindHeap } from '../../src/kernel/machine/heap.ts'
import { bindCpu } from '../../src/kernel/machine/instructions.ts'
import * as rcu from '../../src/kernel/sync/rcu.ts'
import * as refcount from '../../src/kernel/sync/refcount.ts'
import * as rwsem from '../../src/kernel/sync/rwsem.ts'
import * as seqcount from '../../src/kernel/sync/seqcount.ts'
import * as spinlock from '../../src/kernel/sync/spinlock.ts'
import * as srcu from '../../src/kernel/sync/srcu.ts'
import { AREAS, DOMAIN, layOut, openTiny, SCRATCH, type Tiny, WORDS } from '../check/tiny-machine.ts'

type Functions = Record<string, (...args: number[]) => unknown>
const native = { ...rcu, ...refcount, ...rwsem, ...seqcount, ...spinlock, ...srcu } as unknown as Functions
let tiny: Tiny
let stepped: Functions

beforeAll(async () => {
  tiny = await openTiny()
  const modules = await Promise.all(
    ['rcu', 'refcount', 'rwsem', 'seqcount', 'spinlock', 'srcu'].map((name) => tiny.tree.module(`sync/${name}.ts`)),
  )
  stepped = Object.assign({}, ...modules) as Functions
})

const LOCK = SCRATCH
const SEM = SCRATCH + 16
const SEQ = SCRATCH + 32
const REF = SCRATCH + 33
const HEADS = SCRATCH + 64

/** Calls that one CPU can make in any order without waiting for another. */
const CALLS: readonly (readonly [name: string, ...args: number[]])[][] = [
  [
    ['spinLock', LOCK],
    ['spinTrylock', LOCK],
    ['spinUnlock', LOCK],
  ],
  [
    ['spinLockIrqsave', LOCK],
    ['spinUnlockIrqrestore', LOCK],
  ],
  [
    ['downRead', SEM],
    ['rwsemIsLocked', SEM],
    ['downWriteTrylock', SEM],
    ['upRead', SEM],
  ],
  [
    ['downWrite', SEM],
    ['rwsemIsContended', SEM],
    ['upWrite', SEM],
  ],
  [
    ['downWrite', SEM],
    ['downgradeWrite', SEM],
    ['upRead', SEM],
  ],
  [
    ['writeSeqcountBegin', SEQ],
    ['readSeqcount', SEQ],
    ['writeSeqcountEnd', SEQ],
    ['readSeqcountRetry', SEQ, 2],
  ],
  [
    ['refcountIncNotZero', REF],
    ['refcountInc', REF],
    ['refcountIncNotZero', REF],
    ['refcountDecAndTest', REF],
    ['refcountDecAndTest', REF],
  ],
  [['synchronizeRcu']],
  [['rcuAdvance'], ['rcuAdvance']],
  [
    ['srcuReadLock', DOMAIN],
    ['srcuReadUnlock', DOMAIN],
  ],
  [['synchronizeSrcu', DOMAIN]],
  [['srcuAdvance', DOMAIN]],
]

it('single-CPU runs of sync/ give byte-identical memory and equal results', () => {
  const nativeBuffer = new SharedArrayBuffer(WORDS * 4)
  const nativeWords = new Int32Array(nativeBuffer)
  let calls = 0
  fc.assert(
    fc.property(fc.array(fc.nat({ max: CALLS.length + 1 }), { minLength: 1, maxLength: 20 }), (choices) => {
      const machine = tiny.machine(1)
      layOut(nativeWords, 1)
      bindHeap(nativeBuffer)
      bindCpu(0, AREAS, () => {}, false)
      const list = choices.flatMap(
        (choice, i) => CALLS[choice] ?? [choice % 2 ? ['callRcu', HEADS + i * 2, i] : ['callSrcu', DOMAIN, HEADS + i * 2, i]],
      )
      let bank = 0
      for (const [name, ...given] of list as [string, ...number[]][]) {
        calls++
        const args = name === 'srcuReadUnlock' ? [DOMAIN, bank] : given
        const expected = native[name]?.(...args)
        if (name === 'srcuReadLock') bank = expected as number
        expect(
          runAlone(machine, () => stepped[name]?.(...args)),
          name,
        ).toEqual(expected)
      }
      expect(Buffer.compare(Buffer.from(machine.words.buffer), Buffer.from(nativeBuffer))).toBe(0)
    }),
    { numRuns: 300, seed: 1 },
  )
  expect(calls).toBeGreaterThan(3000)
})
