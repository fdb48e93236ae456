// From what a user says about a machine (names, bytes) to its shape in frames, windows and page numbers.

import { type Arch, type Geometry, GeometryId, geometryOf } from '../kernel/arch/arch.ts'
import { architectures } from '../kernel/arch/architectures.ts'
import type { Design } from '../kernel/design/design.ts'
import { designs } from '../kernel/design/designs.ts'
import { rcuFlavours, tableAllocations, vmaIndexes } from '../kernel/machine/axes.ts'
import { freeings } from '../kernel/pagetable/freeing.ts'
import type { MachineShape } from './boot.ts'
import { isDesignFile, loadedDesign, type OwnDesign } from './own-design.ts'

/** Options of a machine, all with defaults. */
export interface MachineOptions {
  /** Architecture by name. Default `x86_64`. */
  readonly arch?: string
  /** `real` sizes, or the architecture scaled down for the checker: `small`. Default `real`. */
  readonly geometry?: 'real' | 'small'
  /** How page tables are freed, by name (see `Freeing`). Default `rcu-batch`. */
  readonly freeing?: string
  /** Locking design by name, or the file of one that `loadDesign` has loaded. Default `vma-lock`. */
  readonly design?: string
  /** What finds a VMA, by name (see `VmaIndex`). Default `maple`. */
  readonly index?: string
  /** The flavour of RCU, by name (see `RcuFlavour`). Default `quiescent`. */
  readonly rcu?: string
  /** How many page tables are allocated at a time, by name (see `TableAllocation`). Default `one`. */
  readonly tables?: string
  /** CPUs: threads that may use the machine at the same time. Default 4, at most 1024. */
  readonly cpus?: number
  /** Memory in bytes, all of it page frames. Default 64 MiB, or 256 small frames. */
  readonly memory?: number
  /** Real page numbers divided by 2^27 that the machine's windows show, ascending. Default: where Linux puts programs. */
  readonly windows?: readonly number[]
  /** Microseconds that a read from disk takes. Default 0. */
  readonly diskLatency?: number
  /** Mappings that an address space may have. Default 65530, as Linux. */
  readonly maxMapCount?: number
  /** Fill freed frames with junk, so that whoever still uses one notices. Default false. */
  readonly poison?: boolean
  /** Count how long locks are waited for and held. Default false. */
  readonly lockStatistics?: boolean
}

/** Frames of a small machine, and the pages that it leaves for a stack above what mmap places. */
const SMALL_FRAMES = 256
const SMALL_STACK = 31

/** The architectures as they are, without drafts. */
export const soundArchitectures: readonly Arch[] = architectures.filter(({ draft }) => !draft)

/** Something that the caller said about a machine does not fit. */
export class MachineOptionError extends Error {
  override readonly name = 'MachineOptionError'
}

/** The architecture called `name`. Throws `MachineOptionError` with the names that there are. */
export function archByName(name: string): Arch {
  const arch = architectures.find((a) => a.name === name)
  if (arch === undefined)
    throw new MachineOptionError(`unknown architecture '${name}': use one of ${architectures.map((a) => a.name).join(', ')}`)
  return arch
}

/** The design called `name`. Throws `MachineOptionError` with the names that there are. */
export function designByName(name: string): Design {
  const design = designs.find((d) => d.name === name)
  if (design === undefined) throw new MachineOptionError(`unknown design '${name}': use one of ${designs.map((d) => d.name).join(', ')}`)
  return design
}

/** The user's own design in the file `name`. Throws `MachineOptionError` unless this thread has loaded it. */
function ownDesign(name: string): OwnDesign {
  const found = loadedDesign(name)
  if (found === undefined) throw new MachineOptionError(notLoaded(name))
  return { path: found.path, hash: found.hash }
}

/** That a file must be loaded first. */
export function notLoaded(name: string): string {
  return `the design ${name} is not loaded in this thread: await loadDesign('${name}') first`
}

/** The number (see `Freeing`) of the freeing policy called `name`. Throws `MachineOptionError` with the names that there are. */
export function freeingByName(name: string): number {
  return numberOf('freeing policy', freeings, name)
}

/** The place of `name` among the values of an axis, which a message calls `axis`. Throws `MachineOptionError` with the names that there are. */
function numberOf(axis: string, values: readonly { readonly name: string }[], name: string): number {
  const id = values.findIndex((value) => value.name === name)
  if (id < 0) throw new MachineOptionError(`unknown ${axis} '${name}': use one of ${values.map((value) => value.name).join(', ')}`)
  return id
}

