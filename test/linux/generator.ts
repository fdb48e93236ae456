// Turns draws into a list of operations that is valid by construction: only living processes act, nothing
// leaves the region. Ranges often begin or end where a VMA does, for which the oracle is asked.

import * as c from '../../src/oracle/constants.ts'
import { type Draw, type DrawnList, MAX_PROCESSES } from './draw.ts'
import { NULL, type Operation, REGION, type RegionLine } from './operation.ts'
import { OracleRun } from './oracle_subject.ts'

const pageSize = 2 ** REGION.pageShift

/** A range in pages, and the VMA it was aimed at. */
interface Range {
  readonly page: number
  readonly length: number
  readonly near: RegionLine | undefined
}

/** Where a draw points to, given what is mapped. */
function aim(how: number, pick: number, length: number, maps: readonly RegionLine[], arena: number): Range {
  const lowest = REGION.pages - arena
  const near = how < 3 || maps.length === 0 ? undefined : maps[pick % maps.length]
  let page = lowest + (pick % arena)
  let pages = length
  if (near !== undefined) {
    const { start, end } = near
    if (how === 3)
      [page, pages] = [start, end - start] // all of it
    else if (how <= 5) page = start
    else if (how <= 7)
      page = end // behind it
    else if (how === 8)
      page = end - length // its tail
    else if (how === 9)
      page = start - length // in front of it
    else page = start + (length % (end - start)) // from inside
  }
  page = Math.max(0, Math.min(page, REGION.pages - 1))
  return { page, length: Math.min(pages, REGION.pages - page), near }
}

/** A move that was made, in pages. Moving back is what brings page offsets together again. */
interface Move {
  readonly from: number
  readonly to: number
  readonly length: number
}

/** The move that `op` made, if it did. */
function moveOf(op: Operation, result: number): Move | undefined {
  if (op.kind !== 'mremap' || result < 0 || result === op.address) return undefined
  return { from: op.address / pageSize, to: result / pageSize, length: op.newLength / pageSize }
}

/** A range right before or behind where something was moved away from. */
function beside(move: Move, draw: Draw): Range {
  const before = draw.choice % 2 === 0
  const length = Math.min(draw.length, before ? move.from : REGION.pages - move.from - move.length)
  const page = before ? move.from - length : Math.min(move.from + move.length, REGION.pages - 1)
  return { page, length: Math.max(1, length), near: undefined }
}

const RW = c.PROT_READ | c.PROT_WRITE
const PROTS = [RW, RW, RW, RW, RW, RW, RW, RW, 1, 1, 1, 1, 0, 3 | 4, 1 | 4, 2]

/** The protection a draw asks for; only colourful lists use all of them. */
function protOf(draw: Draw, variety: number): number {
  return PROTS[variety === 2 ? draw.prot : draw.prot % 12] ?? RW
}

/** For operations on what is mapped: mostly a range inside the VMA that was aimed at. */
function within(range: Range, draw: Draw): Range {
  const { near } = range
  if (near === undefined || draw.choice % 8 === 7) return range
  const page = range.page < near.start || range.page >= near.end ? near.start + (draw.target % (near.end - near.start)) : range.page
  // Some reach over the end, into the next VMA or a hole.
  const length = draw.target % 4 === 0 ? range.length : Math.min(range.length, near.end - page)
  return { page, length: Math.min(length, REGION.pages - page), near }
}

/** A file mapping continues the neighbour's in half of the cases. */
function fileOf(draw: Draw, range: Range): { file: number; offset: number } {
  const files = [0, 0, 0, 0, 0, 1, 2, 3, 3, draw.offset === 0 ? 9 : draw.offset === 1 ? 4 : 3]
  const file = files[draw.file % files.length] ?? 0
  const { near, page } = range
  if (draw.choice % 2 === 0 || near === undefined || near.object.length !== 1) return { file, offset: draw.offset }
  const offset = near.offset + page - near.start
  return { file: near.object === 'B' ? 3 : file % 3, offset: offset < 0 ? draw.offset : offset }
}

function mmapOperation(draw: Draw, process: number, range: Range, variety: number): Operation {
  const anonymous = variety === 0 || draw.file < (variety === 1 ? 20 : 14)
  const { file, offset } = fileOf(draw, range)
  const wantsShared = variety > 0 && (range.near === undefined ? draw.choice % 4 === 3 : range.near.perms[3] === 's')
  let flags = wantsShared ? c.MAP_SHARED : c.MAP_PRIVATE
  if (anonymous) flags |= c.MAP_ANONYMOUS
  if (draw.choice >= 96) flags |= c.MAP_NORESERVE
  let address = range.page * pageSize
  const place = draw.targetAim
  if (place < 6) flags |= c.MAP_FIXED
  else if (place < 7) flags |= c.MAP_FIXED_NOREPLACE
  else if (place < 9) address = NULL
  // What is only a hint must be free or occupied, but not reach out of the region.
  let length = (address === NULL ? draw.length : range.length) * pageSize
  let start = offset * pageSize
  if (draw.oddity === 0) start += 1
  if (draw.oddity === 1) flags &= ~c.MAP_TYPE
  if (draw.oddity === 5) flags |= c.MAP_SHARED_VALIDATE
  if (draw.oddity === 2) address = Math.max(0, address) + 12
  if (draw.oddity === 3) length = 2 ** 48
  if (draw.oddity >= 95) length = Math.max(0, length - 100)
  const prot = protOf(draw, variety)
  return { kind: 'mmap', process, address, length, prot, flags, file: anonymous ? -1 : file, offset: start }
}

