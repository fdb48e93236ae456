// Descriptions of the calls that a scenario makes, for the detectors that compare what calls do with what they promise; and
// when each call of an execution began and returned.
import { addFact, type Detector, type Scene } from './scene.ts'

/** A file: its inode is what two openings have in common. */
export interface FileDescription {
  readonly file: number
  readonly inode: number
  readonly pages: number
  /** What its pages hold before anybody writes, by page offset; 0 where nothing is said. */
  readonly stamps: ReadonlyMap<number, number>
  /** A device's memory. */
  readonly device?: boolean
}

/** What a call does. Addresses are virtual page numbers, lengths pages. */
export interface CallDescription {
  /** `munmap`, `mmap`, `mprotect`, `madvise`, `mremap`, `brk`, `fork`, `exit`, `read`, `write`, `smaps` … */
  readonly name: string
  readonly mm: number
  readonly start: number
  readonly pages: number
  /** VM_READ, VM_WRITE, VM_EXEC of mmap and mprotect. */
  readonly prot?: number
  /** VMA flags of mmap; flags of mremap (see `Remap`). */
  readonly flags?: number
  /** What mmap maps, from page `pgoff` of it; private or shared anonymous memory where it is left out. */
  readonly file?: FileDescription
  readonly pgoff?: number
  /** How the address of mmap is meant (see `Placement`). */
  readonly placement?: number
  /** Of madvise. Default MADV_DONTNEED. */
  readonly advice?: number
  /** Which node mbind prefers; none where it is left out. */
  readonly node?: number
  readonly newPages?: number
  /** Where mremap moves to. */
  readonly target?: number
  /** What write stores, or the page that `userfault-copy` brings holds. */
  readonly stamp?: number
  /** Results that say that nothing was done for want of memory: they agree with any order. */
  readonly nothingDone?: readonly number[]
  /** Nothing is known of the call but its text, which is its name. */
  readonly unknown?: boolean
  /** What a reader shows: mappings (the default), or pages that are present (not the zero page). */
  readonly shows?: 'mappings' | 'pages'
  /** The ranges of pages `[first, behind]` that a reader showed, from its result. */
  readonly shown?: (result: unknown, words: Int32Array) => readonly (readonly [number, number])[]
}

/** One call of one execution. Events are -1 until they happen. */
export interface CallRecord {
  readonly cpu: number
  readonly call: number
  readonly description: CallDescription
  began: number
  returned: number
  result: unknown
  succeeded: boolean
}

/** The calls of the execution. */
export interface Calls extends Detector {
  readonly records: readonly CallRecord[]
  of(cpu: number, call: number): CallRecord | null
}

/** Whether a call that makes mappings, somewhere in the range. */
export function mapsInto(
  { name, start, pages, placement = 0, target, newPages = pages }: CallDescription,
  from: number,
  to: number,
): boolean {
  if (name === 'mmap') return placement === 0 || (start < to && start + pages > from)
  if (name === 'mremap') return target === undefined || (target < to && target + newPages > from)
  return name === 'brk'
}

/** Whether a call may take mappings away from the range, or replace them. */
export function unmapsFrom(
  { name, start, pages, placement = 0, target, newPages = pages }: CallDescription,
  from: number,
  to: number,
): boolean {
  const over = (first: number, count: number): boolean => first < to && first + count > from
  if (name === 'munmap') return over(start, pages)
  if (name === 'mmap') return placement !== 0 && over(start, pages)
  if (name === 'mremap') return over(start, pages) || (target !== undefined && over(target, newPages))
  return name === 'brk' || name === 'exit'
}

function succeeds(result: unknown): boolean {
  return typeof result === 'number' ? result >= 0 : typeof result === 'string' ? result === '' : true
}

/** Follows the calls that `descriptions` has for each CPU; it is asked once the set-up is done. */
export function createCalls(scene: Scene, descriptions: () => readonly (readonly CallDescription[])[]): Calls {
  const records: CallRecord[] = []
  const calls: Calls = {
    records,
    of: (cpu, call) => records.find((record) => record.cpu === cpu && record.call === call) ?? null,
    snapshot: () => {
      records.length = 0
      for (const [cpu, list] of descriptions().entries()) {
        for (const [call, description] of list.entries())
          records.push({ cpu, call, description, began: -1, returned: -1, result: undefined, succeeded: false })
      }
    },
    reset: () => {
      for (const record of records) {
        record.began = -1
        record.returned = -1
        record.result = undefined
        record.succeeded = false
      }
    },
    save: () => {
      const kept = records.map(({ began, returned, result, succeeded }) => ({ began, returned, result, succeeded }))
      return () => {
        for (let i = 0; i < records.length; i++) Object.assign(records[i] as CallRecord, kept[i])
      }
    },
    callBegins: (cpu, call) => {
      const record = calls.of(cpu, call)
      if (record !== null) record.began = scene.event
    },
    callReturns: (cpu, call, result) => {
      const record = calls.of(cpu, call)
      if (record === null) return
      record.returned = scene.event
      record.result = result
      record.succeeded = succeeds(result)
    },
    digest: (into) => {
      // Which calls returned before which began, and with what.
      for (let i = 0; i < records.length; i++) {
        const { returned, result } = records[i] as CallRecord
        if (returned < 0) continue
        addFact(into, 0xca11 + i, typeof result === 'number' ? result : 0)
        for (let j = 0; j < records.length; j++) if (returned <= (records[j] as CallRecord).began) addFact(into, 0x0bef + i, j)
      }
    },
  }
  return calls
}
