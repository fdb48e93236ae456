// Ranges that the program fills itself, as with userfaultfd: whichever thread touches a missing page asks its own handler
// for the page's contents and installs them. If two threads do at once, the first contents stay.

import { VmFault } from '../kernel/fault/fault.ts'
import { sysGetFreePage, sysUserfaultCopy } from '../kernel/kernel.ts'
import { Errno } from '../kernel/machine/errno.ts'
import { pageToVirt } from '../kernel/memory/page.ts'
import { faultError, hex, MemoryError } from './errors.ts'
import { bytesAt, run, type Seat } from './seat.ts'

/**
 * Gives the contents of the missing page whose first byte has `address`: at most a page, zeroes follow; or undefined, and the
 * access fails with `BusError`. The page's contents are copied. It may use the space, but not the page itself.
 */
export type UserfaultHandler = (address: number) => Uint8Array | undefined

/** A range of addresses and who fills it. */
export interface UserfaultRange {
  readonly start: number
  readonly end: number
  readonly handler: UserfaultHandler
}

/** Whether the `VmFault` bits say that a page of such a range is missing. */
export function isMissing(bits: number): boolean {
  return (bits & VmFault.userfault) !== 0 && (bits & VmFault.error & ~VmFault.userfault) === 0
}

/** Installs page `page`, which begins at `start`, from its handler's answer. Throws `BusError`, `MemoryError`, or what the handler throws. */
export function fillMissing(seat: Seat, mm: number, ranges: readonly UserfaultRange[], page: number, start: number, address: number): void {
  let range: UserfaultRange | undefined
  for (const candidate of ranges) if (start >= candidate.start && start < candidate.end) range = candidate
  const contents = range?.handler(start)
  if (contents === undefined) throw faultError(VmFault.userfault, address)
  const pageBytes = 2 ** seat.pageShift
  if (!(contents instanceof Uint8Array)) throw new TypeError(`the handler of ${hex(start)} must return a Uint8Array or undefined`)
  if (contents.length > pageBytes)
    throw new RangeError(`the handler of ${hex(start)} returned ${contents.length} bytes for a page of ${pageBytes}`)
  run(seat, mm)
  const frame = sysGetFreePage()
  if (frame === 0) throw new MemoryError('userfault', Errno.ENOMEM, `no memory for the page at ${hex(start)}`)
  const bytes = bytesAt(seat, pageToVirt(frame) * 4, pageBytes)
  bytes.set(contents)
  bytes.fill(0, contents.length)
  if (sysUserfaultCopy(mm, page, frame) === -Errno.ENOMEM) {
    throw new MemoryError('userfault', Errno.ENOMEM, `no memory for the tables of ${hex(start)}`)
  }
}
