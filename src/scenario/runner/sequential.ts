// What the calls of a scenario may answer: what they answer one at a time, in some order. The oracle (src/oracle) is the
// sequential model; here it is set up as the stage was, and calls are put in its words.
import type { CallDescription, FileDescription, Sequential } from '../../check/detect/index.ts'
import { geometryOf } from '../../kernel/arch/arch.ts'
import { architectures } from '../../kernel/arch/architectures.ts'
import { VmFault } from '../../kernel/fault/fault.ts'
import { Errno } from '../../kernel/machine/errno.ts'
import { Global } from '../../kernel/machine/globals.ts'
import { Mm } from '../../kernel/memory/mm.ts'
import { Vm } from '../../kernel/vma/vma.ts'
import type { Fault } from '../../oracle/access.ts'
import { createOracle, type Oracle, type ProcessId } from '../../oracle/oracle.ts'
import type { MappedObject, OpenFile } from '../../oracle/vma.ts'
import { createMissingPages, type MissingPages } from './missing-pages.ts'
import { machineState, oracleState } from './space-lines.ts'

const MAP_SHARED = 0x1
const MAP_PRIVATE = 0x2
const MAP_FIXED = 0x10
const MAP_ANONYMOUS = 0x20
const SIGBUS = 7
const FORK = 'fork'
/** Calls whose results say nothing about mappings. */
const SAYS_NOTHING: ReadonlySet<string> = new Set(['smaps', 'exit'])

/** All of a stage. Forks that overlap return in an order that says nothing: their children are compared as a set. */
function inState(spaces: readonly string[], children: readonly string[]): string {
  return [...spaces, ...[...children].sort()].join(' | ')
}

/** A call that the set-up made, and what it returned. */
export interface Past {
  readonly description: CallDescription
  readonly result: number
}

/** An address space of an oracle. */
interface Process {
  readonly oracle: Oracle
  readonly id: ProcessId
  readonly missing: MissingPages
}

/** The files of one run: openings of one inode show the same pages. */
type OpenFiles = (description: FileDescription, oracle: Oracle, bytes: number) => OpenFile

function createFiles(): OpenFiles {
  const objects = new Map<number, MappedObject>()
  const files = new Map<number, OpenFile>()
  return ({ file, inode, pages, stamps, device = false }, oracle, bytes) => {
    const object = objects.get(inode) ?? oracle.createObject(`inode ${inode}`, pages * bytes, stamps, device)
    objects.set(inode, object)
    const opened = files.get(file) ?? oracle.open(object)
    files.set(file, opened)
    return opened
  }
}

/**
 * The sequential model of a stage in `words`: `history` is what its set-up did, `children` the address spaces that forks of
 * the execution under way have made, in order.
 */
export function sequentialModel(
  words: Int32Array,
  history: () => readonly Past[],
  spaces: () => readonly number[],
  children: () => readonly number[],
): Sequential {
  const { pageShift } = geometryOf(architectures[words[Global.archId] as number]!, words[Global.geometryId] as number)
  const bytes = 2 ** pageShift
  const newOracle = (mm: number): Oracle =>
    createOracle({
      pageShift,
      base: (words[Global.mmapMinPage] as number) * bytes,
      limit: (words[Global.mmapBase] as number) * bytes,
      taskSize: (words[Global.taskSize] as number) * bytes,
      startBrk: (words[mm + Mm.startBrk] as number) * bytes,
    })
  const create = (): ReturnType<Sequential['create']> => {
    const processes = new Map<number, Process>()
    const forked: Process[] = []
    const files = createFiles()
    const processOf = (mm: number): Process => {
      let process = processes.get(mm)
      if (process === undefined) {
        const oracle = newOracle(mm)
        process = { oracle, id: oracle.first, missing: createMissingPages() }
        processes.set(mm, process)
      }
      return process
    }
    const stateOf = ({ oracle, id }: Process): string => oracleState(oracle, id, bytes)
    // A child's ranges are not registered with the parent's userfaultfd.
    const fork = ({ oracle, id }: Process): Process => ({ oracle, id: oracle.fork(id), missing: createMissingPages() })
    for (const { description, result } of history()) {
      const process = processOf(description.mm)
      if (description.name === FORK) processes.set(result, fork(process))
      else perform(process, description, bytes, files)
    }
    return {
      apply: (call) => {
        if (call.unknown || call.name === 'smaps') return 0
        const process = processOf(call.mm)
        if (call.name !== FORK) return perform(process, call, bytes, files)
        forked.push(fork(process))
        return 1
      },
      state: () => inState(spaces().map(processOf).map(stateOf), forked.map(stateOf)),
    }
  }
  return {
    create,
    state: (now) => {
      const stateIn = (mm: number): string => machineState(now, mm)
      return inState(spaces().map(stateIn), children().map(stateIn))
    },
    agrees: ({ name, unknown = false }, expected, result) => {
      if (unknown || SAYS_NOTHING.has(name)) return true
      if (typeof expected !== 'number' || typeof result !== 'number') return expected === result
      if (name === FORK) return expected > 0 === result > 0
      // A pin answers with the page that it has pinned.
      return name === 'pin' ? expected === Math.min(result, 0) : expected === result
    },
  }
}

