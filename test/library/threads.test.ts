// The library from several Workers: concurrent mapping and reading, sleeping and waking, a Worker that computes and stalls
// nobody, CPU numbers that are taken once.
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterEach, expect, test } from 'vitest'
import { type AddressSpace, attachMachine, createMachine, loadDesign, type Machine, MachineError } from '../../src/index.ts'
import { load } from '../../src/kernel/machine/instructions.ts'
import { Page, virtToPage } from '../../src/kernel/memory/page.ts'
import { PIN_BIAS } from '../../src/kernel/memory/pin.ts'

let machine: Machine
const started: Worker[] = []
afterEach(async () => {
  await Promise.all(started.splice(0).map((worker) => worker.terminate()))
})

function start<T>(job: string, cpu: number | undefined, data: unknown = {}): Promise<T> {
  const worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData: { job, handle: machine.handle, cpu, data } })
  started.push(worker)
  return new Promise((resolve, reject) => {
    let answer: T
    worker.on('message', (value: T) => (answer = value))
    worker.on('error', reject)
    worker.on('exit', (code) => (code === 0 ? resolve(answer) : reject(new Error(`exit code ${code}`))))
  })
}

/** How often the page of `address` is pinned, by its reference count. */
function pinsOf(space: AddressSpace, address: number): number {
  const pin = space.pin(address)
  const pins = Math.floor(load(virtToPage(pin.bytes.byteOffset / 4) + Page.refcount) / PIN_BIAS)
  pin.unpin()
  return pins - 1
}

/** Lets messages of Workers arrive, between two looks at what they do. */
const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const OWN = fileURLToPath(new URL('../../examples/my-design/step-3.ts', import.meta.url))
for (const options of [{}, { design: 'mmap-lock' }, { design: OWN }, { arch: 'powerpc64-hash-64k', memory: 64 * 2 ** 20 }]) {
  test(`four Workers map, unmap and read one space: ${JSON.stringify(options)}`, async () => {
    await loadDesign(options.design ?? '')
    machine = createMachine({ memory: 8 * 2 ** 20, cpus: 5, poison: true, ...options })
    const space = machine.createSpace()
    const pages = 40
    const base = space.mmap({ length: 4 * pages * machine.pageSize })
    space.munmap(base, 4 * pages * machine.pageSize)
    const data = { id: space.id, base, pages, workers: 4, rounds: 60 }
    const workers = [0, 1, 2, 3].map((me) => start<{ reads: number; faults: number }>('churn', me + 1, { ...data, me }))
    for (const { reads, faults } of await Promise.all(workers)) {
      expect(reads).toBeGreaterThan(0)
      expect(faults).toBeGreaterThan(0)
    }
    expect(space.maps()).toEqual([])
    machine.detach()
  })
}

test('reads see what another Worker writes', async () => {
  machine = createMachine({ memory: 4 * 2 ** 20, cpus: 2 })
  const space = machine.createSpace()
  const address = space.mmap({ length: 2 * machine.pageSize })
  const ready = address + machine.pageSize
  const rounds = start<number>('watch', 1, { id: space.id, address, ready })
  space.atomics.wait(ready, 0) // until it has read for a while
  // The zero page is replaced by a page of its own meanwhile.
  space.setInt32(address, 5)
  expect(await rounds).toBeGreaterThan(1000)
})

test('a Worker that computes stalls nobody', async () => {
  machine = createMachine({ memory: 8 * 2 ** 20, cpus: 2, poison: true })
  const space = machine.createSpace()
  const size = machine.pageSize
  const address = space.mmap({ length: size })
  const flag = new SharedArrayBuffer(8)
  const words = new Int32Array(flag)
  const spinner = start<{ sum: number; after: number }>('spin', 1, { id: space.id, address, flag })
  Atomics.wait(words, 0, 0)
  for (let i = 0; i < 200; i++) {
    const other = space.mmap({ length: 64 * size, populate: true })
    const child = space.fork()
    child.setInt32(other, 1)
    space.setInt32(other, 2)
    expect([space.getInt32(other), child.getInt32(other)]).toEqual([2, 1])
    child.exit()
    space.mprotect(other, 64 * size, 'r')
    space.munmap(other, 64 * size)
  }
  space.setInt32(address, 77)
  machine.barrier()
  // Only now is it told to stop: everything above was done while it computed.
  Atomics.store(words, 1, 1)
  expect((await spinner).after).toBe(77)
})

