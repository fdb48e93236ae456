// A scenario of the stepped kernel that is set up by hand: its calls look at frames themselves.
import { kernelModel } from '../../../src/check/explore/kernel-model.ts'
import type { Model } from '../../../src/check/explore/model.ts'
import { attachKernel, runAlone, type Steps, type Tree } from '../../../src/check/index.ts'
import { Access } from '../../../src/kernel/pagetable/tlb.ts'
import { Vm } from '../../../src/kernel/vma/vma.ts'
import { bootMachine } from '../../../src/machine/machine.ts'
import { archByName } from '../../../src/machine/shape.ts'

const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite
const FRAMES = 160

/**
 * CPU 0 faults on a page of a mapping, beside CPU 1 that unmaps it. Both CPUs have touched page `touched` of the mapping
 * before: with 0 their TLBs know the page itself.
 */
export async function faultBesideMunmap(tree: Tree, arch: string, design: string, touched: number): Promise<Model> {
  const on = tree.instructions
  const memory = FRAMES * 2 ** archByName(arch).pageShift
  const machine = await attachKernel(tree, bootMachine({ arch, design, cpus: 2, memory, poison: true }).buffer)
  const kernel = await tree.module<typeof import('../../../src/kernel/kernel.ts')>('kernel.ts')
  const mm = runAlone(machine, () => kernel.sysNewMm()) as number
  for (let cpu = 0; cpu < 2; cpu++) runAlone(machine, () => kernel.sysSwitchMm(mm), cpu)
  const page = runAlone(machine, () => kernel.sysMmap(mm, 0, 4, RW, 0, 0, 0)) as number
  function* touch(): Steps<void> {
    if ((yield* kernel.beginAccess(page + touched, Access.write)) > 0) yield* kernel.endAccess()
  }
  for (let cpu = 0; cpu < 2; cpu++) runAlone(machine, touch, cpu)
  let unmapped = false
  function* faults(): Steps<string> {
    const late = unmapped
    const frame = yield* kernel.beginAccess(page, Access.write)
    if (frame <= 0) return ''
    on.store(frame, 4711)
    const same = (yield on.readOnce(frame)) === 4711
    yield* kernel.endAccess()
    return late ? 'an access after munmap had returned' : same ? '' : 'a page was reused during an access'
  }
  function* unmaps(): Steps<string> {
    const result = yield* kernel.sysMunmap(mm, page, 2)
    unmapped = true
    return result === 0 ? '' : `munmap returned ${result}`
  }
  return kernelModel({
    machine,
    calls: [[faults], [unmaps]],
    handWritten: true,
    reset: () => {
      unmapped = false
    },
    check: (results) => (results.flat().find((wrong) => wrong !== '') as string | undefined) ?? '',
  })
}
