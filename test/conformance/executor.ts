// How a subject reaches the kernel: on this thread (native), or one announced step at a time (stepped).
import { attachKernel, type Machine, openTree, runAlone, type Steps } from '../../src/check/index.ts'
import * as native from '../../src/kernel/kernel.ts'
import { load, store } from '../../src/kernel/machine/instructions.ts'
import { pageToVirt } from '../../src/kernel/memory/page.ts'
import { filemapAddPage, readPage } from '../../src/kernel/memory/page-cache.ts'
import { putPage } from '../../src/kernel/memory/rmap.ts'
import type { MachineHandle } from '../../src/machine/machine.ts'

/** The kernel's entries by name. */
export type Entry = keyof typeof native

/** One CPU's way into the kernel. */
export interface Executor {
  readonly name: 'native' | 'stepped'
  call(name: Entry, ...args: number[]): number
  /** Reads (or, with `stamp`, writes) the first word of a page; `fault` holds `VmFault` bits. */
  access(page: number, access: number, stamp?: number): { value: number } | { fault: number }
}

/** Makes the executor of one booted machine; the calling thread is attached to it as CPU 0 already. */
export type ExecutorFactory = (machine: MachineHandle) => Executor

/** Puts a page whose first word is `stamp` into the page cache, natively whoever runs later. */
export function fillPage(inode: number, index: number, stamp: number): void {
  native.enterKernel()
  const page = filemapAddPage(inode, index)
  readPage(inode, page)
  store(pageToVirt(page), stamp)
  putPage(page)
  native.exitKernel()
}

/** Calls on this thread. */
export const nativeExecutor: ExecutorFactory = () => ({
  name: 'native',
  call: (name, ...args) => (native[name] as (...integers: number[]) => number | undefined)(...args) ?? 0,
  access: (page, access, stamp) => {
    const frame = native.beginAccess(page, access)
    if (frame < 0) return { fault: -frame }
    if (stamp !== undefined) store(frame, stamp)
    const value = load(frame)
    native.endAccess()
    return { value }
  },
})

/** Calls that run to their end on stepped CPU 0. `bind` a machine, once booted, before it is used. */
export interface SteppedExecutor {
  readonly factory: ExecutorFactory
  bind(machine: MachineHandle): Promise<void>
}

/** Opens the stepped kernel for subjects. */
export async function steppedExecutor(): Promise<SteppedExecutor> {
  const tree = await openTree()
  const kernel = await tree.module<typeof native>('kernel.ts')
  let bound: Machine
  const call = (name: Entry, ...args: number[]): number => {
    const run = kernel[name] as unknown as (...integers: number[]) => Steps<unknown>
    return (runAlone(bound, () => run(...args)) as number | undefined) ?? 0
  }
  const access: Executor['access'] = (page, kind, stamp) => {
    const frame = call('beginAccess', page, kind)
    if (frame < 0) return { fault: -frame }
    if (stamp !== undefined) store(frame, stamp)
    const value = load(frame)
    call('endAccess')
    return { value }
  }
  return {
    factory: () => ({ name: 'stepped', call, access }),
    bind: async (machine) => {
      bound = await attachKernel(tree, machine.buffer)
    },
  }
}