const REMAPS = [1, 1, 0, 3, 3, 3, 3, 3, 5, 5, 7, 7, 2, 4]

function mremapOperation(draw: Draw, process: number, range: Range, target: Range): Operation {
  const flags = draw.oddity === 4 ? 8 : (REMAPS[draw.choice % REMAPS.length] ?? 1)
  const oldLength = draw.offset === 11 ? 0 : range.length
  const same = (flags & c.MREMAP_DONTUNMAP) !== 0 || draw.prot < 8
  const room = REGION.pages - target.page
  const newLength = same ? oldLength : Math.min(draw.newLength, room)
  const page = Math.min(target.page, REGION.pages - newLength)
  const hinted = (flags & c.MREMAP_FIXED) !== 0 || draw.prot % 2 === 1
  let address = range.page * pageSize
  let newAddress = hinted ? page * pageSize : NULL
  let bytes = newLength * pageSize
  if (draw.oddity === 0) newAddress += 8
  if (draw.oddity === 1) bytes = 2 ** 48
  if (draw.oddity === 2) bytes = 0
  if (draw.oddity === 3) address += 8
  return { kind: 'mremap', process, address, oldLength: oldLength * pageSize, newLength: bytes, flags, newAddress }
}

/** Undoes a move, or the lower part of it. */
function moveBack(draw: Draw, process: number, move: Move): Operation {
  const room = Math.min(move.length, REGION.pages - move.from)
  const length = (draw.prot < 12 ? room : Math.min(room, draw.length)) * pageSize
  const flags = c.MREMAP_MAYMOVE | c.MREMAP_FIXED | (draw.choice % 5 === 0 ? c.MREMAP_DONTUNMAP : 0)
  const newAddress = move.from * pageSize
  return { kind: 'mremap', process, address: move.to * pageSize, oldLength: length, newLength: length, flags, newAddress }
}

const ADVICE = [c.MADV_DONTNEED, c.MADV_DONTNEED, c.MADV_FREE, c.MADV_POPULATE_READ, c.MADV_POPULATE_WRITE]

/** Operations with a plain range. */
function rangeOperation(draw: Draw, process: number, range: Range, variety: number): Operation {
  const address = range.page * pageSize + (draw.oddity === 0 ? 24 : 0)
  let length = range.length * pageSize
  if (draw.oddity === 1) length = Math.max(0, length - 4000)
  if (draw.kind === 'mprotect') {
    let prot = protOf(draw, variety)
    // Asking for what is there already changes nothing: mostly ask for the other.
    if (range.near?.perms.startsWith('rw') && prot === RW && draw.choice % 4 !== 0) prot = c.PROT_READ
    return { kind: 'mprotect', process, address, length, prot }
  }
  if (draw.kind === 'munmap') return { kind: 'munmap', process, address, length: draw.oddity === 2 ? 2 ** 48 : length }
  const advice = draw.oddity === 2 ? 77 : (ADVICE[draw.choice % ADVICE.length] ?? c.MADV_DONTNEED)
  return { kind: 'madvise', process, address, length, advice }
}

/** The list of operations that the draws stand for. */
export function concrete(list: DrawnList): Operation[] {
  const alive = [0]
  const result: Operation[] = []
  const run = new OracleRun()
  const moves: Move[] = []
  let children = 0
  function choose(draw: Draw, index: number): Operation | undefined {
    const process = alive[draw.process % alive.length] ?? 0
    const maps = run.maps(process)
    const anywhere = aim(draw.aim, draw.page, draw.length, maps, list.arena)
    const range = draw.kind === 'mmap' ? anywhere : within(anywhere, draw)
    const move = draw.aim === 11 ? moves[moves.length - 1 - (draw.target % 3)] : undefined
    switch (draw.kind) {
      case 'mmap':
        return mmapOperation(draw, process, move ? beside(move, draw) : range, list.variety)
      case 'mremap':
        if (move !== undefined) return moveBack(draw, process, move)
        return mremapOperation(draw, process, range, aim(draw.targetAim, draw.target, draw.newLength, maps, list.arena))
      case 'munmap':
      case 'mprotect':
      case 'madvise':
        return rangeOperation(draw, process, range, list.variety)
      case 'brk': {
        const page = REGION.brkPage - 2 + (draw.page % 16)
        return { kind: 'brk', process, address: draw.choice < 10 ? NULL : page * pageSize + (draw.oddity < 20 ? 24 : 0) }
      }
      case 'fork':
        if (alive.length === MAX_PROCESSES || children === 7) return undefined
        children++
        alive.push(children)
        return { kind: 'fork', process, child: children }
      case 'exit':
        if (process === 0) return undefined
        alive.splice(alive.indexOf(process), 1)
        return { kind: 'exit', process }
      case 'write':
        return { kind: 'write', process, address: range.page * pageSize, stamp: index + 1 }
      case 'read':
        return { kind: 'read', process, address: range.page * pageSize }
    }
  }
  for (const [index, draw] of list.draws.entries()) {
    const op = choose(draw, index)
    if (op === undefined) continue
    const answer = run.step(op)
    const move = moveOf(op, answer.result)
    if (move !== undefined) moves.push(move)
    // Only the first word of a page has a stamp; an access that fails may be anywhere in it.
    const inside = answer.fault !== undefined && draw.choice % 2 === 0
    result.push(inside && (op.kind === 'read' || op.kind === 'write') ? { ...op, address: op.address + 4 * draw.choice } : op)
  }
  return result
}
