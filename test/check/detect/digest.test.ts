// What detectors remember: equal where nothing was seen that they may still judge by, different where it was.
import { beforeAll, expect, it } from 'vitest'
import { createDetectors, type DetectorOptions } from '../../../src/check/detect/index.ts'
import type { Machine } from '../../../src/check/index.ts'
import { Op } from '../../../src/compile/stepped/ops.ts'
import { Kind } from '../../../src/kernel/machine/annotations.ts'
import { Mode } from '../../../src/kernel/machine/entry.ts'
import { Cpu } from '../../../src/kernel/machine/percpu.ts'
import { TlbEntry } from '../../../src/kernel/pagetable/tlb.ts'
import { cpuWord, openTiny, SCRATCH, type Tiny } from '../tiny-machine.ts'
import { wholeMachine } from '../whole-machine.ts'

let tiny: Tiny
beforeAll(async () => {
  tiny = await openTiny()
})
const OBJECT = SCRATCH + 64
type Told = (watch: ReturnType<typeof createDetectors>) => void

/** The digest of what was told of an execution on `machine`. */
function digestOn(machine: Machine, told: readonly Told[], options: DetectorOptions = {}, before: Told = () => {}): string {
  const watch = createDetectors(machine, options)
  before(watch)
  watch.snapshot()
  watch.reset()
  for (const one of told) one(watch)
  const into = new Int32Array(2)
  watch.digest(into)
  // What one execution remembered must be gone in the next.
  watch.reset()
  const fresh = new Int32Array(2)
  watch.digest(fresh)
  expect([...fresh]).toEqual([0, 0])
  return into.join()
}

/** With an object of `kind` that a word points to. */
function digestWith(kind: number, told: readonly Told[]): string {
  const machine = tiny.machine(2)
  machine.words[SCRATCH] = OBJECT
  return digestOn(machine, told, {}, (watch) => watch.note(0, Op.allocated, OBJECT, 8, kind, 0))
}
const digestOf = (...told: Told[]): string => digestWith(Kind.slab, told)
const finds: Told = (watch) => watch.step(0, Op.readOnce, SCRATCH, 0, 0, OBJECT, OBJECT, 0)
const replaces: Told = (watch) => {
  watch.note(1, Op.freed, OBJECT, 8, Kind.slab, 0)
  watch.note(1, Op.allocated, OBJECT, 8, Kind.slab, 0)
}
const NOTHING = '0,0'

it('tells a pointer found before its object was replaced from one found after, and from none', () => {
  const returns: Told = (watch) => watch.callReturns(0, 0, 0)
  expect(digestOf(finds)).not.toBe(NOTHING)
  expect(digestOf(finds, replaces)).not.toBe(digestOf(replaces, finds))
  expect(digestOf(finds, replaces)).not.toBe(digestOf(replaces))
  expect(digestOf(finds, replaces, finds)).toBe(digestOf(replaces, finds))
  expect(digestOf(finds, replaces, returns)).toBe(digestOf(replaces))
  expect(digestOf(finds, returns)).toBe(NOTHING)
})

it('has nothing of what an agent has freed itself: whatever is there is not what it found', () => {
  const replacesItself: Told = (watch) => {
    watch.note(0, Op.freed, OBJECT, 8, Kind.table, 0)
    watch.note(0, Op.allocated, OBJECT, 8, Kind.table, 0)
  }
  const section: Told = (watch) => watch.note(0, Op.rcuReadEnter, 0, 0, 0, 0)
  const walks: Told = (watch) => watch.step(0, Op.readOnce, OBJECT + 1, 0, 0, 0, 0, 0)
  const digest = (...told: Told[]): string => digestWith(Kind.table, [section, ...told])
  expect(digest(walks, replacesItself)).toBe(digest(replacesItself))
  expect(digest(replacesItself, walks)).not.toBe(digest(replacesItself))
})

it('has in which mode a call began', () => {
  const digest = (mode: number): string => {
    const machine = tiny.machine(2)
    const begins: Told = (watch) => {
      machine.words[cpuWord(0, Cpu.context)] = mode
      watch.callBegins(0, 0)
    }
    return digestOn(machine, [begins])
  }
  expect(digest(Mode.kernel)).toBe(NOTHING)
  expect(digest(Mode.user)).not.toBe(NOTHING)
})

