// Reads, writes and the faults behind them: access rights, end of file, copy on write.
// One stamp stands for the content of a page.

import { anonVmaPrepare } from './anon-vma.ts'
import * as c from './constants.ts'
import { type Space, vmaLookup } from './space.ts'
import { type Vma, vmaIsShared } from './vma.ts'

/** Why an access failed, as the signal handler sees it. */
export interface Fault {
  readonly signal: number
  /** `si_code`. */
  readonly code: number
  readonly address: number
}

/** What a successful access saw. */
export interface Content {
  /** Stamp of the page; 0 for a page nobody wrote. */
  readonly stamp: number
  /** After MADV_FREE the page may also show this. */
  readonly otherwise?: number
}

/** True if the page of `address` begins at or beyond the end of the object behind `vma`. */
export function beyondEnd(space: Space, vma: Vma, address: number): boolean {
  if (vma.file === undefined) return false
  return objectPage(space, vma, address) * space.layout.pageSize >= vma.file.object.size
}

function objectPage(space: Space, vma: Vma, address: number): number {
  return vma.pgoff + Math.floor((address - vma.start) / space.layout.pageSize)
}

/** What the page shows while there is no private copy of it. */
function underlying(space: Space, vma: Vma, address: number): number {
  return vma.file?.object.stamps.get(objectPage(space, vma, address)) ?? 0
}

/** x86 has no page that can be written or executed but not read. */
function allowed(vma: Vma, write: boolean): boolean {
  return (vma.flags & (write ? c.VM_WRITE : c.VM_ACCESS_FLAGS)) !== 0
}

/** The VMA for an access, or the fault it raises. Prepares the anon_vma as the fault would. */
function faultIn(space: Space, address: number, write: boolean): Vma | Fault {
  const vma = vmaLookup(space, address)
  if (vma === undefined) return { signal: c.SIGSEGV, code: c.SEGV_MAPERR, address }
  if (!allowed(vma, write)) return { signal: c.SIGSEGV, code: c.SEGV_ACCERR, address }
  const page = Math.floor(address / space.layout.pageSize)
  const present = space.pages.has(page)
  // A copy-on-write fault prepares the anon_vma before it finds out that the file is too short.
  if (write && !vmaIsShared(vma)) anonVmaPrepare(space, vma)
  if (!present && beyondEnd(space, vma, address)) return { signal: c.SIGBUS, code: c.BUS_ADRERR, address }
  return vma
}

/** True for the failed half of an access's outcome. */
export function isFault(outcome: object): outcome is Fault {
  return 'signal' in outcome
}

/** Reads the stamp of the page of `address`. */
export function readStamp(space: Space, address: number): Content | Fault {
  const vma = faultIn(space, address, false)
  if (isFault(vma)) return vma
  const page = space.pages.get(Math.floor(address / space.layout.pageSize))
  const below = underlying(space, vma, address)
  if (page === undefined) return { stamp: below }
  return page.lazyFree ? { stamp: page.stamp, otherwise: below } : { stamp: page.stamp }
}

/** Stores a stamp into the page of `address`: into the object if shared, else into a private copy. */
export function writeStamp(space: Space, address: number, stamp: number): Content | Fault {
  const vma = faultIn(space, address, true)
  if (isFault(vma)) return vma
  if (vmaIsShared(vma)) {
    vma.file?.object.stamps.set(objectPage(space, vma, address), stamp)
  } else {
    const page = Math.floor(address / space.layout.pageSize)
    if (!space.pages.has(page)) space.counters.copies++
    space.pages.set(page, { stamp, lazyFree: false })
  }
  return { stamp }
}

/**
 * Faults the page of `address` in as a write would, without changing what it shows (MADV_POPULATE_WRITE).
 * A private file page is thereby cut off from later changes of the file.
 */
export function populateForWrite(space: Space, vma: Vma, address: number): void {
  if (vmaIsShared(vma)) return
  anonVmaPrepare(space, vma)
  if (beyondEnd(space, vma, address)) return
  const number = Math.floor(address / space.layout.pageSize)
  const page = space.pages.get(number)
  space.pages.set(number, { stamp: page?.stamp ?? underlying(space, vma, address), lazyFree: page?.lazyFree ?? false })
}
