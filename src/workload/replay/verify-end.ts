// The end of an address space and of the machine: mappings, pages, counters, and that nothing is left.
import { Vm } from '../../kernel/vma/vma.ts'
import { mappingAllowed, mappingsDoubted } from './doubt.ts'
import { find, hex } from './findings.ts'
import { comparePieces, expectedPieces, foundPieces, mappingName } from './mappings.ts'
import { stampOf } from './perform.ts'
import { PAGE_ENTRY_WORDS, type SpaceEnd, VMA_WORDS } from './snapshot.ts'
import { plausible, stampName, type Verification } from './verification.ts'

const OBJECT_PAGES = 2 ** 30
const WINDOW_SHIFT = 27

/** Compares what an address space held at its end with the model. `racers`: operations that overlapped with the end. */
export function checkSpace(by: Verification, space: number, racers: readonly number[]): void {
  const end = by.ends.get(space)
  const { ledger } = by
  if (end === undefined) {
    find(ledger, 'leak', `address space ${space} never ended`)
    return
  }
  ledger.spaces++
  checkMappings(by, space, end)
  checkPages(by, space, end, racers)
  checkCounters(by, space, end)
}

/** The real page number of a machine page. */
function realPage(by: Verification): (page: number) => number {
  const { windows } = by.log.translation.map
  return (page) => windows[page >>> WINDOW_SHIFT]! * 2 ** WINDOW_SHIFT + (page & (2 ** WINDOW_SHIFT - 1))
}

function checkMappings(by: Verification, space: number, end: SpaceEnd): void {
  const { log, ledger, model } = by
  const { pageBytes } = log.translation
  const lines = model.maps(space)
  const expected = expectedPieces(lines, pageBytes)
  const files = new Map(log.files.map((file, index) => [file, `file ${index}`]))
  // Shared anonymous memory has no name: each object of the kernel must be one of the model, and no two the same.
  const anonymous = new Map<number, string>()
  const taken = new Set<string>()
  const nameOf = (file: number, page: number): string => {
    const known = files.get(file) ?? anonymous.get(file)
    if (known !== undefined) return known
    const object = lines.find((line) => line.start <= page * pageBytes && page * pageBytes < line.end)?.object
    const unfit = object === undefined || taken.has(object.name) || model.files.some((known) => known.object === object)
    const name = unfit ? `object ${file}` : object.name
    taken.add(name)
    anonymous.set(file, name)
    return name
  }
  const found = foundPieces(end, realPage(by), nameOf)
  const doubt = by.doubts.get(space)!
  ledger.mappings += expected.length
  comparePieces(expected, found, (from, to, want, have) => {
    if (want === have) return
    if (mappingAllowed(doubt, from, to, have)) {
      ledger.explained++
      return
    }
    const place = `address space ${space}, ${hex(from * pageBytes)}-${hex(to * pageBytes)}`
    find(ledger, 'mapping', `${place}: expected ${mappingName(want)}, found ${mappingName(have)}`)
  })
}

