// The sequential model of a family of processes: what Linux 6.18 answers when operations come one at a
// time. Slow, plain and exact; `gracewalk run` and the conformance suite are verified against it.

import { type Content, type Fault, readStamp, writeStamp } from './access.ts'
import { anonVmaFork } from './anon-vma.ts'
import { brk } from './brk.ts'
import * as c from './constants.ts'
import { madvise } from './madvise.ts'
import { mbind } from './mbind.ts'
import { type MmapRequest, mmap } from './mmap.ts'
import { mprotect } from './mprotect.ts'
import { mremap } from './mremap.ts'
import { munmap } from './munmap.ts'
import type { Counters, Layout, Space } from './space.ts'
import type { MappedObject, OpenFile } from './vma.ts'

/** A process of one oracle; a small number, 0 is the first. Numbers are not reused. */
export type ProcessId = number

/** How the oracle's machine looks; every field has x86_64's value by default. */
export interface OracleOptions {
  /** log2 of the page size. */
  readonly pageShift?: number
  /** Lowest address that placement may use, in bytes (mmap_min_addr). */
  readonly base?: number
  /** Placement searches downwards from here, in bytes (mmap_base). */
  readonly limit?: number
  /** From here on everything counts as occupied, in bytes; `taskSize` if not given. */
  readonly end?: number
  /** End of user space in bytes (TASK_SIZE). */
  readonly taskSize?: number
  /** Most VMAs of one process (vm.max_map_count). */
  readonly maxMapCount?: number
  /** Where the heap begins, in bytes. */
  readonly startBrk?: number
}

/** One line of /proc/PID/maps. */
export interface MapsLine {
  readonly start: number
  readonly end: number
  readonly read: boolean
  readonly write: boolean
  readonly execute: boolean
  readonly shared: boolean
  /** Into the file, in bytes; 0 for private anonymous memory. */
  readonly offset: number
  /** Undefined for private anonymous memory. */
  readonly object: MappedObject | undefined
  /** The node that mbind prefers, if it does. */
  readonly node: number | undefined
}

/** The model. All addresses and lengths are bytes; calls return a negative errno on failure. */
export interface Oracle {
  readonly layout: Layout
  readonly counters: Counters
  /** The first process. */
  readonly first: ProcessId
  /** Makes an inode of `size` bytes that shows `stamps` by page index; `device`: it is a device's memory. */
  createObject(name: string, size: number, stamps?: ReadonlyMap<number, number>, device?: boolean): MappedObject
  /** Opens an inode; each open is a file of its own. */
  open(object: MappedObject, rights?: { readable?: boolean; writable?: boolean }): OpenFile
  mmap(process: ProcessId, request: MmapRequest): number
  munmap(process: ProcessId, address: number, length: number): number
  mprotect(process: ProcessId, address: number, length: number, prot: number): number
  madvise(process: ProcessId, address: number, length: number, advice: number): number
  mremap(process: ProcessId, address: number, oldLength: number, newLength: number, flags: number, newAddress?: number): number
  brk(process: ProcessId, address: number): number
  /** `node` undefined: MPOL_DEFAULT. */
  mbind(process: ProcessId, address: number, length: number, node: number | undefined): number
  /** A copy of the process that shares nothing but objects. */
  fork(process: ProcessId): ProcessId
  exit(process: ProcessId): void
  isAlive(process: ProcessId): boolean
  read(process: ProcessId, address: number): Content | Fault
  write(process: ProcessId, address: number, stamp: number): Content | Fault
  maps(process: ProcessId): MapsLine[]
}

function makeLayout(options: OracleOptions): Layout {
  const pageShift = options.pageShift ?? 12
  const pageSize = 2 ** pageShift
  const taskSize = options.taskSize ?? 2 ** 47 - pageSize
  const base = options.base ?? Math.max(pageSize, 65536)
  return {
    pageShift,
    pageSize,
    base,
    taskSize,
    limit: options.limit ?? taskSize,
    end: options.end ?? taskSize,
    maxMapCount: options.maxMapCount ?? 65530,
  }
}

function forkSpace(parent: Space): Space {
  const vmas = parent.vmas.map((vma) => ({ ...vma, anonVma: anonVmaFork(vma) }))
  return { ...parent, vmas, pages: new Map(parent.pages) }
}

/** /proc/PID/maps of one address space. */
function mapsOf(space: Space): MapsLine[] {
  return space.vmas.map((vma) => ({
    start: vma.start,
    end: vma.end,
    read: (vma.flags & c.VM_READ) !== 0,
    write: (vma.flags & c.VM_WRITE) !== 0,
    execute: (vma.flags & c.VM_EXEC) !== 0,
    shared: (vma.flags & c.VM_MAYSHARE) !== 0,
    offset: vma.file === undefined ? 0 : vma.pgoff * space.layout.pageSize,
    object: vma.file?.object,
    node: vma.policy,
  }))
}

/**
 * Makes a model with one empty process.
 *
 * @example
 * const oracle = createOracle({ base: 0x10000, limit: 0x7fff_0000_0000 });
 * const a = oracle.mmap(oracle.first, { address: 0, length: 8192, prot: 3, flags: 0x22 });
 * oracle.write(oracle.first, a, 7);
 * const child = oracle.fork(oracle.first);
 * oracle.read(child, a); // { stamp: 7 }
 */
export function createOracle(options: OracleOptions = {}): Oracle {
  const layout = makeLayout(options)
  const counters: Counters = { splits: 0, merges: 0, partialUnmaps: 0, copies: 0 }
  const startBrk = options.startBrk ?? layout.base
  const spaces: (Space | undefined)[] = [{ layout, counters, vmas: [], pages: new Map(), startBrk, brk: startBrk }]
  let anonymousObjects = 0

  function createObject(name: string, size: number, stamps?: ReadonlyMap<number, number>, device = false): MappedObject {
    return { name, size, stamps: new Map(stamps), device }
  }

  function newSharedObject(size: number): MappedObject {
    anonymousObjects++
    return createObject(`anonymous ${anonymousObjects}`, size)
  }

  function at(process: ProcessId): Space {
    const space = spaces[process]
    if (space === undefined) throw new RangeError(`oracle: there is no process ${process}`)
    return space
  }

  return {
    layout,
    counters,
    first: 0,
    createObject,
    open: (object, rights) => ({ object, readable: rights?.readable ?? true, writable: rights?.writable ?? true }),
    mmap: (process, request) => mmap(at(process), request, newSharedObject),
    munmap: (process, address, length) => munmap(at(process), address, length),
    mprotect: (process, address, length, prot) => mprotect(at(process), address, length, prot),
    madvise: (process, address, length, advice) => madvise(at(process), address, length, advice),
    mremap: (process, address, oldLength, newLength, flags, newAddress) =>
      mremap(at(process), address, oldLength, newLength, flags, newAddress),
    mbind: (process, address, length, node) => mbind(at(process), address, length, node),
    brk: (process, address) => brk(at(process), address),
    fork: (process) => spaces.push(forkSpace(at(process))) - 1,
    exit: (process) => {
      at(process)
      spaces[process] = undefined
    },
    isAlive: (process) => spaces[process] !== undefined,
    read: (process, address) => readStamp(at(process), address),
    write: (process, address, stamp) => writeStamp(at(process), address, stamp),
    maps: (process) => mapsOf(at(process)),
  }
}
