// Small scenarios of the real kernel with every detector on, under random schedules: what the tests of the detectors run.
import { type CallDescription, createDetectors, type DetectorOptions, type Detectors } from '../../../src/check/detect/index.ts'
import { explore } from '../../../src/check/explore/explore.ts'
import { kernelModel } from '../../../src/check/explore/kernel-model.ts'
import { type Machine, runAlone, type Steps, type Task, type Tree } from '../../../src/check/index.ts'
import { Vm } from '../../../src/kernel/vma/vma.ts'
import { type Kernel, type WholeMachine, wholeMachine } from '../whole-machine.ts'

const CPUS = 2
export const RW = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite

/** A machine with one address space that all its CPUs run, four pages mapped. */
export interface Scene {
  readonly whole: WholeMachine
  readonly machine: Machine
  readonly kernel: Kernel
  readonly detectors: Detectors
  readonly mm: number
  readonly page: number
  /** Accesses page `vpn`, twice. */
  touch(vpn: number, write?: boolean): Task
}

/** Sets up a scene, in a small geometry. */
export async function scene(
  tree: Tree,
  arch: string,
  design: string,
  describe: (mm: number, page: number) => readonly (readonly CallDescription[])[] = () => [],
  more: DetectorOptions & { readonly freeing?: string } = {},
): Promise<Scene> {
  const { freeing = 'rcu-batch', ...options } = more
  const whole = await wholeMachine(tree, arch, design, CPUS, { geometry: 'small', freeing })
  const { machine, kernel } = whole
  const here = { mm: 0, page: 0 }
  const detectors = createDetectors(machine, { calls: () => describe(here.mm, here.page), spaces: () => [here.mm], ...options })
  here.mm = runAlone(machine, () => kernel.sysNewMm()) as number
  for (let cpu = 0; cpu < CPUS; cpu++) runAlone(machine, () => kernel.sysSwitchMm(here.mm), cpu)
  here.page = runAlone(machine, () => kernel.sysMmap(here.mm, 0, 4, RW, 0, 0, 0)) as number
  function* touches(vpn: number, write: boolean): Steps<number> {
    for (let i = 0; i < 2; i++) {
      if (write) yield* kernel.userStore(vpn, 0, 4711 + i)
      else yield* kernel.userLoad(vpn, 0)
    }
    return 0
  }
  return {
    whole,
    machine,
    kernel,
    detectors,
    ...here,
    touch:
      (vpn, write = true) =>
      () =>
        touches(vpn, write),
  }
}

/** Runs the scene's calls under `executions` random schedules, or under all with up to one preemption. Returns what was seen first, or ''. */
export function look({ machine, detectors }: Scene, calls: readonly (readonly Task[])[], executions?: number): string {
  detectors.snapshot()
  const how = executions === undefined ? { mode: 'bounded' as const, preemptions: 1 } : { mode: 'random' as const, seed: 7, executions }
  // The detectors alone shall judge: the check that reduction needs would often speak first.
  const { watchPlain: _, ...model } = kernelModel({ machine, calls, watch: detectors, handWritten: true })
  const report = explore(model, { maxSteps: 20_000, ...how })
  return report.verdict === 'violation' ? report.message : ''
}
