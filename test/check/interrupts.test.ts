// IPIs: delivered before any instruction while interrupts are on, never while they are off or the CPU is outside, also to
// CPUs that sleep or have finished inside the kernel; waiting for one that cannot come is reported.
import { beforeAll, describe, expect, it } from 'vitest'
import { type Instructions, randomScheduler, roundRobinScheduler, run, type Stepped, type Steps } from '../../src/check/index.ts'
import { Mode } from '../../src/kernel/machine/entry.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { cpuWord, layOut, openTiny, SCRATCH, type Tiny } from './tiny-machine.ts'

let tiny: Tiny
let on: Instructions
let locks: Stepped<typeof import('../../src/kernel/sync/spinlock.ts')>
beforeAll(async () => {
  tiny = await openTiny()
  on = tiny.tree.instructions
  locks = await tiny.tree.module('sync/spinlock.ts')
})

const PLACE = SCRATCH
const CRITICAL = SCRATCH + 1
const HANDLED = SCRATCH + 2
const CAUGHT = SCRATCH + 3
const LOCK = SCRATCH + 4

/** Answers an IPI on the executing CPU; notes whether it came into a critical section or with interrupts off. */
function* interrupt(): Steps<void> {
  const me = on.smpProcessorId()
  if (on.load(cpuWord(me, Cpu.irqOff)) !== 0 || (yield on.readOnce(CRITICAL)) !== 0) yield on.writeOnce(CAUGHT, 1)
  yield on.atomicAdd(HANDLED, 1)
  yield on.writeOnce(cpuWord(me, Cpu.ipiAcks), yield on.readOnce(cpuWord(me, Cpu.ipiRequests)))
}

function* sender(times: number): Steps<void> {
  for (let i = 0; i < times; i++) {
    const request = yield on.sendIpi(1)
    while ((yield on.readOnce(cpuWord(1, Cpu.ipiAcks))) - request < 0) yield on.relax()
  }
}

function* worker(): Steps<void> {
  for (let i = 0; i < 3; i++) {
    yield on.writeOnce(PLACE, i * 2)
    yield on.irqSave()
    yield on.writeOnce(CRITICAL, 1)
    yield on.irqSave()
    yield on.writeOnce(PLACE, i * 2 + 1)
    yield on.irqRestore()
    yield on.writeOnce(CRITICAL, 0)
    yield on.irqRestore()
  }
}

describe('IPIs', () => {
  it('come into irq-on code only, and into each place of it', () => {
    const machine = tiny.machine(2, interrupt)
    const places = new Set<number>()
    for (let seed = 0; seed < 1000; seed++) {
      layOut(machine.words, 2)
      const outcome = run(machine, [() => sender(2), worker], randomScheduler(seed), {
        onStep: (agent) => void (agent < 0 && places.add(machine.words[PLACE] as number)),
      })
      expect(outcome.message).toBe('')
      expect(machine.words[CAUGHT]).toBe(0)
      expect(machine.words[HANDLED]).toBe(2)
    }
    expect([...places].sort()).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('interrupt the code: it does not go on until the handler has ended', () => {
    const machine = tiny.machine(2, interrupt)
    for (let seed = 0; seed < 300; seed++) {
      layOut(machine.words, 2)
      let inside = false
      run(machine, [() => sender(1), worker], randomScheduler(seed), {
        onStep: (agent, _op, a) => {
          if (agent < 0) inside = true
          else if (agent === 1 && inside) {
            expect([PLACE]).not.toContain(a)
            if (a === cpuWord(1, Cpu.ipiAcks)) inside = false
          }
        },
      })
    }
  })

  it('reach a CPU that has finished or sleeps in the kernel', () => {
    const machine = tiny.machine(2, interrupt)
    expect(run(machine, [() => sender(1), null], roundRobinScheduler()).verdict).toBe('finished')
    layOut(machine.words, 2)
    function* sleeps(): Steps<void> {
      yield on.futexWait(PLACE, 0)
    }
    function* sendsAndWakes(): Steps<void> {
      yield* sender(1)
      yield on.writeOnce(PLACE, 1)
      yield on.futexWake(PLACE, 1)
    }
    for (let seed = 0; seed < 100; seed++) {
      layOut(machine.words, 2)
      expect(run(machine, [sendsAndWakes, sleeps], randomScheduler(seed)).message).toBe('')
    }
  })

  it('do not reach a CPU outside the kernel: whoever waits for one hangs, and that is said', () => {
    const machine = tiny.machine(2, interrupt)
    machine.words[cpuWord(1, Cpu.context)] = Mode.outside
    const outcome = run(machine, [() => sender(1), null], roundRobinScheduler())
    expect(outcome.verdict).toBe('livelock')
    expect(machine.words[HANDLED]).toBe(0)
  })

  it('deadlock when the target spins with interrupts off on a lock that the sender holds', () => {
    const machine = tiny.machine(2, interrupt)
    function* holder(): Steps<void> {
      yield* locks.spinLock(LOCK)
      yield* sender(1)
      yield* locks.spinUnlock(LOCK)
    }
    function* off(): Steps<void> {
      yield on.irqSave()
      yield* locks.spinLock(LOCK)
      yield* locks.spinUnlock(LOCK)
      yield on.irqRestore()
    }
    function* polite(): Steps<void> {
      yield* locks.spinLockIrqsave(LOCK)
      yield* locks.spinUnlockIrqrestore(LOCK)
    }
    const verdicts = new Set<string>()
    for (let seed = 0; seed < 200; seed++) {
      layOut(machine.words, 2)
      const outcome = run(machine, [holder, off], randomScheduler(seed))
      verdicts.add(outcome.verdict)
      if (outcome.verdict === 'livelock') expect(outcome.message).toMatch(/CPU 1 spinning at spinLockSlow sync\/spinlock\.ts:\d+/)
      layOut(machine.words, 2)
      expect(run(machine, [holder, polite], randomScheduler(seed)).message).toBe('')
    }
    expect([...verdicts].sort()).toEqual(['finished', 'livelock'])
  })
})
