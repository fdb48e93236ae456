// From recorded pages to the machine's. A page that is as large as the recorded one stays where it was, where that fits. Else
// the used parts of the address range are moved together in pieces of 2^18 pages (1 GiB of 4 KiB pages), which changes no
// table below the third level; in smaller ones where user space is small, but never in parts of a PTE table's range. `round`
// keeps byte addresses.
import type { Arch } from '../../kernel/arch/arch.ts'
import { userWindows } from '../../machine/shape.ts'
import { changedPages } from '../program/model.ts'
import { type Program, RECORDED_PAGE } from '../program/program.ts'
import { slotsUsed } from '../program/summary.ts'

/** How recorded pages meet larger ones: one becomes one, or byte addresses stay and ranges are rounded outwards. */
export type PageMap = 'scale' | 'round'

const WINDOW_PAGES = 2 ** 27
/** log2 of the pages of a piece, where there is room for such. */
const PIECE_SHIFT = 18
const MOST_WINDOWS = 15
/** Linux's user space on the recorded machine, in pages: what lies behind is the kernel's. */
const RECORDED_USER_PAGES = 2 ** 35

/** Where recorded pages are in the machine. */
export interface AddressMap {
  /** Bytes of a machine page that one recorded page occupies: all of it, or 4096 when rounding. */
  readonly unit: number
  readonly windows: readonly number[]
  /** Whether the used parts were moved together. */
  readonly moved: boolean
  /** The machine byte address of recorded address `address`; -1 when it lies outside. */
  place(address: number): number
}

/** The map for a program on an architecture, or the reason why there is none. */
export function mapAddresses(program: Program, arch: Arch, pageMap: PageMap): AddressMap | string {
  const pageBytes = 2 ** arch.pageShift
  const identity = pageMap === 'round' || pageBytes === RECORDED_PAGE
  if (identity) {
    const windows = slotsUsed(program, arch.pageShift).filter((slot) => slot >= 0 && slot * WINDOW_PAGES * pageBytes < 2 ** 47)
    if (windows.length <= MOST_WINDOWS && windows.every((slot) => slot < userWindows(arch))) {
      const known = new Set(windows)
      const window = WINDOW_PAGES * pageBytes
      return {
        unit: RECORDED_PAGE,
        windows: windows.length > 0 ? windows : [0],
        moved: false,
        place: (address) => (known.has(Math.floor(address / window)) ? address : -1),
      }
    }
    if (pageMap === 'round') return `it uses ${windows.length} windows of 2^27 pages, and a machine has at most ${MOST_WINDOWS}`
  }
  const userPages = Math.min(MOST_WINDOWS * WINDOW_PAGES, 2 ** (arch.userAddressBits - arch.pageShift))
  const large = moveTogether(usedPieces(program, 2 ** PIECE_SHIFT), 2 ** PIECE_SHIFT, userPages, pageBytes)
  if (userPages === MOST_WINDOWS * WINDOW_PAGES) return large
  let map = large
  for (let shift = PIECE_SHIFT - 1; typeof map === 'string' && shift >= (arch.levelBits[0] as number); shift--)
    map = moveTogether(usedPieces(program, 2 ** shift, userPages / 2 ** shift), 2 ** shift, userPages, pageBytes)
  return typeof map === 'string' ? large : map
}

/** The pieces in use, in order; no more than one above `most`. */
function usedPieces(program: Program, piecePages: number, most = Number.POSITIVE_INFINITY): number[] {
  const used = new Set<number>()
  const add = (start: number, end: number): void => {
    if (start < 0 || end > RECORDED_USER_PAGES) return
    for (let piece = Math.floor(start / piecePages); piece * piecePages < end && used.size <= most; piece++) used.add(piece)
  }
  for (const operation of program.operations) {
    if (operation.errno > 0) continue
    const page = Math.floor(operation.address / RECORDED_PAGE)
    if (operation.kind === 'touch') add(page, page + 1)
    else for (const [start, end] of changedPages(operation)) add(start, end)
  }
  return [...used].sort((a, b) => a - b)
}

function moveTogether(pieces: number[], piecePages: number, userPages: number, pageBytes: number): AddressMap | string {
  const most = userPages / piecePages
  let runs = 0
  for (let at = 0; at < pieces.length; at++) if (pieces[at] !== pieces[at - 1]! + 1) runs++
  if (pieces.length + runs + 1 > most) {
    return `it uses ${pieces.length} pieces of 2^${Math.log2(piecePages)} pages in ${runs} places, and a machine's addresses hold ${most}`
  }
  // One free piece before each run, so that what was apart stays apart.
  const target = new Map<number, number>()
  let next = 0
  for (let at = 0; at < pieces.length; at++) {
    if (pieces[at] !== pieces[at - 1]! + 1) next++
    target.set(pieces[at]!, next++)
  }
  const count = Math.floor((next * piecePages) / WINDOW_PAGES) + 1
  return {
    unit: pageBytes,
    windows: Array.from({ length: count }, (_, at) => at),
    moved: true,
    place: (address) => {
      const page = Math.floor(address / RECORDED_PAGE)
      const piece = target.get(Math.floor(page / piecePages))
      // What is no multiple of a page stays none.
      return piece === undefined ? -1 : (piece * piecePages + (page % piecePages)) * pageBytes + (address % RECORDED_PAGE)
    },
  }
}
