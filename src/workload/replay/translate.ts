// Recorded operations to machine operations, page by page (`scale`; pages of equal size are the trivial case). What Linux
// placed is put there with MAP_FIXED, what it moved is moved there with MREMAP_FIXED, so that later operations hit the same pages.
import { Madvise, MapFlag, Mremap } from '../../abi/constants.ts'
import { type Operation, type Program, RECORDED_PAGE } from '../program/program.ts'
import type { AddressMap } from './addresses.ts'
import { type Lost, lose, type MachineOperation, machineOperation } from './operations.ts'

/** Advice that the machine knows. */
const KNOWN_ADVICE = new Set<number>(Object.values(Madvise))
const MADV_REMOVE = 9

/** Turns one operation after the other, in recorded order, into none, one or several machine operations. */
export interface Translator {
  translate(operation: Operation, emit: (operation: MachineOperation) => void): void
}

/** MAP_ bits that the machine gets: the type, whether anonymous, and that the place is fixed. */
export function mapFlags(operation: Operation): number {
  let type = operation.flags & MapFlag.type
  if (type < MapFlag.shared || type > MapFlag.sharedValidate) type = MapFlag.private
  if (type === MapFlag.sharedValidate) type = MapFlag.shared
  const anonymous = operation.file < 0 ? MapFlag.anonymous : 0
  return type | anonymous | (operation.flags & MapFlag.noReserve) | MapFlag.fixed
}

/** What needs no addresses: fork, exec and exit. Returns whether it was one of them. */
export function translateKinship(operation: Operation, lost: Lost, emit: (operation: MachineOperation) => void): boolean {
  const { kind } = operation
  if (kind !== 'fork' && kind !== 'exec' && kind !== 'exit') return false
  if (kind === 'fork' && operation.child < 0) lose(lost, 'failed fork')
  else if (kind === 'exec' && operation.child < 0) lose(lost, 'failed exec')
  else emit({ ...machineOperation(operation, kind, 0, 0), child: operation.child, last: operation.last })
  return true
}

/** Whether this operation is left out, for a reason that is counted. */
export function leftOut(operation: Operation, lost: Lost): boolean {
  const { kind, errno, advice } = operation
  if (kind === 'mmap' && errno === 0 && (operation.flags & MapFlag.populate) !== 0) lose(lost, 'MAP_POPULATE of an mmap')
  if (errno !== 0 && !operation.repeatable) lose(lost, `failed ${kind} that need not fail again`)
  else if (kind === 'madvise' && !KNOWN_ADVICE.has(advice)) lose(lost, advice === MADV_REMOVE ? 'MADV_REMOVE' : 'madvise that only advises')
  else return false
  return true
}

/** The translator for one recorded page to one machine page. */
export function scaleTranslator(_program: Program, map: AddressMap, lost: Lost): Translator {
  const { unit } = map
  const size = (length: number): number => Math.ceil(length / RECORDED_PAGE) * unit
  const place = (address: number): number =>
    unit === RECORDED_PAGE || address % RECORDED_PAGE === 0 ? map.place(address) : onPage(address)
  // Not at the beginning of a page: still not, for the machine to refuse.
  const onPage = (address: number): number => {
    const page = map.place(Math.floor(address / RECORDED_PAGE) * RECORDED_PAGE)
    return page < 0 ? -1 : page + (address % RECORDED_PAGE)
  }
  const translate = (operation: Operation, emit: (operation: MachineOperation) => void): void => {
    if (translateKinship(operation, lost, emit) || leftOut(operation, lost)) return
    const { kind, errno } = operation
    const address = place(kind === 'touch' ? Math.floor(operation.address / RECORDED_PAGE) * RECORDED_PAGE : operation.address)
    const out = machineOperation(operation, kind, address, size(operation.length))
    out.errno = Math.max(errno, 0)
    if (address < 0 && kind !== 'brk' && !(kind === 'mmap' && errno > 0)) {
      lose(lost, kind === 'touch' ? 'touch outside of user space' : `${kind} outside of the addresses in use`)
      return
    }
    switch (kind) {
      case 'touch':
        out.length = unit
        break
      case 'mmap':
        if (errno !== 0) {
          out.flags = (operation.flags & ~MapFlag.anonymous) | (operation.file < 0 ? MapFlag.anonymous : 0)
          out.address = Math.max(0, address)
        } else out.flags = mapFlags(operation)
        out.file = operation.file
        out.offset = Math.floor(operation.offset / RECORDED_PAGE) * unit
        break
      case 'madvise':
        out.advice = operation.advice
        break
      case 'mremap':
        if (!remap(operation, out, address)) return
        break
      case 'brk': {
        // A question changes nothing; a failure returns the old break.
        if (operation.length === 0) return
        out.address = place(operation.result)
        if (out.address < 0) {
          lose(lost, 'brk outside of the addresses in use')
          return
        }
        const rest = operation.result % RECORDED_PAGE
        if (rest !== 0 && unit !== RECORDED_PAGE) out.address += unit - rest
        out.length = 0
        out.newAddress = Math.max(0, map.place(Math.floor((operation.result - operation.length) / RECORDED_PAGE) * RECORDED_PAGE))
      }
    }
    emit(out)
  }
  const remap = (operation: Operation, out: MachineOperation, address: number): boolean => {
    out.newLength = size(operation.newLength)
    out.flags = operation.flags & 7
    if (operation.errno !== 0) {
      const to = operation.newAddress > 0 ? place(operation.newAddress) : 0
      out.newAddress = Math.max(0, to)
      return true
    }
    const to = place(operation.result)
    if (to < 0) {
      lose(lost, 'mremap outside of the addresses in use')
      return false
    }
    if (to === address) {
      out.flags = 0
      return true
    }
    out.newAddress = to
    out.flags = (operation.flags & Mremap.dontUnmap) | Mremap.mayMove | Mremap.fixed
    return true
  }
  return { translate }
}