it('has which call returned before which began, also with nothing in between', () => {
  const calls = [[{ name: 'munmap', mm: 0, start: 1, pages: 1 }], [{ name: 'munmap', mm: 0, start: 5, pages: 1 }]]
  const digest = (...told: Told[]): string => digestOn(tiny.machine(2), told, { calls: () => calls })
  const [first, then]: Told[] = [(watch) => watch.callReturns(0, 0, 0), (watch) => watch.callBegins(1, 0)] as [Told, Told]
  const begins: Told = (watch) => watch.callBegins(0, 0)
  const steps: Told = (watch) => watch.step(0, Op.readOnce, SCRATCH, 0, 0, 0, 0, 0)
  expect(digest(begins, steps, first, then)).not.toBe(digest(begins, then, steps, first))
  expect(digest(begins, steps, first, then)).toBe(digest(begins, steps, first, steps, then))
})

it('has which entries a TLB got before a munmap returned', async () => {
  const PAGE = 5
  // On a machine with page frames, whose memory is as at boot.
  const { machine } = await wholeMachine(tiny.tree, 'x86_64', 'mmap-lock', 2, { geometry: 'small' })
  const entry = machine.areas + Cpu.tlb
  machine.words[entry + TlbEntry.read] = PAGE + 1
  // So that nobody can race with the plain store.
  const publishes: Told = (watch) => watch.step(0, Op.writeOnce, machine.areas + Cpu.out0, 0, 0, 0, 0, 0)
  const calls = [[], [{ name: 'munmap', mm: 0, start: PAGE, pages: 1 }]]
  const digest = (...told: Told[]): string => digestOn(machine, [...told, publishes], { calls: () => calls })
  const fills: Told = (watch) => watch.plain(0, Op.store, entry + TlbEntry.frame, 0, 0, 0)
  const begins: Told = (watch) => {
    watch.callBegins(1, 0)
    watch.step(1, Op.readOnce, machine.areas + Cpu.out0, 0, 0, 0, 0, 0)
  }
  const returns: Told = (watch) => watch.callReturns(1, 0, 0)
  const [before, during, after] = [digest(fills, begins, returns), digest(begins, fills, returns), digest(begins, returns, fills)]
  expect(new Set([before, during, after]).size).toBe(3)
})

it('has locks, sections and unpublished plain accesses, whatever their order', () => {
  const lock =
    (p: number): Told =>
    (watch) =>
      watch.note(0, Op.lockAcquired, p, 1, 0, 0)
  const plain =
    (p: number): Told =>
    (watch) =>
      watch.plain(0, Op.store, p, 1, 0, 0)
  const publishes: Told = (watch) => watch.step(0, Op.writeOnce, SCRATCH + 3, 1, 0, 0, 1, 0)
  expect(digestOf(lock(7), lock(9))).toBe(digestOf(lock(9), lock(7)))
  expect(digestOf(lock(7))).not.toBe(digestOf(lock(9)))
  expect(digestOf((watch) => watch.note(0, Op.rcuReadEnter, 0, 0, 0, 0))).not.toBe(NOTHING)
  expect(digestOf(plain(SCRATCH + 1), plain(SCRATCH + 2))).toBe(digestOf(plain(SCRATCH + 2), plain(SCRATCH + 1)))
  expect(digestOf(plain(SCRATCH + 1))).not.toBe(digestOf(plain(SCRATCH + 2)))
  expect(digestOf(plain(SCRATCH + 1), publishes)).toBe(NOTHING)
})

it('has a read of one half, and what the value has been since', () => {
  const [low, high] = [SCRATCH + 16, SCRATCH + 17]
  const digest = (...told: Told[]): string => digestOn(tiny.machine(2), told, { pairs: [{ low, high }] })
  const reads: Told = (watch) => watch.step(0, Op.readOnce, low, 0, 0, 0, 0, 0)
  const elsewhere: Told = (watch) => watch.step(0, Op.readOnce, SCRATCH, 0, 0, 0, 0, 0)
  const stores: Told = (watch) => {
    watch.step(1, Op.writeOnce, high, 5, 0, 0, 5, 0)
    watch.step(1, Op.readOnce, SCRATCH, 0, 0, 0, 0, 0)
  }
  const [reading, then] = [digest(reads), digest(reads, stores)]
  expect(new Set([NOTHING, reading, then]).size).toBe(3)
  for (const told of [[stores], [reads, elsewhere], [reads, stores, elsewhere]]) expect(digest(...told)).toBe(NOTHING)
})