test('sleeping at an address: woken by another thread, another mapping, another place', async () => {
  machine = createMachine({ memory: 8 * 2 ** 20, cpus: 6 })
  const space = machine.createSpace()
  const size = machine.pageSize
  const own = space.mmap({ length: size })
  const shared = space.mmap({ length: size, shared: true })
  const moving = space.mmap({ length: size })
  const ready = space.mmap({ length: size })
  const asleep = [own, own, shared, moving].map((address, i) =>
    start<string>('sleep', i + 1, { id: space.id, address, ready, timeout: 20_000 }),
  )
  while (space.atomics.load(ready) < 4) await pause()
  // Who is about to sleep has pinned the page.
  for (const [address, sleepers] of [
    [own, 2],
    [shared, 1],
    [moving, 1],
  ] as const) {
    while (pinsOf(space, address) < sleepers) await pause()
  }
  const child = space.fork()
  // fork and the writes after it must leave the sleepers with the parent's page.
  space.setInt32(own + 4, 1)
  space.setInt32(moving + 4, 1)
  const moved = space.mremap(moving, size, size, { to: ready + 64 * size })
  const wake = async (where: typeof space, address: number, count: number): Promise<number> => {
    let woken = 0
    for (let tries = 0; woken < count && tries < 400; tries++) {
      woken += where.atomics.notify(address, count - woken)
      await pause()
    }
    return woken
  }
  expect(child.atomics.notify(own)).toBe(0)
  expect(await wake(space, own, 2)).toBe(2)
  expect(await wake(child, shared, 1)).toBe(1)
  expect(await wake(space, moved, 1)).toBe(1)
  expect(await Promise.all(asleep)).toEqual(['ok', 'ok', 'ok', 'ok'])
})

test('atomics count right through shared memory and forks', async () => {
  machine = createMachine({ memory: 16 * 2 ** 20, cpus: 4 })
  const space = machine.createSpace()
  const counter = space.mmap({ length: machine.pageSize, shared: true })
  const counts = await Promise.all([1, 2, 3].map((cpu) => start<number>('count', cpu, { id: space.id, counter, times: 3000 })))
  expect(space.getInt32(counter)).toBe(counts.reduce((a, b) => a + b))
})

test('pins hold through forks that other threads make', async () => {
  machine = createMachine({ memory: 16 * 2 ** 20, cpus: 3, poison: true })
  const space = machine.createSpace()
  const size = machine.pageSize
  const pages = 8
  const areas = [0, 1].map(() => space.mmap({ length: pages * size, populate: true }))
  const rounds = Promise.all(areas.map((base, i) => start<number>('pins', i + 1, { id: space.id, base, pages, rounds: 100 })))
  let done = false
  void rounds.finally(() => {
    done = true
  })
  for (let forks = 0; !done || forks < 10; forks++) {
    const child = space.fork()
    for (const base of areas) for (let i = 0; i < pages; i++) child.setInt32(base + i * size, -5)
    for (const base of areas) for (let i = 0; i < pages; i++) expect(child.getInt32(base + i * size)).toBe(-5)
    child.exit()
    await pause()
  }
  expect(await rounds).toEqual([100, 100])
})

test('three Workers fill one range: every page once, with the first answer', async () => {
  machine = createMachine({ memory: 16 * 2 ** 20, cpus: 4 })
  const space = machine.createSpace()
  const pages = 500
  const base = space.mmap({ length: pages * machine.pageSize })
  const results = await Promise.all(
    [1, 2, 3].map((cpu) => start<{ asked: number; wrong: number }>('fill', cpu, { id: space.id, base, pages })),
  )
  expect(results.map(({ wrong }) => wrong)).toEqual([0, 0, 0])
  expect(results.reduce((sum, { asked }) => sum + asked, 0)).toBeGreaterThanOrEqual(pages)
  // This thread has no handler, but every page is there.
  const cpus = new Set<number>()
  for (let i = 0; i < pages; i++) cpus.add(space.getUint8(base + i * machine.pageSize + 1))
  expect([...cpus].every((cpu) => cpu >= 1 && cpu <= 3)).toBe(true)
})

test('a CPU number is taken once, and given back', async () => {
  machine = createMachine({ memory: 4 * 2 ** 20, cpus: 3 })
  expect(() => attachMachine(machine.handle, 0)).toThrow(new MachineError('CPU 0 is taken by another thread'))
  expect(() => attachMachine(machine.handle, 3)).toThrow('there is no CPU 3')
  expect(() => attachMachine({ ...machine.handle, buffer: new SharedArrayBuffer(4096) })).toThrow('not a handle')
  expect(() => attachMachine(undefined as never)).toThrow('not a handle')
  expect(await start<string>('claims', 1)).toBe('CPU 1 is taken by another thread')
  const contenders = await Promise.allSettled(Array.from({ length: 4 }, () => start<string>('claims', 2)))
  // One after the other may get it, since each gives it back; nobody gets it beside another.
  for (const one of contenders) expect(one.status === 'fulfilled' ? one.value : String(one.reason)).toContain('CPU 2 is taken')
  const again = attachMachine(machine.handle)
  expect(again.cpu).toBe(1)
  expect(() => attachMachine(machine.handle, 2).cpu).not.toThrow()
  expect(() => attachMachine(machine.handle)).toThrow('all 3 CPUs')
  machine.detach()
  machine.detach()
  expect(() => machine.createSpace()).toThrow(MachineError)
  expect(attachMachine(machine.handle).cpu).toBe(0)
})
