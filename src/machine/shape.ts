// From what a user says about a machine (names, bytes) to its shape in frames, windows and page numbers.

import type { Arch } from '../kernel/arch/arch.ts'
import { architectures } from '../kernel/arch/architectures.ts'
import type { Design } from '../kernel/design/design.ts'
import { designs } from '../kernel/design/designs.ts'
import type { MachineShape } from './boot.ts'

/** Options of a machine, all with defaults. */
export interface MachineOptions {
  /** Architecture by name. Default `x86_64`. */
  readonly arch?: string
  /** Locking design by name. Default `vma-lock`. */
  readonly design?: string
  /** CPUs: threads that may use the machine at the same time. Default 4, at most 1024. */
  readonly cpus?: number
  /** Memory in bytes, all of it page frames. Default 64 MiB. */
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

/** Windows that `arch` needs to show all of user space. */
export function userWindows(arch: Arch): number {
  return Math.max(1, 2 ** (arch.userAddressBits - arch.pageShift - 27))
}

/** The windows in which Linux puts programs: the lowest, two thirds of the way up (position-independent programs), the highest. */
export function defaultWindows(arch: Arch): readonly number[] {
  const all = userWindows(arch)
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
  const design = designByName(options.design ?? 'vma-lock')
  const pageBytes = 2 ** arch.pageShift
  const windows = options.windows ?? defaultWindows(arch)
  if (windows.length < 1 || windows.length > 15) throw new MachineOptionError(`windows must be 1 to 15 numbers, not ${windows.length}`)
  for (let i = 0; i < windows.length; i++) {
    wholeNumber('a window', windows[i]!, i === 0 ? 0 : windows[i - 1]! + 1, userWindows(arch) - 1)
  }
  const taskSize = windows.length * 2 ** 27 - 1
  const memory = wholeNumber('memory', options.memory ?? 64 * 2 ** 20, 64 * pageBytes, 6 * 2 ** 30)
  return {
    cpus: wholeNumber('cpus', options.cpus ?? 4, 1, 1024),
    arch: architectures.indexOf(arch),
    design: designs.indexOf(design),
    frames: Math.floor(memory / pageBytes),
    windows,
    // Linux leaves 128 MiB for the stack above what mmap places.
    mmapBase: taskSize - (128 * 2 ** 20) / pageBytes,
    taskSize,
    mmapMinPage: Math.max(1, 65536 / pageBytes),
    maxMapCount: wholeNumber('maxMapCount', options.maxMapCount ?? 65530, 1, 2 ** 30),
    diskLatency: wholeNumber('diskLatency', options.diskLatency ?? 0, 0, 10_000_000),
    poison: options.poison ?? false,
    lockStatistics: options.lockStatistics ?? false,
  }
}
