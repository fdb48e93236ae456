// Where a CPU is: outside (its thread computes, idles or sleeps), in user mode (one access through the TLB), or in the
// kernel. Each change is counted, so that one word serves as RCU's dyntick counter and tells a TLB shoot-down whom it
// may skip. Protocol of a CPU: publish the mode, then recheck what others asked of it; of others: ask, then read the mode.
import { load, readOnce, thisCpu, writeOnce } from './instructions.ts'
import { Cpu } from './percpu.ts'

/** Modes of a CPU, the two low bits of its context word. */
export const Mode = Object.freeze({ outside: 0, user: 1, kernel: 2 })

/** The mode that context word `context` holds. */
export function contextMode(context: number): number {
  return context & 3
}

/** Publishes that the executing CPU is now in `mode`. Leaving `Mode.kernel` is a quiescent state. */
export function setContext(mode: number): void {
  const cpu = thisCpu()
  writeOnce(cpu + Cpu.context, (((load(cpu + Cpu.context) | 3) + 1) | mode) & 0x7fffffff)
}

/** The context word of the CPU whose area is at `cpu`. */
export function readContext(cpu: number): number {
  return readOnce(cpu + Cpu.context)
}
