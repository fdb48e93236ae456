// A gigabyte that is made page by page, when somebody looks: a range whose missing pages the program fills itself.
// Run it with: node examples/userfault.mjs
import { createMachine } from 'gracewalk'

const machine = createMachine({ memory: 8 << 20, cpus: 1 })
const space = machine.createSpace()
const size = machine.pageSize
const length = 1 << 30
const table = space.mmap({ length })
let made = 0

// The table of squares: entry n, 8 bytes, is n * n.
space.registerUserfault(table, length, (address) => {
  made++
  const first = (address - table) / 8
  return new Uint8Array(Float64Array.from({ length: size / 8 }, (_, i) => (first + i) ** 2).buffer)
})

for (const n of [3, 1000, 1001, 100_000_000]) console.log(`${n} squared is ${space.getFloat64(table + 8 * n)}`)
console.log(`${made} pages of ${length / size} were made`)
