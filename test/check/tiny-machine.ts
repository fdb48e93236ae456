// A machine just large enough for the rooms machine/ and sync/: globals, per-CPU areas, and scratch words for locks.
import { bindMachine, type Machine, openTree, type Task, type Tree } from '../../src/check/index.ts'
import { Mode } from '../../src/kernel/machine/entry.ts'
import { Global } from '../../src/kernel/machine/globals.ts'
import { CPU_STRIDE, Cpu } from '../../src/kernel/machine/percpu.ts'

export const AREAS = 1024
export const MAX_CPUS = 4
/** Scratch words of the tests. */
export const SCRATCH = AREAS + MAX_CPUS * CPU_STRIDE
export const WORDS = SCRATCH + 1024

/** An SRCU domain and its counters, inside the scratch words. */
export const DOMAIN = SCRATCH + 256

/** The word of a CPU's field. */
export function cpuWord(cpu: number, field: number): number {
  return AREAS + cpu * CPU_STRIDE + field
}

/** Lays out `words`: every CPU is in the kernel, nothing is held. */
export function layOut(words: Int32Array, cpus: number): void {
  words.fill(0)
  words[Global.nrCpus] = cpus
  words[Global.perCpuAreas] = AREAS
  words[Global.rcuSnapshots] = SCRATCH + 512
  words[DOMAIN + 4] = SCRATCH + 600 // Srcu.counters
  for (let cpu = 0; cpu < cpus; cpu++) words[cpuWord(cpu, Cpu.context)] = Mode.kernel
}

export interface Tiny {
  readonly tree: Tree
  machine(cpus: number, interrupt?: Task): Machine
}

/** Opens the shipped stepped kernel (or the one in `outDir`) for tiny machines. */
export async function openTiny(outDir?: string): Promise<Tiny> {
  const tree = await openTree(outDir)
  return {
    tree,
    machine(cpus, interrupt) {
      const machine = bindMachine(tree, {
        buffer: new SharedArrayBuffer(WORDS * 4),
        cpus,
        perCpuAreas: AREAS,
        interrupt: interrupt ?? null,
      })
      layOut(machine.words, cpus)
      return machine
    },
  }
}
