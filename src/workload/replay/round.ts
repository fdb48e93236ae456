// Recorded operations to machine operations when byte addresses stay and pages are larger. What the recorded 4 KiB kernel put
// into one larger page becomes one mapping there: ranges grow outwards to whole pages, a page that already belongs to a
// neighbour stays the neighbour's (with the rights of both), and goes away with the last of them. What that loses is counted.
import { MapFlag } from '../../abi/constants.ts'
import { changedPages } from '../program/model.ts'
import { type Operation, type Program, RECORDED_PAGE } from '../program/program.ts'
import { copyRanges, createRanges, type RangeMap, setRange, visitRanges } from '../program/ranges.ts'
import type { AddressMap } from './addresses.ts'
import { type Lost, lose, type MachineOperation, machineOperation } from './operations.ts'
import { leftOut, mapFlags, type Translator, translateKinship } from './translate.ts'

type Emit = (operation: MachineOperation) => void

/** The translator that keeps native addresses on pages of `pageBytes`. */
export function roundTranslator(program: Program, map: AddressMap, pageBytes: number, lost: Lost): Translator {
  const per = pageBytes / RECORDED_PAGE
  // Protection of each recorded page, by address space.
  const spaces: RangeMap<number>[] = program.spaces.map(() => createRanges<number>())

  /** The rights of what is mapped in machine page `page`, leaving out recorded pages [start, end); -1: nothing is. */
  const others = (space: number, page: number, start: number, end: number): number => {
    let prot = -1
    const look = (from: number, to: number): void => {
      if (from >= to) return
      visitRanges(spaces[space]!, from, to, (_from, _to, what) => {
        if (what !== undefined) prot = Math.max(prot, 0) | what
      })
    }
    look(page * per, Math.min(start, (page + 1) * per))
    look(Math.max(end, page * per), (page + 1) * per)
    return prot
  }
  /** Machine pages that only [start, end) uses, and the shared ones at its ends with the rights of the others. */
  const split = (space: number, start: number, end: number): { from: number; to: number; shared: [number, number][] } => {
    let from = Math.floor(start / per)
    let to = Math.ceil(end / per)
    const shared: [number, number][] = []
    const first = others(space, from, start, end)
    if (first >= 0) shared.push([from++, first])
    if (to > from) {
      const last = others(space, to - 1, start, end)
      if (last >= 0) shared.push([--to, last])
    }
    return { from, to, shared }
  }
  const protect = (operation: Operation, page: number, prot: number, emit: Emit): void => {
    emit({ ...machineOperation(operation, 'mprotect', page * pageBytes, pageBytes), prot })
  }
  const mapRange = (operation: Operation, start: number, end: number, prot: number, emit: Emit): void => {
    const { space } = operation
    const { from, to, shared } = split(space, start, end)
    for (const [page, other] of shared) {
      lose(lost, 'pages shared with a neighbouring mapping')
      if ((other | prot) !== other) protect(operation, page, other | prot, emit)
    }
    if (to > from) {
      const out = machineOperation(operation, 'mmap', from * pageBytes, (to - from) * pageBytes)
      out.prot = prot
      out.flags = operation.kind === 'mmap' ? mapFlags(operation) : MapFlag.private | MapFlag.anonymous | MapFlag.fixed
      out.file = operation.kind === 'mmap' ? operation.file : -1
      const offset = operation.offset - (operation.address - from * pageBytes)
      if (out.file >= 0 && offset % pageBytes !== 0) lose(lost, 'file mappings whose offset was rounded')
      out.offset = out.file >= 0 ? Math.max(0, Math.floor(offset / pageBytes)) * pageBytes : 0
      emit(out)
    }
    setRange(spaces[space]!, start, end, prot)
  }
  const unmapRange = (operation: Operation, start: number, end: number, emit: Emit): void => {
    const { from, to, shared } = split(operation.space, start, end)
    lose(lost, 'pages kept for a neighbour at an unmapping', shared.length)
    if (to > from) emit(machineOperation(operation, 'munmap', from * pageBytes, (to - from) * pageBytes))
    setRange(spaces[operation.space]!, start, end, undefined)
  }
  const protectRange = (operation: Operation, start: number, end: number, emit: Emit): void => {
    const prot = operation.prot & 7
    const { from, to, shared } = split(operation.space, start, end)
    for (const [page, other] of shared) {
      if (other !== prot) lose(lost, 'pages that keep the rights of a neighbour')
      protect(operation, page, other | prot, emit)
    }
    if (to > from) emit(machineOperation(operation, 'mprotect', from * pageBytes, (to - from) * pageBytes))
    const pieces: [number, number][] = []
    visitRanges(spaces[operation.space]!, start, end, (at, stop, what) => what !== undefined && pieces.push([at, stop]))
    for (const [at, stop] of pieces) setRange(spaces[operation.space]!, at, stop, prot)
  }
  const adviseRange = (operation: Operation, start: number, end: number, emit: Emit): void => {
    const { from, to, shared } = split(operation.space, start, end)
    lose(lost, 'pages left out of an madvise', shared.length)
    if (to > from) emit({ ...machineOperation(operation, 'madvise', from * pageBytes, (to - from) * pageBytes), advice: operation.advice })
  }

  const translate = (operation: Operation, emit: Emit): void => {
    const { kind, space, child } = operation
    if (translateKinship(operation, lost, emit)) {
      if (kind === 'fork' && child >= 0) spaces[child] = copyRanges(spaces[space]!)
      return
    }
    if (leftOut(operation, lost)) return
    if (operation.errno !== 0) {
      lose(lost, `failed ${kind} whose addresses are not whole pages`)
      return
    }
    if (kind === 'touch') {
      const address = map.place(operation.address)
      if (address < 0) lose(lost, 'touch outside of user space')
      else emit(machineOperation(operation, kind, Math.floor(address / pageBytes) * pageBytes, pageBytes))
      return
    }
    const [range, second] = changedPages(operation)
    if (range === undefined) return
    const [start, end] = range
    if (kind === 'mmap') mapRange(operation, start, end, operation.prot & 7, emit)
    else if (kind === 'munmap') unmapRange(operation, start, end, emit)
    else if (kind === 'mprotect') protectRange(operation, start, end, emit)
    else if (kind === 'madvise') adviseRange(operation, start, end, emit)
    else if (kind === 'brk' && operation.length > 0) mapRange(operation, start, end, 3, emit)
    else if (kind === 'brk') unmapRange(operation, start, end, emit)
    else if (second !== undefined) {
      lose(lost, 'mremap replayed as munmap and mmap, without the contents')
      unmapRange(operation, start, end, emit)
      mapRange(operation, second[0], second[1], 3, emit)
    } else {
      const stop = start + Math.ceil(operation.newLength / RECORDED_PAGE)
      const old = start + Math.ceil(operation.length / RECORDED_PAGE)
      if (stop > old) mapRange(operation, old, stop, 3, emit)
      else if (stop < old) unmapRange(operation, stop, old, emit)
    }
  }
  return { translate }
}
