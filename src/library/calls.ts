// Between the library's options and the system-call boundary: protections by letters, checked numbers, and errors thrown.
import { Madvise, MapFlag, Prot } from '../abi/constants.ts'
import { type Prepared, toResult } from '../abi/system-calls.ts'
import * as kernel from '../kernel/kernel.ts'
import { Errno } from '../kernel/machine/errno.ts'
import { MemoryError } from './errors.ts'
import type { MemoryFile } from './memory-file.ts'

/** What a mapping allows. */
export type Protection = 'none' | 'r' | 'w' | 'x' | 'rw' | 'rx' | 'wx' | 'rwx'

/** What `madvise` is told, as Linux's MADV_ values. */
export type Advice = 'dontneed' | 'free' | 'populate-read' | 'populate-write'

/** What `mmap` is asked for. Addresses and lengths are in bytes. */
export interface MapOptions {
  /** Rounded up to pages. */
  readonly length: number
  /** Where: a hint, or the place itself with `fixed` or `noreplace`. Default: anywhere. */
  readonly address?: number
  /** Default `rw`. */
  readonly prot?: Protection
  /** Writes are seen by all who map the same, after fork too (MAP_SHARED). Default false: MAP_PRIVATE. */
  readonly shared?: boolean
  /** What to map. Default: zeroes (MAP_ANONYMOUS). */
  readonly file?: MemoryFile
  /** Where in the file to begin; a multiple of the page size. Default 0. */
  readonly offset?: number
  /** At `address` exactly, replacing what is there (MAP_FIXED). */
  readonly fixed?: boolean
  /** At `address` exactly; EEXIST if something is there (MAP_FIXED_NOREPLACE). */
  readonly noreplace?: boolean
  /** Fault all pages in at once, as far as there is memory (MAP_POPULATE). */
  readonly populate?: boolean
}

/** What `mremap` may do. */
export interface RemapOptions {
  /** The mapping may go elsewhere (MREMAP_MAYMOVE). */
  readonly mayMove?: boolean
  /** It must go there, replacing what is there (MREMAP_FIXED); implies `mayMove`. */
  readonly to?: number
  /** The old range stays, empty (MREMAP_DONTUNMAP); implies `mayMove`. */
  readonly dontUnmap?: boolean
}

/** PROT_ bits of `prot`. Throws `MemoryError` EINVAL. */
export function protBits(call: string, prot: Protection): number {
  const bits = { r: Prot.read, w: Prot.write, x: Prot.exec } as const
  let result = 0
  if (prot === 'none') return result
  for (const letter of String(prot)) {
    const bit = bits[letter as 'r' | 'w' | 'x']
    if (bit === undefined) throw new MemoryError(call, Errno.EINVAL, `'${prot}' is no protection: use 'none' or letters of 'rwx'`)
    result |= bit
  }
  return result
}

/** MADV_ value of `advice`. Throws `MemoryError` EINVAL. */
export function adviceValue(advice: Advice): number {
  const values: Readonly<Record<string, number>> = {
    dontneed: Madvise.dontneed,
    free: Madvise.free,
    'populate-read': Madvise.populateRead,
    'populate-write': Madvise.populateWrite,
  }
  const value = values[advice]
  if (value === undefined) {
    throw new MemoryError('madvise', Errno.EINVAL, `'${advice}' is no advice: use one of ${Object.keys(values).join(', ')}`)
  }
  return value
}

/** MAP_ bits of the options. */
export function mapFlags(options: MapOptions): number {
  return (
    (options.shared === true ? MapFlag.shared : MapFlag.private) |
    (options.file === undefined ? MapFlag.anonymous : 0) |
    (options.fixed === true ? MapFlag.fixed : 0) |
    (options.noreplace === true ? MapFlag.fixedNoreplace : 0)
  )
}

/** Throws `MemoryError` EINVAL unless `value` is a whole number from 0 to 2^53 - 1. */
export function checkNumber(call: string, name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return
  throw new MemoryError(call, Errno.EINVAL, `${name} is ${value}, not a whole number of bytes`)
}

/** The same for the two that name a range. */
export function checkRange(call: string, address: number, length: number): void {
  checkNumber(call, 'address', address)
  checkNumber(call, 'length', length)
}

/** Makes a prepared call. Returns its result, an address in bytes if it is one; throws `MemoryError` for an errno. */
export function perform(name: string, prepared: Prepared, detail = ''): number {
  if (typeof prepared === 'number') {
    if (prepared < 0) throw new MemoryError(name, -prepared, detail)
    return prepared
  }
  const call = kernel[prepared.name] as (...integers: readonly number[]) => number
  const result = toResult(prepared, call(...prepared.args))
  if (result < 0) throw new MemoryError(name, -result, detail)
  return result
}
