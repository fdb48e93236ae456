// One CPU stores at random between entries that stay; another reads under RCU alone. What stays must always be found, and
// whatever is found must have been stored for the place where it is found.
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { Mode, setContext } from '../../src/kernel/machine/entry.ts'
import { Global } from '../../src/kernel/machine/globals.ts'
import { load, readOnce, relax, thisCpu, writeOnce } from '../../src/kernel/machine/instructions.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { Cache, slabObjectsInUse } from '../../src/kernel/memory/slab.ts'
import { mtStoreRange } from '../../src/kernel/vma/maple-store.ts'
import { bootMachine, drainCallbacks, runCallbacks, TREE } from './maple-machine.ts'
import { generator, mtValidate } from './maple-validate.ts'

const STOP = TREE + 16
const STABLE = 60
const SECONDS = 3

test('stable entries are always found while their neighbours change', { timeout: 60_000 }, async () => {
  const buffer = bootMachine(2048, 2)
  const entryFor = (first: number, last: number): number => ((first << 10) | (last - first)) << 3
  for (let i = 0; i < STABLE; i++) mtStoreRange(TREE, 64 * i + 20, 64 * i + 23, entryFor(64 * i + 20, 64 * i + 23))
  const workerData = { buffer, areas: load(Global.perCpuAreas), tree: TREE, stop: STOP, stable: STABLE }
  const worker = new Worker(new URL('./maple-reader.mjs', import.meta.url), { workerData })
  try {
    await new Promise((ready, failed) => worker.once('message', ready).once('error', failed))
    const report = new Promise<{ failure: string; loads: number; walks: number; seen: number }>((resolve) =>
      worker.once('message', resolve),
    )
    const random = generator(4711)
    const below = (n: number): number => Math.floor(random() * n)
    const end = performance.now() + SECONDS * 1000
    let stores = 0
    let freed = 0
    while (performance.now() < end && readOnce(STOP + 1) === 0) {
      setContext(Mode.kernel)
      // Grow and shrink by turns: splits and merges up and down the tree.
      const erase = Math.floor(stores / 4000) % 2 === 0 ? 0.2 : 0.75
      for (let i = 0; i < 50; i++) {
        const first = 64 * below(STABLE) + 24 + below(60)
        const room = 63 - ((first - 24) % 64) - 4
        const last = first + (random() < 0.1 ? below(room + 1) : Math.min(room, below(3)))
        if (mtStoreRange(TREE, first, last, random() < erase ? 0 : entryFor(first, last)) !== 0) throw new Error('out of memory')
        stores++
      }
      setContext(Mode.outside)
      const queued = load(thisCpu() + Cpu.rcuCallbacks)
      // A reader that lost its core holds up the grace period: do not run out of memory meanwhile.
      do {
        runCallbacks()
        relax()
      } while (load(thisCpu() + Cpu.rcuCallbacks) > 10_000)
      freed += queued - load(thisCpu() + Cpu.rcuCallbacks)
    }
    writeOnce(STOP, 1)
    const { failure, loads, walks, seen } = await report
    expect(failure).toBe('')
    expect(stores).toBeGreaterThan(10_000)
    expect(freed).toBeGreaterThan(10_000)
    expect(loads).toBeGreaterThan(10_000)
    expect(walks).toBeGreaterThan(10)
    expect(seen).toBeGreaterThan(loads / 100)
    drainCallbacks()
    expect(slabObjectsInUse(Cache.mapleNode)).toBe(mtValidate(TREE).nodes)
  } finally {
    await worker.terminate()
  }
})
