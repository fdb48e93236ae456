// What a CPU of a scenario can do: system calls, user accesses, waiting for callbacks, and functions of a program of the
// scenario's own. A call says in text what it is, and to the detectors what it does to which pages.

import type { CallDescription, FileDescription } from '../../check/detect/index.ts'
import type { Machine, Stepped } from '../../check/index.ts'
import { VmFault } from '../../kernel/fault/fault.ts'
import { Errno } from '../../kernel/machine/errno.ts'
import { Mpol } from '../../kernel/memory/mempolicy.ts'
import { Advice } from '../../kernel/syscall/madvise.ts'
import { Placement } from '../../kernel/syscall/mmap.ts'
import { Vm } from '../../kernel/vma/vma.ts'
import { ScenarioError } from './errors.ts'

/** The kernel's entries, stepped. */
export type Kernel = Stepped<typeof import('../../kernel/kernel.ts')>

/** User accesses, stepped. */
export type User = Stepped<typeof import('../programs/user.ts')>

/** One call of a CPU. */
export interface Call {
  /** As it stands at the top of a column: `munmap(0x4, 2 pages)`. */
  readonly text: string
  /** What it does, for the detectors that compare calls with what they promise. */
  readonly description?: CallDescription
  /** Begins it: what a stepped function returns. */
  readonly begin: () => unknown
}

const MAY = Vm.mayRead | Vm.mayWrite | Vm.mayExec

/** Rights of private anonymous memory that may be read and written. */
export const READ_WRITE = Vm.read | Vm.write | MAY | Vm.account
/** The same that may only be read for now. */
export const READ_ONLY = Vm.read | MAY
/** Rights of shared memory, anonymous or a file's, that may be read and written. */
export const SHARED = Vm.read | Vm.write | MAY | Vm.shared | Vm.mayShare

/** The calls on address space `mm`, which the CPU that makes them runs on. */
export interface Calls {
  /** Maps fresh memory, or `file` from its page `pgoff` on. */
  mmap(start: number, pages: number, flags?: number, file?: FileDescription, pgoff?: number): Call
  munmap(start: number, pages: number): Call
  mprotect(start: number, pages: number, prot: number): Call
  dontneed(start: number, pages: number): Call
  /** MADV_FREE: the pages may be taken away once they are clean. */
  free(start: number, pages: number): Call
  /** MADV_POPULATE_WRITE, or (`writes` false) MADV_POPULATE_READ. */
  populate(start: number, pages: number, writes: boolean): Call
  /** Pages come from node 0 or 1 if it has some, or (`node` left out) from anywhere. */
  mbind(start: number, pages: number, node?: number): Call
  /** The heap ends at page `end` (exclusive). */
  brk(end: number): Call
  mremap(start: number, pages: number, newPages: number, flags: number, to: number): Call
  fork(): Call
  exit(): Call
  /** Reads the page tables of a range (see `SmapsWalk`). Returns how many pages are present. */
  smaps(start: number, pages: number, how: number): Call
  /** userfaultfd: registers the pages, or (`on` false) no longer. */
  userfault(start: number, pages: number, on: boolean): Call
  /** A user access: reads or writes word 0 of the page. Returns the value, or a signal's `VmFault` bits negated. */
  read(page: number): Call
  write(page: number, value: number): Call
}

/** `call`, for which there may be too little memory: then it has done nothing. */
export function mayLackMemory(call: Call): Call {
  const { description } = call
  if (description === undefined) return call
  const lacks = description.name === 'fork' ? 0 : description.name === 'read' || description.name === 'write' ? -VmFault.oom : -Errno.ENOMEM
  return { ...call, description: { ...description, nothingDone: [lacks] } }
}

/** `0x12`. */
export function hex(page: number): string {
  return `0x${page.toString(16)}`
}

function count(pages: number): string {
  return pages === 1 ? '1 page' : `${pages} pages`
}

