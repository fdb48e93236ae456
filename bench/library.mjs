// How long the library's reads, writes and faults take: `npm run bench:library`. Medians of seven runs;
// a read that hits the TLB has to take 15 ns or less.
import { createMachine } from '../dist/index.js'

const PAGES = 100
const machine = createMachine({ memory: 64 << 20, cpus: 2 })
const space = machine.createSpace()
const size = machine.pageSize
const base = space.mmap({ length: PAGES * size, populate: true })
for (let at = 0; at < PAGES * size; at += 4) space.setInt32(base + at, at)
const order = Array.from({ length: 1024 }, (_, i) => ((Math.imul(i, 2654435761) >>> 8) % PAGES) * size + ((i * 52) % size))
const page = new Uint8Array(size)

const loops = {
  'read, sequential over 100 pages': (n) => {
    let sum = 0
    for (let i = 0, at = base; i < n; i++) {
      sum = (sum + space.getInt32(at)) | 0
      at += 4
      if (at === base + PAGES * size) at = base
    }
    return sum
  },
  'read, at random in 100 pages': (n) => {
    let sum = 0
    for (let i = 0; i < n; i++) sum = (sum + space.getInt32(base + order[i & 1023])) | 0
    return sum
  },
  'read a float64, at random': (n) => {
    let sum = 0
    for (let i = 0; i < n; i++) sum += space.getFloat64(base + (order[i & 1023] & ~7))
    return sum
  },
  'write, at random in 100 pages': (n) => {
    for (let i = 0; i < n; i++) space.setInt32(base + order[i & 1023], i)
  },
  'atomic add': (n) => {
    for (let i = 0; i < n; i++) space.atomics.add(base, 1)
  },
  'read across two pages': (n) => {
    for (let i = 0; i < n / 10; i++) space.getInt32(base + size - 2)
    return n / 10
  },
  'copy a page out': (n) => {
    for (let i = 0; i < n / 10; i++) space.read(base + (i % PAGES) * size, page)
    return n / 10
  },
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1]
const say = (name, nanoseconds) => console.log(`${name.padEnd(34)}${nanoseconds.toFixed(1).padStart(9)} ns`)

for (const [name, loop] of Object.entries(loops)) {
  const n = 2_000_000
  const per = name.startsWith('read across') || name.startsWith('copy') ? n / 10 : n
  loop(n)
  const runs = Array.from({ length: 7 }, () => {
    const start = performance.now()
    loop(n)
    return ((performance.now() - start) * 1e6) / per
  })
  say(name, median(runs))
}

const faults = { write: [], missed: [], unmap: [] }
for (let round = 0; round < 9; round++) {
  const n = 4000
  const area = space.mmap({ length: n * size })
  const start = performance.now()
  for (let i = 0; i < n; i++) space.setInt32(area + i * size, i)
  const written = performance.now()
  for (let i = 0; i < n; i++) space.getInt32(area + i * size)
  const read = performance.now()
  space.munmap(area, n * size)
  faults.write.push(((written - start) * 1e6) / n)
  faults.missed.push(((read - written) * 1e6) / n)
  faults.unmap.push(((performance.now() - read) * 1e6) / n)
}
say('first write to a page (fault)', median(faults.write))
say('read that misses the TLB', median(faults.missed))
say('munmap, per page', median(faults.unmap))
