// The memory of an emulated computer: sparse, protected, forked for a snapshot. The guest's program adds up an array, then
// writes to its own code, which is mapped read-only; the host sees the fault as the guest's operating system would.
// Run it with: node examples/emulator-memory.mjs
import { createMachine, SegmentationFault } from 'gracewalk'

const machine = createMachine({ memory: 16 << 20, cpus: 1 })
const memory = machine.createSpace()
const CODE = 0x400000
const DATA = 0x7fff0000_0000 // 128 TiB further up; only what is touched costs memory
const Op = { load: 1, add: 2, next: 3, loop: 4, store: 5 }

memory.mmap({ address: CODE, length: machine.pageSize, fixed: true })
memory.write(CODE, Uint8Array.of(Op.load, Op.add, Op.next, Op.loop, Op.store))
memory.mprotect(CODE, machine.pageSize, 'rx')
memory.mmap({ address: DATA, length: 1 << 30, fixed: true })
for (let i = 0; i < 1000; i++) memory.setInt32(DATA + i * 4096, i)

const snapshot = memory.fork()

/** Runs until the guest faults. Returns its registers and the fault. */
function run(space) {
  const cpu = { pc: CODE, pointer: DATA, value: 0, sum: 0 }
  try {
    for (;;) {
      const op = space.getUint8(cpu.pc)
      if (op === Op.load) cpu.value = space.getInt32(cpu.pointer)
      else if (op === Op.add) cpu.sum += cpu.value
      else if (op === Op.next) cpu.pointer += 4096
      else if (op === Op.store) space.setInt32(CODE, cpu.sum)
      cpu.pc = op === Op.loop && cpu.pointer < DATA + 1000 * 4096 ? CODE : cpu.pc + 1
    }
  } catch (fault) {
    if (!(fault instanceof SegmentationFault)) throw fault
    return { ...cpu, fault }
  }
}

const first = run(memory)
console.log(`sum ${first.sum}, then ${first.fault.message} at pc 0x${first.pc.toString(16)}`)
memory.setInt32(DATA, 1_000_000)
console.log(`after a write ${run(memory).sum}, in the snapshot ${run(snapshot).sum}`)
