// The sequential model of all address spaces of a program: an oracle for each family of them, files shared by all.
import { fileStamp } from '../../kernel/memory/page-cache.ts'
import { isFault } from '../../oracle/access.ts'
import { createOracle, type MapsLine, type Oracle } from '../../oracle/oracle.ts'
import type { MappedObject, OpenFile } from '../../oracle/vma.ts'
import type { MachineOperation } from './operations.ts'
import { filePages } from './plan.ts'
import type { ReplayLog } from './replay.ts'

/** What a touch is expected to meet. */
export interface ExpectedTouch {
  /** `VmFault` bits, 0 when it succeeds. */
  fault: number
  stamp: number
  /** After MADV_FREE the page may show this as well. */
  otherwise: number | undefined
}

/** The model. */
export interface Model {
  /** The files of the program, with what was stored in each page. */
  readonly files: readonly OpenFile[]
  alive(space: number): boolean
  touch(operation: MachineOperation, stamp: number): ExpectedTouch
  /** Reads without changing anything. */
  peek(space: number, address: number): ExpectedTouch
  /** Performs a system call. Returns what it returns: an address, 0, or a negated errno. */
  call(operation: MachineOperation): number
  fork(space: number, child: number): void
  /** A new, empty address space. */
  begin(space: number): void
  end(space: number): void
  maps(space: number): MapsLine[]
}

/** A disk file's pages hold what the disk has until they are written. */
class DiskStamps extends Map<number, number> {
  readonly #id: number
  constructor(id: number) {
    super()
    this.#id = id
  }
  override get(page: number): number {
    return super.get(page) ?? fileStamp(this.#id, page)
  }
}

const FAULTS = new Map([
  ['11 1', 1],
  ['11 2', 2],
  ['7 2', 4],
])

/** The model of what `log` was asked to do. */
export function createModel(log: ReplayLog): Model {
  const { translation, taskBytes } = log
  const { program, pageBytes, roots, heaps } = translation
  const objects = program.files.map(
    (file): MappedObject => ({
      name: `file ${file.index}`,
      size: filePages(translation, file.size, pageBytes) * pageBytes,
      stamps: new DiskStamps(file.index),
    }),
  )
  const files = objects.map((object): OpenFile => ({ object, readable: true, writable: true }))
  const oracles = new Map<number, Oracle>()
  const processes = new Map<number, number>()

  const oracleOf = (space: number): Oracle => oracles.get(roots[space]!)!
  const processOf = (space: number): number => processes.get(space)!
  const toTouch = (seen: ReturnType<Oracle['read']>): ExpectedTouch => {
    if (isFault(seen)) return { fault: FAULTS.get(`${seen.signal} ${seen.code}`) ?? -1, stamp: 0, otherwise: undefined }
    return { fault: 0, stamp: seen.stamp, otherwise: seen.otherwise }
  }
  const call = (operation: MachineOperation): number => {
    const { space, address, length, prot, flags } = operation
    const oracle = oracleOf(space)
    const process = processOf(space)
    switch (operation.kind) {
      case 'mmap':
        return oracle.mmap(process, { address, length, prot, flags, file: files[operation.file], offset: operation.offset })
      case 'munmap':
        return oracle.munmap(process, address, length)
      case 'mprotect':
        return oracle.mprotect(process, address, length, prot)
      case 'madvise':
        return oracle.madvise(process, address, length, operation.advice)
      case 'mremap':
        return oracle.mremap(process, address, length, operation.newLength, flags, operation.newAddress)
      case 'brk':
        return oracle.brk(process, address) === address ? 0 : -12
      default:
        return 0
    }
  }
  return {
    files,
    alive: (space) => processes.has(space),
    touch: ({ space, address, write }, stamp) =>
      toTouch(write ? oracleOf(space).write(processOf(space), address, stamp) : oracleOf(space).read(processOf(space), address)),
    peek: (space, address) => toTouch(oracleOf(space).read(processOf(space), address)),
    call,
    fork: (space, child) => void processes.set(child, oracleOf(space).fork(processOf(space))),
    begin: (space) => {
      const heap = heaps[space]!
      const options = { pageShift: Math.log2(pageBytes), taskSize: taskBytes, maxMapCount: 65530 }
      const oracle = createOracle(heap >= 0 ? { ...options, startBrk: heap } : options)
      oracles.set(space, oracle)
      processes.set(space, oracle.first)
    },
    end: (space) => {
      oracleOf(space).exit(processOf(space))
      processes.delete(space)
    },
    maps: (space) => oracleOf(space).maps(processOf(space)),
  }
}