/** The calls on `mm`. */
export function callsOn(machine: Machine, kernel: Kernel, user: User, mm: number): Calls {
  const range = (name: string, start: number, pages: number, more = ''): string => {
    if (!Number.isInteger(start) || start < 0 || !Number.isInteger(pages) || pages < 0)
      throw new ScenarioError(`${name}(${start}, ${pages}) must be given a first page and a number of pages, both whole numbers`)
    return `${name}(${hex(start)}, ${count(pages)}${more})`
  }
  const madvise = (start: number, pages: number, advice: number, name: string): Call => ({
    text: range('madvise', start, pages, `, ${name}`),
    description: { name: 'madvise', mm, start, pages, advice },
    begin: () => kernel.sysMadvise(mm, start, pages, advice),
  })
  return {
    mmap: (start, pages, flags = READ_WRITE, file, pgoff = 0) => ({
      text: range('mmap', start, pages, kindOf(flags, file, pgoff)),
      description: {
        ...{ name: 'mmap', mm, start, pages, prot: flags & Vm.access, flags, placement: Placement.fixed },
        ...(file === undefined ? {} : { file, pgoff }),
      },
      begin: () => kernel.sysMmap(mm, start, pages, flags, Placement.fixed, file?.file ?? 0, pgoff),
    }),
    munmap: (start, pages) => ({
      text: range('munmap', start, pages),
      description: { name: 'munmap', mm, start, pages },
      begin: () => kernel.sysMunmap(mm, start, pages),
    }),
    mprotect: (start, pages, prot) => {
      if ((prot & ~Vm.access) !== 0)
        throw new ScenarioError('mprotect takes Vm.read, Vm.write and Vm.exec, or 0: what mmap may have besides is no right')
      return {
        text: range('mprotect', start, pages, `, ${rights(prot)}`),
        description: { name: 'mprotect', mm, start, pages, prot },
        begin: () => kernel.sysMprotect(mm, start, pages, prot),
      }
    },
    dontneed: (start, pages) => madvise(start, pages, Advice.dontneed, 'DONTNEED'),
    free: (start, pages) => madvise(start, pages, Advice.free, 'FREE'),
    populate: (start, pages, writes) =>
      madvise(start, pages, writes ? Advice.populateWrite : Advice.populateRead, writes ? 'POPULATE_WRITE' : 'POPULATE_READ'),
    mbind: (start, pages, node) => ({
      text: range('mbind', start, pages, node === undefined ? ', default' : `, node ${node}`),
      description: { name: 'mbind', mm, start, pages, ...(node === undefined ? {} : { node }) },
      begin: () => kernel.sysMbind(mm, start, pages, node === undefined ? Mpol.default : Mpol.preferred, node ?? 0),
    }),
    brk: (end) => ({
      text: `brk(${hex(end)})`,
      description: { name: 'brk', mm, start: end, pages: 0 },
      begin: () => kernel.sysBrk(mm, end, 0),
    }),
    userfault: (start, pages, on) => ({
      text: range(on ? 'userfault register' : 'userfault unregister', start, pages),
      description: { name: on ? 'userfault-register' : 'userfault-unregister', mm, start, pages },
      begin: () => kernel.sysUserfaultRegister(mm, start, pages, on ? 1 : 0),
    }),
    mremap: (start, pages, newPages, flags, to) => ({
      text: range('mremap', start, pages, ` -> ${hex(to)}, ${count(newPages)}`),
      description: { name: 'mremap', mm, start, pages, newPages, flags, target: to },
      begin: () => kernel.sysMremap(mm, start, pages, newPages, flags, to),
    }),
    fork: () => ({
      text: 'fork()',
      description: { name: 'fork', mm, start: 0, pages: 0 },
      begin: () => kernel.sysFork(mm),
    }),
    exit: () => ({
      text: 'exit()',
      description: { name: 'exit', mm, start: 0, pages: 0 },
      begin: () => kernel.sysExit(mm),
    }),
    smaps: (start, pages, how) => ({
      text: range('smaps', start, pages),
      description: { name: 'smaps', mm, start, pages, shows: 'pages', shown: () => shownBySmaps(machine) },
      begin: () => kernel.sysSmaps(mm, start, start + pages, how),
    }),
    read: (page) => ({
      text: `read ${hex(page)}`,
      description: { name: 'read', mm, start: page, pages: 1 },
      begin: () => user.readPage(page),
    }),
    write: (page, value) => ({
      text: `write ${hex(page)} = ${value}`,
      description: { name: 'write', mm, start: page, pages: 1, stamp: value },
      begin: () => user.writePage(page, value),
    }),
  }
}

/** The runs of pages that CPUs have shown with their latest `sysSmaps`. */
function shownBySmaps({ words, areas, cpus, tree: { percpu } }: Machine): [number, number][] {
  const { Cpu, CPU_STRIDE, SMAPS_RANGES } = percpu
  const out: [number, number][] = []
  for (let area = areas; area < areas + cpus * CPU_STRIDE; area += CPU_STRIDE) {
    const runs = Math.min(words[area + Cpu.smapsShown] as number, SMAPS_RANGES)
    for (let p = area + Cpu.smapsRanges; p < area + Cpu.smapsRanges + 2 * runs; p += 2)
      out.push([words[p] as number, words[p + 1] as number])
  }
  return out
}

/** `, shared file from page 1`: nothing for private anonymous memory. */
function kindOf(flags: number, file: FileDescription | undefined, pgoff: number): string {
  const kind = [(flags & Vm.shared) !== 0 ? 'shared' : '', file === undefined ? '' : 'file', pgoff === 0 ? '' : `from page ${pgoff}`]
  const said = kind.filter((word) => word !== '').join(' ')
  return said === '' ? '' : `, ${said}`
}

function rights(prot: number): string {
  return [
    [Vm.read, 'r'],
    [Vm.write, 'w'],
    [Vm.exec, 'x'],
  ]
    .map(([bit, letter]) => ((prot & (bit as number)) !== 0 ? letter : '-'))
    .join('')
}
