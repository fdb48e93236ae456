// How a subject reaches the kernel: on this thread (native), or one announced step at a time (stepped).

import * as kernel from '../../src/kernel/kernel.ts'
import { Global } from '../../src/kernel/machine/globals.ts'
import { load, store } from '../../src/kernel/machine/instructions.ts'
import { pageToVirt } from '../../src/kernel/memory/page.ts'
import { filemapAddPage, readPage } from '../../src/kernel/memory/page-cache.ts'
import { putPage } from '../../src/kernel/memory/rmap.ts'

/** The integer-only entries of the kernel. */
export type Entry = Exclude<keyof typeof kernel, 'beginAccess' | 'endAccess'>

/** One CPU's way into the kernel. */
export interface Executor {
  attach(buffer: SharedArrayBuffer, cpus: number): void
  call(name: Entry, ...args: number[]): number
  /** Reads (or, with `stamp`, writes) the first word of a page; `fault` holds `VmFault` bits. */
  access(page: number, access: number, stamp?: number): { value: number } | { fault: number }
  /** Puts a page whose first word is `stamp` into the page cache. */
  fillPage(inode: number, index: number, stamp: number): void
}

/** Fills a page natively: set-up that every executor shares. */
export function fillPage(inode: number, index: number, stamp: number): void {
  kernel.enterKernel()
  const page = filemapAddPage(inode, index)
  readPage(inode, page)
  store(pageToVirt(page), stamp)
  putPage(page)
  kernel.exitKernel()
}

/** Calls on this thread. */
export const nativeExecutor: Executor = {
  attach: () => {
    if (load(Global.nrCpus) < 1) throw new Error('no machine')
  },
  call: (name, ...args) => {
    const result = (kernel[name] as (...integers: number[]) => number | undefined)(...args)
    return result ?? 0
  },
  access: (page, access, stamp) => {
    const frame = kernel.beginAccess(page, access)
    if (frame < 0) return { fault: -frame }
    if (stamp !== undefined) store(frame, stamp)
    const value = load(frame)
    kernel.endAccess()
    return { value }
  },
  fillPage,
}
