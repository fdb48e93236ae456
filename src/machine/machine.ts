// A machine as its owner and its CPUs hold it: the buffer, its shape, and which design it runs.

import type { Design } from '../kernel/design/design.ts'
import { designs } from '../kernel/design/designs.ts'
import { allocateHeap, type WasmMemory } from '../kernel/machine/heap.ts'
import { attach, boot, type MachineShape, machineBytes } from './boot.ts'
import { availableParallelism } from './cores.ts'
import { loadedDesign } from './own-design.ts'
import { fillLists, type Warmth } from './prefill.ts'
import { MachineOptionError, type MachineOptions, machineShape, notLoaded } from './shape.ts'

/** Everything another thread needs to become a CPU of a machine; survives `postMessage`. */
export interface MachineHandle {
  readonly buffer: SharedArrayBuffer
  /** The WebAssembly memory that the buffer is of, through which access is faster; undefined above 4 GiB. */
  readonly memory?: WasmMemory | undefined
  readonly shape: MachineShape
}

/** Lays out a machine. The thread that calls this is CPU 0 until it attaches as another. Throws `MachineOptionError`. */
export function bootMachine(options: MachineOptions): MachineHandle {
  const shape = machineShape(options)
  const size = machineBytes(shape)
  const memory = wasmMemory(size)
  const buffer = (memory?.buffer as SharedArrayBuffer | undefined) ?? new SharedArrayBuffer(size)
  boot(buffer, shape, designOf(shape), memory)
  return { buffer, shape, memory }
}

/** Memory of `size` bytes through WebAssembly, or undefined where there is none to be had: then `Atomics` serve. */
function wasmMemory(size: number): WasmMemory | undefined {
  try {
    return allocateHeap(size)
  } catch {
    return undefined
  }
}

/** Makes the calling thread CPU `cpu` of the machine. One machine is bound per thread at a time. */
export function attachCpu(machine: MachineHandle, cpu: number): void {
  attach(machine.buffer, cpu, designOf(machine.shape), machine.shape.cpus > availableParallelism(), machine.memory)
}

/**
 * Gives CPU `cpu` of the booted machine frames and objects on its own lists (see `Warmth`), so that it need not meet others in
 * an allocator. No CPU may be running; the calling thread is `cpu` afterwards. Throws as `fillLists`.
 */
export function prefill(machine: MachineHandle, cpu: number, warmth: Warmth = {}): void {
  attachCpu(machine, cpu)
  fillLists(warmth)
}

function designOf(shape: MachineShape): Design {
  const { own } = shape
  if (own !== undefined) {
    const found = loadedDesign(own.path)
    if (found?.hash !== own.hash) throw new MachineOptionError(notLoaded(own.path))
    return found.design
  }
  const design = designs[shape.design]
  if (design === undefined) throw new Error(`no design number ${shape.design}`)
  return design
}
