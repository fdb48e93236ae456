// Races for tests of counterexamples: a walker of page tables beside a munmap on a kernel whose tables are freed at once, and
// small ones on a tiny machine.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createRecorder, type Facts, type Labels, type Recorder } from '../../../src/check/counterexample/index.ts'
import { kernelModel, type Model } from '../../../src/check/explore/index.ts'
import { attachKernel, openTree, runAlone, type Steps, type Task, type Tree } from '../../../src/check/index.ts'
import type { Explains } from '../../../src/check/violation.ts'
import type { Watch } from '../../../src/check/watch.ts'
import { buildStepped } from '../../../src/compile/build.ts'
import { Access } from '../../../src/kernel/pagetable/tlb.ts'
import { Vm } from '../../../src/kernel/vma/vma.ts'
import { bootMachine } from '../../../src/machine/machine.ts'
import { archByName } from '../../../src/machine/shape.ts'
import { openTiny, SCRATCH, type Tiny } from '../tiny-machine.ts'
import { freedWatch } from './freed-watch.ts'

/** A model that can be recorded, and what it is. */
export interface Race {
  readonly tree: Tree
  readonly model: Model
  readonly recorder: Recorder
  readonly watch: (Watch & Partial<Explains>) | null
  readonly facts: Facts
  readonly labels?: Labels
}

const SRC = fileURLToPath(new URL('../../../src/kernel', import.meta.url))

/** Opens a stepped kernel in which `from` in `file` is `to`. */
export async function variantTree(file: string, from: string, to: string): Promise<Tree> {
  const text = readFileSync(join(SRC, file), 'utf8')
  if (!text.includes(from)) throw new Error(`${file} has no ${from}`)
  const out = mkdtempSync(join(tmpdir(), 'gracewalk-'))
  built.push(out)
  await buildStepped(SRC, join(out, 'kernel'), { replace: { [file]: text.replace(from, to) } })
  return openTree(join(out, 'kernel'))
}

/** Directories of variants, whose modules are imported as scenarios need them. */
const built: string[] = []
/** Removes what `variantTree` built. */
export function removeVariants(): void {
  for (const out of built.splice(0)) rmSync(out, { recursive: true })
}

const WALKER = `
import { exitKernel, enterKernel } from '../syscall/entry.ts'
import { ptepGet } from '../pagetable/entries.ts'
import { findPmd } from '../pagetable/levels.ts'
import { pteOffsetMap, pteUnmap } from '../pagetable/pte-offset-map.ts'
import { rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'
export function showSmap(mm: number, vpn: number): number {
  enterKernel()
  rcuReadLock()
  let pte = 0
  const pmd = findPmd(mm, vpn)
  if (pmd !== 0) {
    const ptep = pteOffsetMap(pmd, vpn)
    if (ptep !== 0) {
      pte = ptepGet(ptep)
      pteUnmap(ptep)
    }
  }
  rcuReadUnlock()
  exitKernel()
  return pte
}
`

/** CPU 0 walks the tables of a page under RCU alone, CPU 1 unmaps it. */
export async function walkerBesideMunmap(tree: Tree, arch = 'x86_64'): Promise<Race> {
  tree.announce.observe(null) // that of the last model on this tree
  const memory = 160 * 2 ** archByName(arch).pageShift
  const machine = await attachKernel(tree, bootMachine({ arch, design: 'vma-lock', cpus: 2, memory, poison: true }).buffer)
  const kernel = await tree.module<typeof import('../../../src/kernel/kernel.ts')>('kernel.ts')
  const { showSmap } = await tree.load<{ showSmap(mm: number, vpn: number): Steps<number> }>('proc/show-smap.ts', WALKER)
  const mm = runAlone(machine, () => kernel.sysNewMm()) as number
  for (let cpu = 0; cpu < 2; cpu++) runAlone(machine, () => kernel.sysSwitchMm(mm), cpu)
  const page = runAlone(machine, () => kernel.sysMmap(mm, 0, 1, Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite, 0, 0, 0)) as number
  runAlone(machine, function* () {
    if ((yield* kernel.beginAccess(page, Access.write)) > 0) yield* kernel.endAccess()
  })
  const watch = freedWatch()
  const recorder = createRecorder(machine, watch)
  const model = kernelModel({
    machine,
    calls: [[() => showSmap(mm, page)], [() => kernel.sysMunmap(mm, page, 1)]],
    watch: recorder.watch,
  })
  const facts: Facts = {
    scenario: 'smaps-munmap',
    design: 'vma-lock',
    arch,
    freeing: 'immediate',
    calls: [[`smaps(0x${page.toString(16)})`], [`munmap(0x${page.toString(16)}, 1 page)`]],
  }
  return { tree, model, recorder, watch, facts }
}

