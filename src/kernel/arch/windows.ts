// Real addresses and the machine's page numbers. A machine's virtual page number is 31 bits; a static, injective,
// order-preserving table of windows, each 2^27 pages (512 GiB of 4 KiB pages), maps them to real page numbers of up to
// 2^53. What lies in no window is refused by name, never wrapped.
import { Global, MAX_WINDOWS } from '../machine/globals.ts'
import { load } from '../machine/instructions.ts'

/** log2 of the pages in a window. */
export const WINDOW_SHIFT = 27
/** Pages in a window. */
export const WINDOW_PAGES = 1 << WINDOW_SHIFT

/** The page number for real page `realPage` (a number below 2^53), or -1 when no window holds it. */
export function pageFromReal(realPage: number): number {
  const top = Math.floor(realPage / WINDOW_PAGES)
  const count = load(Global.windowCount)
  for (let i = 0; i < count; i++) {
    if (load(Global.windows + i) === top) return i * WINDOW_PAGES + (realPage - top * WINDOW_PAGES)
  }
  return -1
}

/** The real page number that `vpn` stands for. */
export function pageToReal(vpn: number): number {
  return load(Global.windows + (vpn >>> WINDOW_SHIFT)) * WINDOW_PAGES + (vpn & (WINDOW_PAGES - 1))
}

/** Like `pageFromReal`, for the page behind the end of a range: also right where no window follows. */
export function endFromReal(realEnd: number): number {
  const last = pageFromReal(realEnd - 1)
  return last < 0 ? -1 : last + 1
}

/** The first page of the run of windows, adjacent in reality, that holds `vpn`: a mapping must not begin before it. */
export function runStart(vpn: number): number {
  let i = vpn >>> WINDOW_SHIFT
  while (i > 0 && load(Global.windows + i - 1) === load(Global.windows + i) - 1) i--
  return i * WINDOW_PAGES
}

/** The page behind the run of windows that holds `vpn`. */
export function runEnd(vpn: number): number {
  let i = (vpn >>> WINDOW_SHIFT) + 1
  while (i < MAX_WINDOWS && i < load(Global.windowCount) && load(Global.windows + i) === load(Global.windows + i - 1) + 1) i++
  return i * WINDOW_PAGES
}

/** Whether page `vpn` begins a run of windows: in reality nothing touches it from below, so that no mapping may span it. */
export function isRunStart(vpn: number): boolean {
  return (vpn & (WINDOW_PAGES - 1)) === 0 && runStart(vpn) === vpn
}
