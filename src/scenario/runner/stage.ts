// The stage of a scenario: a small machine, booted natively, with warm per-CPU pools, taken over by stepped CPUs. What the
// set-up asks for runs on it before the first interleaving; detectors listen from the beginning.

import type { FileDescription } from '../../check/detect/index.ts'
import { attachKernel, type Machine, runAlone, type Stepped, type Task, type Tree } from '../../check/index.ts'
import { PAGE_WORDS, PTE_FRAGMENTS, PTRS_PER_PTE } from '../../kernel/arch/arch.ts'
import { Global } from '../../kernel/machine/globals.ts'
import { fileStamp } from '../../kernel/memory/page-cache.ts'
import { bootMachine, prefill } from '../../machine/machine.ts'
import { isDesignFile, loadDesign } from '../../machine/own-design.ts'
import { type Combination, type WholeCombination, wholeCombination } from './axes.ts'
import { type Call, type Calls, callsOn, type Kernel, type User } from './calls.ts'
import { ScenarioError } from './errors.ts'
import { loadProgram } from './program.ts'
import type { Past } from './sequential.ts'

/** What a scenario sets up with. Pages are virtual page numbers; nothing is mapped at first. */
export interface Stage {
  readonly combination: WholeCombination
  readonly machine: Machine
  readonly kernel: Kernel
  /** Pages that one PTE table maps, and PTE tables that share a page of memory. */
  readonly tablePages: number
  readonly tablesPerPage: number
  /** First page of the span of PTE table number `n` (1 and up), so that pages of different `n` lie in different tables. */
  table(n: number): number
  /** Runs a call alone on CPU `cpu`, now. Returns its result. */
  now(cpu: number, call: Call): number
  /** A new address space, loaded on the CPUs in `cpus` (default: all). */
  newMm(cpus?: readonly number[]): Calls & { readonly mm: number }
  /** The calls on an address space that there is (a child's), loaded on `cpus`. */
  callsOn(mm: number, cpus: readonly number[]): Calls & { readonly mm: number }
  /** A program in the kernel's language: one that ships, by name, or a file of the user's. */
  program<M>(program: string | URL): Promise<Stepped<M>>
  /** A call of a program's function. */
  call(text: string, begin: () => unknown): Call
  /** Enters the kernel and waits until what the CPU deferred is freed. */
  waitForCallbacks: Call
  /**
   * A file of `pages` pages, open until the end or until `close`. With `disk` its pages are read from a disk when they are first
   * asked for; without, they are zeroes.
   */
  file(pages: number, disk?: boolean): FileDescription & { readonly close: Call }
  /** A device with 2^`order` pages of memory, open until the end or until `close`; `revoke`: its driver takes them back. */
  device(order: number): FileDescription & { readonly close: Call; readonly revoke: Call }
  /**
   * Takes what memory there is on every CPU, until the end: all but `pages` frames and as many objects of `cache` as `objects`
   * says (see `Cache`), which CPU `cpu` has. A cache grows as long as its CPU finds a frame.
   */
  shortage(cpu: number, pages: number, cache?: number, objects?: number): void
  /** `count` zero words (at most a small page) that no CPU uses otherwise, for locks and data of a program. */
  words(count: number): number
  /** A module of the kernel. */
  module<M>(path: string): Promise<Stepped<M>>
}

/** A stage and what the checker needs of it behind the scenes. */
export interface Backstage extends Stage {
  /** The address spaces that the set-up made. */
  readonly spaces: readonly number[]
  /** The calls that the set-up made, in order, as far as they have a description. */
  readonly history: readonly Past[]
  /** All of them, for readers: the CPU, and the call's text. */
  readonly told: readonly (readonly [cpu: number, text: string])[]
  /** Gives back what `words` took. */
  readonly leave: readonly (() => unknown)[]
}

