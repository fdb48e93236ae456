// What detectors remember: equal where nothing was seen that they may still judge by, different where it was.
import { beforeAll, expect, it } from 'vitest'
import { createDetectors } from '../../../src/check/detect/index.ts'
import { Op } from '../../../src/compile/stepped/ops.ts'
import { Kind } from '../../../src/kernel/machine/annotations.ts'
import { openTiny, SCRATCH, type Tiny } from '../tiny-machine.ts'

let tiny: Tiny
beforeAll(async () => {
  tiny = await openTiny()
})
const OBJECT = SCRATCH + 64
type Told = (watch: ReturnType<typeof createDetectors>) => void

function digestOf(...told: Told[]): string {
  const machine = tiny.machine(2)
  machine.words[SCRATCH] = OBJECT
  const watch = createDetectors(machine)
  watch.note(0, Op.allocated, OBJECT, 8, Kind.slab, 0)
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
  const digest = (...told: Told[]): string => {
    const machine = tiny.machine(2)
    const watch = createDetectors(machine, { pairs: [{ low, high }] })
    watch.snapshot()
    watch.reset()
    for (const one of told) one(watch)
    const into = new Int32Array(2)
    watch.digest(into)
    return into.join()
  }
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
