// A failed call is replayed; must it fail again? Yes when its arguments or the recorded mappings explain the error; no when it
// depended on limits, files, permissions or the state of the machine.
import { ERRNO } from '../../trace/errno.ts'
import { pagesOf, type SpaceModel } from './model.ts'
import { type Operation, RECORDED_PAGE } from './program.ts'
import { visitRanges } from './ranges.ts'

const MAP_FIXED_NOREPLACE = 0x10_0000

/** Can the error be expected again, given what is mapped at this moment? */
export function failsAgain(operation: Operation, model: SpaceModel): boolean {
  const { kind, errno, address, length } = operation
  if (errno === ERRNO.EINVAL) return explainsInvalid(operation)
  if (errno === ERRNO.EEXIST) return kind === 'mmap' && (operation.flags & MAP_FIXED_NOREPLACE) !== 0 && some(model, address, length, true)
  if (errno === ERRNO.ENOMEM) {
    // A hole that the recording itself made.
    if (kind === 'mprotect' || kind === 'madvise') return some(model, address, length, false)
    return false
  }
  if (errno === ERRNO.EFAULT) return kind === 'mremap' && some(model, address, length, false)
  return false
}

function explainsInvalid({ kind, address, length, newLength, flags }: Operation): boolean {
  if (kind === 'mmap') return length === 0 || (flags & 3) === 0 || ((flags & 0x10) !== 0 && address % RECORDED_PAGE !== 0)
  if (kind === 'mremap') return address % RECORDED_PAGE !== 0 || newLength === 0 || flags > 7 || (flags & 3) === 2
  if (address % RECORDED_PAGE !== 0) return kind === 'munmap' || kind === 'mprotect' || kind === 'madvise'
  return kind === 'munmap' && length === 0
}

// Is some page there recorded as mapped (or as not mapped)?
function some(model: SpaceModel, address: number, length: number, mapped: boolean): boolean {
  const [start, end] = pagesOf(address, length)
  let found = false
  if (end > start) visitRanges(model.map, start, end, (_from, _to, what) => (found ||= mapped ? !!what : what === null))
  return found
}