/** Tables are freed as soon as they are unhooked and flushed. */
export function immediateTree(): Promise<Tree> {
  const queue = 'callRcu(tables + GatherBatch.rcuHead, RcuFunc.tableBatch)'
  return variantTree('pagetable/mmu-gather.ts', queue, 'tableBatchFreeRcu(tables + GatherBatch.rcuHead)')
}

/** A race of hand-written tasks on `tasks.length` CPUs of a tiny machine, whose scratch words have names. */
export function tinyRace(
  tiny: Tiny,
  names: readonly string[],
  calls: readonly (readonly string[])[],
  tasks: readonly Task[],
  check?: (words: Int32Array) => string,
): Race {
  const machine = tiny.machine(tasks.length)
  const recorder = createRecorder(machine, null)
  const model = kernelModel({
    machine,
    calls: tasks.map((task) => [task]),
    watch: recorder.watch,
    ...(check === undefined ? {} : { check: (_: unknown, words: Int32Array) => check(words) }),
  })
  const labels = new Map(names.map((name, i) => [SCRATCH + i, name]))
  return { tree: tiny.tree, model, recorder, watch: null, facts: { scenario: 'tiny', design: '', arch: '', freeing: '', calls }, labels }
}

/** Two locks taken in both orders. */
export async function lockCycle(tiny: Tiny): Promise<Race> {
  const { spinLock, spinUnlock } = await tiny.tree.module<typeof import('../../../src/kernel/sync/spinlock.ts')>('sync/spinlock.ts')
  const both = (first: number, second: number): Task =>
    function* () {
      yield* spinLock(first)
      yield* spinLock(second)
      yield* spinUnlock(second)
      yield* spinUnlock(first)
    }
  return tinyRace(
    tiny,
    ['zone.lock', 'lru.lock'],
    [['reclaim()'], ['allocate()']],
    [both(SCRATCH, SCRATCH + 1), both(SCRATCH + 1, SCRATCH)],
  )
}

/** `cpus` CPUs add one to a counter without a lock. */
export function lostUpdate(tiny: Tiny, cpus: number): Race {
  const on = tiny.tree.instructions
  const task = (noise: number): Task =>
    function* () {
      for (let i = 0; i < 4; i++) yield on.writeOnce(SCRATCH + 8 + noise, i)
      const seen: number = yield on.readOnce(SCRATCH)
      yield on.writeOnce(SCRATCH, seen + 1)
      for (let i = 0; i < 4; i++) yield on.writeOnce(SCRATCH + 8 + noise, i)
    }
  return tinyRace(
    tiny,
    ['mm.mapCount'],
    Array.from({ length: cpus }, () => ['mmap()']),
    Array.from({ length: cpus }, (_, cpu) => task(cpu)),
    (words) => (words[SCRATCH] === cpus ? '' : `an update was lost: ${cpus} calls counted ${words[SCRATCH]}`),
  )
}

/** Two CPUs take locks of their own around plain accesses to the same word. */
export async function ownLocks(tiny: Tiny): Promise<Race> {
  const on = tiny.tree.instructions
  const { spinLock, spinUnlock } = await tiny.tree.module<typeof import('../../../src/kernel/sync/spinlock.ts')>('sync/spinlock.ts')
  const under = (lock: number, act: () => unknown): Task =>
    function* () {
      for (let i = 0; i < 3; i++) yield on.writeOnce(lock + 8, i)
      yield* spinLock(lock)
      act()
      yield* spinUnlock(lock)
    }
  return tinyRace(
    tiny,
    ['vma.flags', 'mm.mmapLock', 'vma.lock'],
    [['mprotect()'], ['fault()']],
    [under(SCRATCH + 1, () => on.store(SCRATCH, 3)), under(SCRATCH + 2, () => on.load(SCRATCH))],
  )
}

export { openTiny }
