// A whole machine on stepped CPUs for tests: boot, bring back, tear down, and count what must be left.
import { attachKernel, type Machine, runAlone, type Stepped, type Steps, type Tree } from '../../src/check/index.ts'
import { Global, SlabCache } from '../../src/kernel/machine/globals.ts'
import { load, perCpu } from '../../src/kernel/machine/instructions.ts'
import { Cpu, MAX_SLAB_CACHES } from '../../src/kernel/machine/percpu.ts'
import { getMmCounter, Mm, Rss } from '../../src/kernel/memory/mm.ts'
import { Cache, slabObjectsInUse } from '../../src/kernel/memory/slab.ts'
import { bootMachine } from '../../src/machine/machine.ts'
import { archByName, type MachineOptions } from '../../src/machine/shape.ts'

export type Kernel = Stepped<typeof import('../../src/kernel/kernel.ts')>

const FRAMES = 160

/** A booted machine whose memory can be brought back to how it was. */
export interface WholeMachine {
  readonly machine: Machine
  readonly kernel: Kernel
  readonly cpus: number
  /** Frames accounted for right after boot. */
  readonly frames: number
}

/** Boots a machine of few frames, poisoned, and binds `tree` to it. */
export async function wholeMachine(
  tree: Tree,
  arch: string,
  design: string,
  cpus: number,
  more: Pick<MachineOptions, 'geometry' | 'freeing' | 'index' | 'rcu' | 'tables'> = {},
): Promise<WholeMachine> {
  const memory = more.geometry === 'small' ? {} : { memory: FRAMES * 2 ** archByName(arch).pageShift }
  const { buffer } = bootMachine({ arch, design, cpus, poison: true, ...memory, ...more })
  const machine = await attachKernel(tree, buffer)
  return { machine, kernel: await tree.module('kernel.ts'), cpus, frames: accounted(cpus) }
}

/** Frames that are free or belong to a slab cache. (The native kernel is bound to the same memory.) */
export function accounted(cpus: number): number {
  let frames = load(Global.freePages)
  for (let cpu = 0; cpu < cpus; cpu++) frames += load(perCpu(cpu) + Cpu.pcpCount)
  for (let cache = 0; cache < MAX_SLAB_CACHES; cache++) frames += load(Global.slabs + cache * SlabCache.size + SlabCache.pages)
  return frames
}

/** Ends address spaces on all CPUs, and every callback with them. Returns what is left over, or ''. */
export function tearDown({ machine, kernel, cpus, frames }: WholeMachine, spaces: readonly number[]): string {
  for (let cpu = 0; cpu < cpus; cpu++) runAlone(machine, () => kernel.sysSwitchMm(0), cpu)
  let left = ''
  for (const mm of spaces) {
    // mmgrab keeps the structure readable once the address space has gone.
    machine.words[mm + Mm.count] = (machine.words[mm + Mm.count] as number) + 1
    runAlone(machine, () => kernel.sysExit(mm))
    for (const [name, kind] of Object.entries(Rss)) if (getMmCounter(mm, kind) !== 0) left ||= `rss ${name} is ${getMmCounter(mm, kind)}`
    if (machine.words[mm + Mm.tableWords] !== 0) left ||= `${machine.words[mm + Mm.tableWords]} words of page tables are counted`
    runAlone(machine, function* () {
      yield* kernel.mmDrop(mm)
    })
  }
  function* barrier(): Steps<void> {
    yield* kernel.enterKernel()
    yield* kernel.rcuBarrier()
    yield* kernel.exitKernel()
  }
  for (let cpu = 0; cpu < cpus; cpu++) runAlone(machine, barrier, cpu)
  for (const [name, cache] of Object.entries(Cache)) {
    if (slabObjectsInUse(cache) !== 0) left ||= `${slabObjectsInUse(cache)} objects are left in cache ${name}`
  }
  if (accounted(cpus) !== frames) left ||= `${frames - accounted(cpus)} frames are lost`
  return left
}
