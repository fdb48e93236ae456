// Stepped CPUs on a whole machine: one that was booted natively (`bootMachine`), whose buffer the stepped kernel takes over.
import { Global } from '../kernel/machine/globals.ts'
import type { Machine } from './execution.ts'
import { bindMachine } from './run.ts'
import type { Stepped, Tree } from './tree.ts'

/**
 * Binds the stepped kernel to the booted machine in `buffer`: its architecture, its design (or `design`, a table from
 * `tree.loadDesign`), as many CPUs as it has, and the kernel's interrupt handler.
 */
export async function attachKernel(tree: Tree, buffer: SharedArrayBuffer, design?: unknown): Promise<Machine> {
  const words = new Int32Array(buffer)
  const { bindArch } = (await tree.module<typeof import('../kernel/arch/arch.ts')>(
    'arch/arch.ts',
  )) as unknown as typeof import('../kernel/arch/arch.ts')
  const { architectures } = await tree.module<typeof import('../kernel/arch/architectures.ts')>('arch/architectures.ts')
  const { designs } = await tree.module<typeof import('../kernel/design/designs.ts')>('design/designs.ts')
  const { bindDesign } = await tree.module<typeof import('../kernel/design/design.ts')>('design/design.ts')
  const { bindAxes } = (await tree.module<typeof import('../kernel/machine/axes.ts')>(
    'machine/axes.ts',
  )) as unknown as typeof import('../kernel/machine/axes.ts')
  const { interrupt } = await tree.module<typeof import('../kernel/pagetable/tlb.ts')>('pagetable/tlb.ts')
  const arch = architectures[words[Global.archId] as number]
  const chosen = design ?? designs[words[Global.designId] as number]
  if (arch === undefined || chosen === undefined)
    throw new Error('the buffer holds no machine that was booted, or its design must be given')
  bindArch(arch, words[Global.geometryId] as number)
  bindAxes(words[Global.indexId] as number, words[Global.rcuId] as number, words[Global.tablesId] as number)
  ;(bindDesign as (design: Stepped<unknown> | unknown) => unknown)(chosen)
  return bindMachine(tree, {
    buffer,
    cpus: words[Global.nrCpus] as number,
    perCpuAreas: words[Global.perCpuAreas] as number,
    interrupt: () => interrupt(),
  })
}