/** Does `call`, as far as it does not end at a missing page. */
function perform(process: Process, call: CallDescription, bytes: number, files: OpenFiles): number {
  const { oracle, id, missing } = process
  const mapped = (page: number): boolean => oracle.maps(id).some(({ start, end }) => start <= page * bytes && page * bytes < end)
  const answered = missing.answer(call, mapped)
  const result = answered ?? apply(process, call, bytes, files)
  missing.done(call, result)
  return result
}

/** Does `call` on the oracle. Returns what the kernel's entry returns: pages for addresses. */
function apply({ oracle, id }: Process, call: CallDescription, bytes: number, files: OpenFiles): number {
  const address = call.start * bytes
  const length = call.pages * bytes
  const pages = (result: number): number => (result < 0 ? result : result / bytes)
  switch (call.name) {
    case 'mmap': {
      const { file, flags = 0, pgoff = 0 } = call
      const kind = MAP_FIXED | ((flags & Vm.shared) !== 0 ? MAP_SHARED : MAP_PRIVATE)
      const what =
        file === undefined ? { flags: kind | MAP_ANONYMOUS } : { flags: kind, file: files(file, oracle, bytes), offset: pgoff * bytes }
      return pages(oracle.mmap(id, { address, length, prot: call.prot ?? 0, ...what }))
    }
    case 'munmap':
      return oracle.munmap(id, address, length)
    case 'mprotect':
      return oracle.mprotect(id, address, length, call.prot ?? 0)
    case 'madvise':
      return oracle.madvise(id, address, length, call.advice ?? 0)
    case 'mbind':
      return oracle.mbind(id, address, length, call.node)
    case 'mremap':
      return pages(oracle.mremap(id, address, length, (call.newPages ?? call.pages) * bytes, call.flags ?? 0, (call.target ?? 0) * bytes))
    case 'revoke': {
      const { file } = call
      if (file !== undefined) files(file, oracle, bytes).object.size = 0
      return 0
    }
    case 'brk':
      return oracle.brk(id, address) === address ? 0 : -Errno.ENOMEM
    case 'exit':
      oracle.exit(id)
      return 0
    case 'read': {
      const content = oracle.read(id, address)
      return 'stamp' in content ? content.stamp : signal(content)
    }
    case 'write':
    case 'userfault-copy': {
      const content = oracle.write(id, address, call.stamp ?? 0)
      return 'stamp' in content ? 0 : signal(content)
    }
    case 'pin': {
      // Private memory gets its own copy, as by a write of what it holds.
      const now = oracle.read(id, address)
      if (!('stamp' in now)) return signal(now)
      const content = oracle.write(id, address, now.stamp)
      return 'stamp' in content ? 0 : signal(content)
    }
    default:
      throw new Error(`the sequential model knows no ${call.name}`)
  }
}

/** The `VmFault` bits of a signal, negated. */
function signal({ signal: number, code }: Fault): number {
  if (number === SIGBUS) return -VmFault.sigbus
  return code === 1 ? -VmFault.sigsegvMaperr : -VmFault.sigsegvAccerr
}