/** The number (see `GeometryId`) of the geometry called `name`. Throws `MachineOptionError` with the names that there are. */
export function geometryByName(name: string): number {
  const id = Object.keys(GeometryId).indexOf(name)
  if (id < 0) throw new MachineOptionError(`unknown geometry '${name}': use one of ${Object.keys(GeometryId).join(', ')}`)
  return id
}

/** Windows that `arch` needs to show all of user space. */
export function userWindows(arch: Geometry): number {
  return Math.max(1, 2 ** (arch.userAddressBits - arch.pageShift - 27))
}

/** Windows that lie below what mmap hands out to who names no address. */
function mapWindows(arch: Geometry): number {
  return userWindows({ ...arch, userAddressBits: arch.mapWindowBits ?? arch.userAddressBits })
}

/**
 * The windows in which Linux puts programs: the lowest, two thirds of the way up (position-independent programs), the highest that mmap
 * uses by itself. Where addresses go on above (`mapWindowBits`), a machine has those only if it is given them.
 */
export function defaultWindows(arch: Geometry): readonly number[] {
  const all = mapWindows(arch)
  if (all <= 15) return Array.from({ length: all }, (_, i) => i)
  const middle = Math.floor((all * 2) / 3)
  const wanted = [0, 1, middle, middle + 1, middle + 2, ...Array.from({ length: 8 }, (_, i) => all - 8 + i)]
  return [...new Set(wanted)].sort((a, b) => a - b)
}

function wholeNumber(name: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new MachineOptionError(`${name} must be a whole number from ${least} to ${most}, not ${value}`)
  }
  return value
}

/** The shape of a machine with `options`. Throws `MachineOptionError`. */
export function machineShape(options: MachineOptions = {}): MachineShape {
  const arch = archByName(options.arch ?? 'x86_64')
  const named = options.design ?? 'vma-lock'
  const own = isDesignFile(named) ? ownDesign(named) : undefined
  const geometry = geometryByName(options.geometry ?? 'real')
  const sizes = geometryOf(arch, geometry)
  const small = geometry === GeometryId.small
  const pageBytes = 2 ** sizes.pageShift
  const windows = options.windows ?? defaultWindows(sizes)
  if (windows.length < 1 || windows.length > 15) throw new MachineOptionError(`windows must be 1 to 15 numbers, not ${windows.length}`)
  for (let i = 0; i < windows.length; i++) {
    wholeNumber('a window', windows[i]!, i === 0 ? 0 : windows[i - 1]! + 1, userWindows(sizes) - 1)
  }
  const taskSize = Math.min(windows.length * 2 ** 27, 2 ** (sizes.userAddressBits - sizes.pageShift)) - 1
  const below = windows.filter((window) => window < mapWindows(sizes)).length
  const mapEnd = below === 0 ? taskSize : Math.min(taskSize, below * 2 ** 27 - 1)
  const memory = wholeNumber('memory', options.memory ?? (small ? SMALL_FRAMES * pageBytes : 64 * 2 ** 20), 64 * pageBytes, 6 * 2 ** 30)
  return {
    cpus: wholeNumber('cpus', options.cpus ?? 4, 1, 1024),
    arch: architectures.indexOf(arch),
    geometry,
    freeing: freeingByName(options.freeing ?? 'rcu-batch'),
    design: own === undefined ? designs.indexOf(designByName(named)) : -1,
    ...(own === undefined ? {} : { own }),
    index: numberOf('VMA index', vmaIndexes, options.index ?? 'maple'),
    rcu: numberOf('RCU flavour', rcuFlavours, options.rcu ?? 'quiescent'),
    tables: numberOf('table allocation', tableAllocations, options.tables ?? 'one'),
    frames: Math.floor(memory / pageBytes),
    windows,
    // Linux leaves 128 MiB for the stack above what mmap places, and the first 64 KiB to nobody.
    mmapBase: mapEnd - (small ? SMALL_STACK : (128 * 2 ** 20) / pageBytes),
    taskSize,
    mmapMinPage: small ? 1 : Math.max(1, 65536 / pageBytes),
    maxMapCount: wholeNumber('maxMapCount', options.maxMapCount ?? 65530, 1, 2 ** 30),
    diskLatency: wholeNumber('diskLatency', options.diskLatency ?? 0, 0, 10_000_000),
    poison: options.poison ?? false,
    lockStatistics: options.lockStatistics ?? false,
  }
}
