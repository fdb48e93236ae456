// What can go wrong, as errors: a call that Linux would answer with an errno, an access that Linux would answer with a
// signal, and a machine that is used in a way that it cannot be.
import { errnoName } from '../abi/constants.ts'
import { VmFault } from '../kernel/fault/fault.ts'

/** A hexadecimal address. */
export function hex(address: number): string {
  return Number.isFinite(address) ? `0x${Math.trunc(address).toString(16)}` : String(address)
}

/**
 * A call failed as the system call on Linux would. `errno` is positive, `code` is its name, `call` the function's name.
 *
 * @example
 * try {
 *   space.mmap({ length: 2 ** 60 })
 * } catch (error) {
 *   if (error instanceof MemoryError && error.code === 'ENOMEM') makeRoom()
 *   else throw error
 * }
 */
export class MemoryError extends Error {
  override readonly name = 'MemoryError'
  readonly errno: number
  readonly code: string
  readonly call: string

  constructor(call: string, errno: number, detail = '') {
    super(`${call}: ${errnoName(errno)}${detail === '' ? '' : `: ${detail}`}`)
    this.call = call
    this.errno = errno
    this.code = errnoName(errno)
  }
}

/** A machine or a space was used in a way that it cannot be: a CPU taken twice, a space after its exit. */
export class MachineError extends Error {
  override readonly name = 'MachineError'
}

/**
 * An access to memory that is not mapped (`code` MAPERR) or whose mapping does not allow it (ACCERR). `address` is the first
 * byte that could not be reached.
 *
 * @example
 * try {
 *   space.setUint8(0, 1)
 * } catch (error) {
 *   if (error instanceof SegmentationFault) console.log(error.signal, error.code, error.address) // SIGSEGV MAPERR 0
 * }
 */
export class SegmentationFault extends Error {
  override readonly name = 'SegmentationFault'
  readonly signal = 'SIGSEGV'
  readonly code: 'MAPERR' | 'ACCERR'
  readonly address: number

  constructor(address: number, code: 'MAPERR' | 'ACCERR', detail = '') {
    super(`SIGSEGV ${code} at ${hex(address)}${detail === '' ? '' : `: ${detail}`}`)
    this.address = address
    this.code = code
  }
}

/**
 * An access behind the end of a mapped file, or to a missing page that nobody fills (`code` ADRERR), or an atomic access to
 * an unaligned address (ADRALN).
 *
 * @example
 * const file = machine.createFile(machine.pageSize)
 * const address = space.mmap({ length: 2 * machine.pageSize, file })
 * space.getUint8(address + machine.pageSize) // throws BusError
 */
export class BusError extends Error {
  override readonly name = 'BusError'
  readonly signal = 'SIGBUS'
  readonly code: 'ADRERR' | 'ADRALN'
  readonly address: number

  constructor(address: number, code: 'ADRERR' | 'ADRALN', detail = '') {
    super(`SIGBUS ${code} at ${hex(address)}${detail === '' ? '' : `: ${detail}`}`)
    this.address = address
    this.code = code
  }
}

/** The error for the `VmFault` bits of an access to `address`. */
export function faultError(bits: number, address: number): Error {
  if ((bits & VmFault.sigsegvMaperr) !== 0) return new SegmentationFault(address, 'MAPERR')
  if ((bits & VmFault.sigsegvAccerr) !== 0) return new SegmentationFault(address, 'ACCERR')
  if ((bits & VmFault.oom) !== 0) return new MemoryError('page fault', 12, `no memory for the page at ${hex(address)}`)
  if ((bits & VmFault.userfault) !== 0) return new BusError(address, 'ADRERR', 'nobody fills this page')
  return new BusError(address, 'ADRERR')
}
