// Pinned pages: a reference by which a thread reads and writes a page's frame without going through the page tables, as
// with get_user_pages. The frame stays this page's, also after munmap, until the pin is given back.
import { sysPinUserPage, sysUnpinUserPage } from '../kernel/kernel.ts'
import { pageToVirt } from '../kernel/memory/page.ts'
import { bytesAt, run, type Seat, sit } from './seat.ts'

/** A page, held. */
export interface Pin {
  /** The page's first byte. */
  readonly address: number
  /** The page itself, not a copy: a view of shared memory. Not to be used after `unpin`. */
  readonly bytes: Uint8Array
  /** Gives the page back; a second call does nothing. */
  unpin(): void
}

/** A pinned frame: its struct page, and its first byte in the machine. */
export interface PinnedFrame {
  readonly page: number
  readonly at: number
}

/** Pins page `page` of `mm` for `access`. Faults go to `resolve`, which throws unless it is worth another try. */
export function pinFrame(seat: Seat, mm: number, page: number, access: number, resolve: (bits: number) => void): PinnedFrame {
  for (;;) {
    run(seat, mm)
    const found = sysPinUserPage(mm, page, access)
    if (found > 0) return { page: found, at: pageToVirt(found) * 4 }
    resolve(-found)
  }
}

/** Gives a frame back. */
export function unpinFrame(seat: Seat, frame: PinnedFrame): void {
  sit(seat)
  sysUnpinUserPage(frame.page)
}

/** A view of a pinned frame. */
export function pinView(seat: Seat, frame: PinnedFrame, address: number): Pin {
  let held = true
  return {
    address,
    bytes: bytesAt(seat, frame.at, 2 ** seat.pageShift),
    unpin: () => {
      if (held) unpinFrame(seat, frame)
      held = false
    },
  }
}