/** Sets a stage for `cpus` CPUs with the stepped kernel `tree`. `listen` is called before anything runs on it. */
export async function setStage(cpus: number, combination: Combination, tree: Tree, listen: (machine: Machine) => void): Promise<Backstage> {
  const { design } = combination
  await loadDesign(design)
  const handle = bootMachine({ ...combination, cpus, geometry: 'small', poison: true })
  for (let cpu = 0; cpu < cpus; cpu++) prefill(handle, cpu)
  const machine = await attachKernel(tree, handle.buffer, isDesignFile(design) ? await tree.loadDesign(design) : undefined)
  listen(machine)
  const kernel = (await tree.module('kernel.ts')) as Kernel
  const alloc = await tree.module<typeof import('../../kernel/memory/page-alloc.ts')>('memory/page-alloc.ts')
  const slab = await tree.module<typeof import('../../kernel/memory/slab.ts')>('memory/slab.ts')
  const { pageToVirt } = (await tree.module('memory/page.ts')) as unknown as typeof import('../../kernel/memory/page.ts')
  const barrier = await loadProgram<typeof import('../programs/barrier.ts')>(tree, 'barrier')
  const user: User = await loadProgram(tree, 'user')
  const spaces: number[] = []
  const history: Past[] = []
  const told: [cpu: number, text: string][] = []
  const leave: (() => unknown)[] = []
  const openUntilTheEnd = (file: number): Call => {
    let open = true
    leave.push(() => (open ? kernel.putFile(file) : 0))
    const close = (): unknown => {
      open = false
      return kernel.putFile(file)
    }
    return { text: 'close()', begin: close }
  }
  const alone = (task: Task, cpu = 0): number => runAlone(machine, task, cpu) as number
  const loadOn = (mm: number, on: readonly number[]): Calls & { readonly mm: number } => {
    for (const cpu of on) alone(() => kernel.sysSwitchMm(mm), cpu)
    return { mm, ...callsOn(machine, kernel, user, mm) }
  }
  return {
    combination: wholeCombination(combination),
    machine,
    kernel,
    tablePages: PTRS_PER_PTE,
    tablesPerPage: PTE_FRAGMENTS,
    spaces,
    history,
    told,
    leave,
    table: (n) => n * PTRS_PER_PTE,
    now: (cpu, call) => {
      const result = alone(call.begin, cpu)
      told.push([cpu, call.text])
      if (call.description !== undefined) history.push({ description: call.description, result })
      return result
    },
    newMm: (on = Array.from({ length: cpus }, (_, cpu) => cpu)) => {
      const mm = alone(() => kernel.sysNewMm())
      spaces.push(mm)
      return loadOn(mm, on)
    },
    callsOn: (mm, on) => {
      if (!spaces.includes(mm)) spaces.push(mm)
      return loadOn(mm, on)
    },
    file: (pages, disk = false) => {
      const id = machine.words[Global.nextFileId] as number
      machine.words[Global.nextFileId] = id + 1
      const inode = alone(() => kernel.inodeCreate(pages, disk ? 1 : 0, 0, id))
      const file = alone(() => kernel.fileOpen(inode))
      alone(() => kernel.iput(inode))
      const stamps = new Map(disk ? Array.from({ length: pages }, (_, i) => [i, fileStamp(id, i)] as const) : [])
      return { file, inode, pages, stamps, close: openUntilTheEnd(file) }
    },
    device: (order) => {
      const id = machine.words[Global.nextFileId] as number
      machine.words[Global.nextFileId] = id + 1
      const inode = alone(() => kernel.deviceCreate(order, id))
      const file = alone(() => kernel.fileOpen(inode))
      const opened = { file, inode, pages: 1 << order, stamps: new Map<number, number>(), device: true }
      const close = openUntilTheEnd(file)
      // The driver's reference: a device is there without anybody who has it open.
      leave.push(() => kernel.iput(inode))
      const revoke: Call = {
        text: 'the driver takes its pages back',
        description: { name: 'revoke', mm: spaces[0] ?? 0, start: 0, pages: 0, file: opened },
        begin: () => kernel.sysDeviceRevoke(inode),
      }
      return { ...opened, close, revoke }
    },
    shortage: (cpu, pages, cache, objects = 0) => {
      // Frames first: then no cache can grow.
      const takeAll = (take: Task): number[] => {
        const taken: number[] = []
        for (let one = 0; one < cpus; one++) for (let got = alone(take, one); got !== 0; got = alone(take, one)) taken.push(got)
        return taken
      }
      const frames = takeAll(() => alloc.allocPage(0))
      const had = cache === undefined ? [] : takeAll(() => slab.kmemCacheAlloc(cache))
      for (const page of frames.splice(0, pages)) alone(() => alloc.freePage(page), cpu)
      for (const object of had.splice(0, objects)) alone(() => slab.kmemCacheFree(cache as number, object), cpu)
      leave.push(...frames.map((page) => () => alloc.freePage(page)))
      leave.push(...had.map((object) => () => slab.kmemCacheFree(cache as number, object)))
    },
    program: (program) => loadProgram(tree, program),
    call: (text, begin) => ({ text, begin }),
    waitForCallbacks: { text: 'rcu_barrier()', begin: () => barrier.waitForCallbacks() },
    words: (count) => {
      if (!Number.isInteger(count) || count < 1 || count > PAGE_WORDS)
        throw new ScenarioError(`stage.words gives 1 to ${PAGE_WORDS} words, not ${count}`)
      const page = alone(() => alloc.allocPage(0))
      leave.push(() => alloc.freePage(page))
      const p = pageToVirt(page)
      machine.words.fill(0, p, p + count)
      return p
    },
    module: (path) => tree.module(path),
  }
}
