// A machine as its owner and its CPUs hold it: the buffer, its shape, and which design it runs.

import { attach, boot, type MachineShape, machineBytes } from './boot.ts'
import { availableParallelism } from './cores.ts'
import type { Design } from './kernel/design/design.ts'
import { designs } from './kernel/design/designs.ts'
import { type MachineOptions, machineShape } from './shape.ts'

/** Everything another thread needs to become a CPU of a machine; survives `postMessage`. */
export interface MachineHandle {
  readonly buffer: SharedArrayBuffer
  readonly shape: MachineShape
}

/** Lays out a machine. The thread that calls this is CPU 0 until it attaches as another. Throws `MachineOptionError`. */
export function bootMachine(options: MachineOptions): MachineHandle {
  const shape = machineShape(options)
  const buffer = new SharedArrayBuffer(machineBytes(shape))
  boot(buffer, shape, designOf(shape))
  return { buffer, shape }
}

/** Makes the calling thread CPU `cpu` of the machine. One machine is bound per thread at a time. */
export function attachCpu(machine: MachineHandle, cpu: number): void {
  attach(machine.buffer, cpu, designOf(machine.shape), machine.shape.cpus > availableParallelism())
}

function designOf(shape: MachineShape): Design {
  const design = designs[shape.design]
  if (design === undefined) throw new Error(`no design number ${shape.design}`)
  return design
}
