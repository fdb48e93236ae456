// A small address space under a design that counts what becomes of its faults, for tests of which it does by itself.
import { openTree, runAlone, type Steps } from '../../src/check/index.ts'
import { designs } from '../../src/kernel/design/designs.ts'
import { Cpu } from '../../src/kernel/machine/percpu.ts'
import { Access } from '../../src/kernel/pagetable/tlb.ts'
import { Placement } from '../../src/kernel/syscall/mmap.ts'
import { Vm } from '../../src/kernel/vma/vma.ts'
import { type WholeMachine, wholeMachine } from '../check/whole-machine.ts'

const MAY = Vm.mayRead | Vm.mayWrite
/** VMA flags of private, writable memory. */
export const READ_WRITE = Vm.read | Vm.write | MAY
/** The first of four mapped pages. */
export const PAGE = 64

const tree = await openTree()

/** Counters of all CPUs, those that are not 0. */
export function counted({ machine, cpus }: WholeMachine, design: string): Record<string, number> {
  const names = designs.find(({ name }) => name === design)?.counters ?? []
  const out: Record<string, number> = {}
  for (const [i, name] of names.entries()) {
    for (let cpu = 0; cpu < cpus; cpu++) {
      const value = machine.words[machine.areas + cpu * tree.percpu.CPU_STRIDE + Cpu.statDesign + i] as number
      if (value !== 0) out[name] = (out[name] ?? 0) + value
    }
  }
  return out
}

/** A machine of two CPUs with one address space. */
export interface Space {
  readonly whole: WholeMachine
  readonly mm: number
  /** An access by CPU 0, alone: 1, or a signal's bits negated. What it adds to the counters. */
  touch(page: number, access?: number): [number, Record<string, number>]
  alone(task: () => unknown, cpu?: number): number
  access(page: number, access: number): Steps<number>
}

/** Four pages at PAGE in an address space that `cpus` CPUs run; of a file, with its only reference, unless `disk` is below 0. `rights`: VMA flags. */
export async function space(design: string, cpus: number, disk = -1, rights = READ_WRITE): Promise<Space> {
  const whole = await wholeMachine(tree, 'x86_64', design, 2)
  const { machine, kernel } = whole
  const alone = (task: () => unknown, cpu = 0): number => runAlone(machine, task as () => Steps<number>, cpu) as number
  const mm = alone(() => kernel.sysNewMm())
  for (let cpu = 0; cpu < cpus; cpu++) runAlone(machine, () => kernel.sysSwitchMm(mm), cpu)
  const inode = disk < 0 ? 0 : alone(() => kernel.inodeCreate(4, disk, 0, 1))
  const file = disk < 0 ? 0 : alone(() => kernel.fileOpen(inode))
  alone(() => kernel.sysMmap(mm, PAGE, 4, rights, Placement.fixed, file, 0))
  if (disk >= 0) {
    alone(() => kernel.iput(inode))
    alone(() => kernel.putFile(file))
  }
  function* access(page: number, how: number): Steps<number> {
    const frame = yield* kernel.beginAccess(page, how)
    if (frame < 0) return frame
    yield* kernel.endAccess()
    return 1
  }
  return {
    whole,
    mm,
    alone,
    access,
    touch: (page, how = Access.write) => {
      const before = counted(whole, design)
      const result = alone(() => access(page, how))
      const now = counted(whole, design)
      const added = Object.entries(now).map(([name, value]) => [name, value - (before[name] ?? 0)] as const)
      return [result, Object.fromEntries(added.filter(([, value]) => value !== 0))]
    },
  }
}
