// What the Workers of the library's tests do: the function named in `workerData.job`, then an answer.
import { parentPort, workerData } from 'node:worker_threads'
import { attachMachine, loadDesign, MachineError, SegmentationFault } from '../../dist/index.js'

const { job, handle, cpu, data } = workerData
await loadDesign(handle.shape.own?.path ?? '')
const machine = attachMachine(handle, cpu)

/** Maps, fills, protects and unmaps regions of its own, and reads everybody's: every value read must be one that was written there. */
function churn({ id, base, pages, workers, me, rounds }) {
  const space = machine.space(id)
  const size = machine.pageSize
  const regionOf = (who) => base + who * pages * size
  const mine = regionOf(me)
  const last = new Int32Array(workers * pages)
  let seed = me + 1
  const below = (n) => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
    return (seed >>> 8) % n
  }
  let generation = 0
  let faults = 0
  let reads = 0
  while (generation < rounds) {
    generation++
    const first = below(pages)
    const count = 1 + below(pages - first)
    const at = mine + first * size
    const what = below(6)
    if (what < 3) {
      space.mmap({ address: at, length: count * size, fixed: true })
      for (let i = first; i < first + count; i++) {
        const stamp = ((me * pages + i) << 20) | (generation & 0xfffff)
        // Whole: a DataView may write, and read, byte by byte.
        space.atomics.store(mine + i * size + 8 * (i % 100), stamp)
      }
    } else if (what === 3) space.munmap(at, count * size)
    else {
      try {
        if (what === 4) space.madvise(at, count * size, 'dontneed')
        else space.mprotect(at, count * size, below(2) === 0 ? 'r' : 'rw')
      } catch (error) {
        if (error.code !== 'ENOMEM') throw error
      }
    }
    for (let i = 0; i < 300; i++) {
      const who = below(workers)
      const page = below(pages)
      let value = 0
      try {
        value = space.atomics.load(regionOf(who) + page * size + 8 * (page % 100))
        reads++
      } catch (error) {
        if (!(error instanceof SegmentationFault)) throw error
        faults++
      }
      if (value === 0) continue
      if (value >>> 20 !== who * pages + page) throw new Error(`page ${page} of ${who} holds ${value.toString(16)}`)
      const seen = who * pages + page
      if ((value & 0xfffff) < last[seen]) throw new Error(`page ${page} of ${who} went back to ${value & 0xfffff} from ${last[seen]}`)
      last[seen] = value & 0xfffff
    }
  }
  space.munmap(mine, pages * size)
  return { rounds: generation, reads, faults }
}

/** Reads one page until it holds something; a read must not be remembered by the compiler. */
function watch({ id, address, ready }) {
  const space = machine.space(id)
  let rounds = 0
  while (space.getInt32(address) === 0) {
    if (++rounds !== 100_000) continue
    space.atomics.store(ready, 1)
    space.atomics.notify(ready)
  }
  return rounds
}

/** Computes without calling anything until told to stop. Its TLB holds the space; it is in no call. */
function spin({ id, address, flag }) {
  const space = machine.space(id)
  space.setInt32(address, 1)
  const words = new Int32Array(flag)
  Atomics.store(words, 0, 1)
  Atomics.notify(words, 0)
  let sum = 0
  while (Atomics.load(words, 1) === 0) for (let i = 0; i < 1e6; i++) sum = (sum + i) | 0
  return { sum: sum | 1, after: space.getInt32(address) }
}

/** Waits at an address until it is woken. */
function sleep({ id, address, ready, timeout }) {
  const space = machine.space(id)
  space.atomics.add(ready, 1)
  return space.atomics.wait(address, 0, timeout)
}

/** Adds to a counter that lies in shared memory, sometimes through a fork. */
function count({ id, counter, times }) {
  const space = machine.space(id)
  for (let i = 0; i < times; i++) {
    if (i % 100 !== 0) {
      space.atomics.add(counter, 1)
      continue
    }
    const child = space.fork()
    child.atomics.add(counter, 1)
    child.exit()
  }
  return times
}

/** Fills a range on demand. */
function fill({ id, base, pages }) {
  const space = machine.space(id)
  let asked = 0
  space.registerUserfault(base, pages * machine.pageSize, (page) => {
    asked++
    return Uint8Array.of(((page - base) / machine.pageSize) & 255, machine.cpu)
  })
  let wrong = 0
  for (let i = 0; i < pages; i++) if (space.getUint8(base + i * machine.pageSize) !== (i & 255)) wrong++
  return { asked, wrong }
}

/** Pins pages, writes through the pin and through the mapping by turns: both must always be one page. */
function pins({ id, base, pages, rounds }) {
  const space = machine.space(id)
  for (let round = 0; round < rounds; round++) {
    const address = base + (round % pages) * machine.pageSize
    const pin = space.pin(address, { write: round % 2 === 0 })
    const view = new DataView(pin.bytes.buffer, pin.bytes.byteOffset)
    for (let i = 0; i < 20; i++) {
      space.setInt32(address, round * 100 + i)
      if (view.getInt32(0, true) !== round * 100 + i) throw new Error(`the pin has ${view.getInt32(0, true)} in round ${round}`)
      view.setInt32(4, -i, true)
      if (space.getInt32(address + 4) !== -i) throw new Error(`the page has ${space.getInt32(address + 4)} in round ${round}`)
    }
    view.setInt32(4, 0, true)
    pin.unpin()
  }
  return rounds
}

/** Its own view of the machine's errors. */
function claims() {
  try {
    attachMachine(handle, cpu)
  } catch (error) {
    return error instanceof MachineError ? error.message : String(error)
  }
  return 'taken twice'
}

const jobs = { churn, watch, spin, sleep, count, fill, pins, claims }
parentPort.postMessage(jobs[job](data))
machine.detach()