function checkPages(by: Verification, space: number, end: SpaceEnd, racers: readonly number[]): void {
  const { log, ledger, model } = by
  const { pageBytes } = log.translation
  const real = realPage(by)
  const doubt = by.doubts.get(space)!
  const resident = new Set<number>()
  for (let at = 0; at < end.pages.length; at += PAGE_ENTRY_WORDS) {
    const page = real(end.pages[at]!)
    const seen = end.pages[at + 1]!
    resident.add(page)
    ledger.pages++
    const expected = model.peek(space, page * pageBytes)
    if (expected.fault === 0 && (seen === expected.stamp || seen === expected.otherwise)) continue
    const values = doubt.values.get(page)
    if (values !== undefined && values !== 'any' && values.has(seen)) continue
    if (racers.some((other) => stampOf(other) === seen || by.before.get(other)?.has(seen))) continue
    const uncertain = values === 'any' || by.observed.tangled || mappingsDoubted(doubt, page, page + 1) || by.objectDoubts.size > 0
    // A page that the model cannot read (PROT_NONE) still holds what was written.
    if ((uncertain || expected.fault === 2) && plausible(by, space, page, seen)) continue
    const want = expected.fault === 1 ? 'no page' : stampName(by, expected.stamp)
    find(ledger, 'page', `address space ${space}, page ${hex(page * pageBytes)}: expected ${want}, found ${stampName(by, seen)}`)
  }
  if (by.observed.tangled) return
  const shared = sharedRanges(end, real)
  for (const page of by.written.get(space)!) {
    if (resident.has(page) || doubt.values.has(page) || mappingsDoubted(doubt, page, page + 1)) continue
    const expected = model.peek(space, page * pageBytes)
    if (expected.fault !== 0 || expected.stamp === 0 || expected.otherwise !== undefined) continue
    if (shared.some(([start, stop]) => start <= page && page < stop)) continue
    find(ledger, 'page', `address space ${space}, page ${hex(page * pageBytes)}: expected ${stampName(by, expected.stamp)}, found no page`)
  }
}

function sharedRanges(end: SpaceEnd, real: (page: number) => number): [number, number][] {
  const out: [number, number][] = []
  for (let at = 0; at < end.vmas.length; at += VMA_WORDS) {
    if ((end.vmas[at + 2]! & Vm.shared) === 0) continue
    const start = real(end.vmas[at]!)
    out.push([start, start + end.vmas[at + 1]! - end.vmas[at]!])
  }
  return out
}

function checkCounters(by: Verification, space: number, end: SpaceEnd): void {
  const { ledger } = by
  let pages = 0
  for (let at = 0; at < end.vmas.length; at += VMA_WORDS) pages += end.vmas[at + 1]! - end.vmas[at]!
  const counters: [string, number, number][] = [
    ['number of mappings', end.vmas.length / VMA_WORDS, end.mapCount],
    ['mapped pages', pages, end.totalVm],
    ['resident pages', end.pages.length / PAGE_ENTRY_WORDS, end.resident],
    ['resident pages after its end', 0, end.leftResident],
    ['words of page tables after its end', 0, end.leftTableWords],
  ]
  for (const [what, expected, found] of counters) {
    if (expected !== found) find(ledger, 'counter', `address space ${space}, ${what}: expected ${expected}, found ${found}`)
  }
}

/** Compares the page cache with what was stored in each file. */
export function checkFiles(by: Verification): void {
  const { log, ledger, model } = by
  const { cached } = log
  for (let at = 0; at < cached.length; at += 3) {
    const [file, page, seen] = [cached[at]!, cached[at + 1]!, cached[at + 2]!]
    const expected = model.files[file]!.object.stamps.get(page)!
    ledger.pages++
    const doubted = by.objectDoubts.get(file * OBJECT_PAGES + page)
    if (seen === expected || doubted === 'any' || doubted?.has(seen) || (by.observed.tangled && plausible(by, -1, -1, seen))) continue
    const { name } = log.translation.program.files[file]!
    find(ledger, 'page', `page ${page} of ${name}: expected ${stampName(by, expected)}, found ${stampName(by, seen)}`)
  }
}

/** Nothing is left of what has ended. */
export function checkBalance(by: Verification): void {
  const { managedFrames, freeFrames, slabFrames, objects, rcuCallbacks } = by.log.balance
  const { ledger } = by
  const lost = managedFrames - freeFrames - slabFrames
  if (lost !== 0) find(ledger, 'leak', `${Math.abs(lost)} frames ${lost > 0 ? 'are lost' : 'are free twice'} of ${managedFrames}`)
  for (const [cache, count] of Object.entries(objects)) {
    if (count !== 0) find(ledger, 'leak', `${count} objects of cache ${cache} are still in use`)
  }
  if (rcuCallbacks !== 0) find(ledger, 'leak', `${rcuCallbacks} RCU callbacks never ran`)
}
