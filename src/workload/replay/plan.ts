// A program made ready for one architecture: translated to machine operations, sorted by task, and encoded into shared words.
// The machine is booted and bound to this thread, since the system-call boundary's own functions do the encoding.
import {
  type MappedFile,
  type Prepared,
  pageOf,
  prepareBrk,
  prepareMadvise,
  prepareMmap,
  prepareMprotect,
  prepareMremap,
  prepareMunmap,
} from '../../abi/system-calls.ts'
import type { Arch } from '../../kernel/arch/arch.ts'
import { Access } from '../../kernel/pagetable/tlb.ts'
import type { Program } from '../program/program.ts'
import { type AddressMap, mapAddresses, type PageMap } from './addresses.ts'
import { type Needs, trackBacking } from './backing.ts'
import { Control, Edge, FileEntry, Kind, Op, Result, type Shared, Space, sharedWords } from './layout.ts'
import type { Lost, MachineOperation } from './operations.ts'
import { createPageOrder } from './page-order.ts'
import { rangesOf } from './races.ts'
import { roundTranslator } from './round.ts'
import { scaleTranslator } from './translate.ts'

/** A program translated for an architecture; everything but the shared words. */
export interface Translation {
  readonly program: Program
  readonly pageMap: PageMap
  readonly pageBytes: number
  readonly map: AddressMap
  /** By id: tasks one after the other. */
  readonly operations: readonly MachineOperation[]
  /** For each task its first id, and the number of operations behind the last task's. */
  readonly firstOf: readonly number[]
  /** For each operation what it waits for: task and count alternate. */
  readonly waits: ReadonlyMap<number, readonly number[]>
  readonly lost: Lost
  readonly needs: Needs
  /** Where the heap of each space begins, in bytes; NaN where it never moves. */
  readonly heaps: readonly number[]
  /** The space that each one descends from by fork alone. */
  readonly roots: readonly number[]
}

/** Translates `program`. Returns the reason when the architecture's addresses cannot hold it. */
export function translateProgram(program: Program, arch: Arch, pageMap: PageMap): Translation | string {
  const map = mapAddresses(program, arch, pageMap)
  if (typeof map === 'string') return map
  const pageBytes = 2 ** arch.pageShift
  const lost: Lost = {}
  const rounds = pageMap === 'round' && map.unit !== pageBytes
  const translator = rounds ? roundTranslator(program, map, pageBytes, lost) : scaleTranslator(program, map, lost)
  const tracker = trackBacking(program.spaces.length, program.files.length, pageBytes, arch.levelBits[0]!)
  const byTask: MachineOperation[][] = program.tasks.map(() => [])
  const waitsOf: Map<MachineOperation, number[]> = new Map()
  // How many machine operations of its task an operation of the program and those before it became.
  const countAfter = new Int32Array(program.operations.length)
  const owed: number[][] = program.tasks.map((task) => (task.startedAfter >= 0 ? [task.startedAfter] : []))
  const pageOrder = rounds ? createPageOrder(program.spaces.length, program.tasks.length) : undefined
  // How far each task has come in each address space: whoever ends it waits for all of them.
  const inSpace: Map<number, number>[] = program.spaces.map(() => new Map())
  for (const operation of program.operations) {
    const { task } = operation
    const own = byTask[task]!
    for (const other of operation.after) owed[task]!.push(other)
    translator.translate(operation, (out) => {
      tracker.see(out)
      own.push(out)
      const waits = owed[task]!.flatMap((other) => {
        const count = countAfter[other]!
        return count > 0 ? [program.operations[other]!.task, count] : []
      })
      owed[task] = []
      if (pageOrder !== undefined) {
        const pages = rangesOf(out, pageBytes).map(([start, end]): [number, number] => [start / pageBytes, end / pageBytes])
        waits.push(...pageOrder.add(out, own.length, pages))
      }
      if (out.last) for (const [other, count] of inSpace[out.space]!) if (other !== task) waits.push(other, count)
      inSpace[out.space]!.set(task, own.length)
      if (waits.length > 0) waitsOf.set(out, waits)
    })
    countAfter[operation.index] = own.length
  }
  const firstOf: number[] = []
  const operations: MachineOperation[] = []
  for (const own of byTask) {
    firstOf.push(operations.length)
    for (const operation of own) operation.id = operations.push(operation) - 1
  }
  firstOf.push(operations.length)
  const waits = new Map<number, readonly number[]>()
  for (const [operation, list] of waitsOf) waits.set(operation.id, list)
  const roots = program.spaces.map(({ index }) => {
    let at = index
    while (program.spaces[at]!.parent >= 0) at = program.spaces[at]!.parent
    return at
  })
  const heaps = program.spaces.map(() => Number.NaN)
  for (const { index, heapStart } of program.spaces) {
    const root = roots[index]!
    if (heapStart >= 0 && Number.isNaN(heaps[root]!) && !rounds) {
      const page = map.place(Math.ceil(heapStart / 4096) * 4096)
      if (page >= 0) heaps[root] = page
    }
  }
  return { program, pageMap, pageBytes, map, operations, firstOf, waits, lost, needs: tracker.needs(), heaps, roots }
}

/** Encodes a translation for the machine that this thread is bound to. */
export function encode(translation: Translation): Shared {
  const { operations, firstOf, waits, program, heaps, pageBytes, needs } = translation
  const ops = sharedWords(operations.length * Op.size)
  let edgeCount = 0
  for (const list of waits.values()) edgeCount += list.length / 2
  const edges = sharedWords(edgeCount * Edge.size)
  const tasks = sharedWords(program.tasks.length * 2)
  program.tasks.forEach((_, task) => {
    tasks[task * 2] = firstOf[task]!
    tasks[task * 2 + 1] = firstOf[task + 1]!
  })
  let nextEdge = 0
  for (const operation of operations) {
    const at = operation.id * Op.size
    encodeOne(ops, at, operation)
    ops[at + Op.order] = operation.source
    const list = waits.get(operation.id)
    if (list === undefined) continue
    ops[at + Op.edges] = nextEdge
    ops[at + Op.edgeCount] = list.length / 2
    edges.set(list, nextEdge * Edge.size)
    for (let edge = 0; edge < list.length; edge += 2) ops[(firstOf[list[edge]!]! + list[edge + 1]! - 1) * Op.size + Op.awaited] = 1
    nextEdge += list.length / 2
  }
  const spaces = sharedWords(program.spaces.length * Space.size)
  heaps.forEach((heap, index) => {
    if (heap >= 0) spaces[index * Space.size + Space.heap] = Math.max(0, pageOf(heap))
  })
  const files = sharedWords(program.files.length * FileEntry.size)
  program.files.forEach((file, index) => {
    files[index * FileEntry.size + FileEntry.pages] = filePages(translation, file.size, pageBytes)
  })
  const results = sharedWords(operations.length * Result.size)
  const warm = sharedWords(needs.warm.length)
  warm.set(needs.warm)
  const control = sharedWords(Control.size)
  return { ops, edges, tasks, done: sharedWords(program.tasks.length), results, spaces, files, warm, control }
}

/** Pages of a file of `size` recorded bytes in the machine. */
export function filePages(translation: Translation, size: number, pageBytes: number): number {
  return translation.map.unit === pageBytes ? Math.ceil(size / 4096) : Math.ceil(size / pageBytes) + 1
}

/** A file as the boundary sees it: its index stands for the kernel's struct file until the CPU looks it up. */
function fileOf(index: number): MappedFile | undefined {
  return index < 0 ? undefined : { file: index + 1, readable: true, writable: true }
}

function encodeOne(ops: Int32Array, at: number, operation: MachineOperation): void {
  const { kind, address, length, prot, flags } = operation
  ops[at + Op.space] = operation.space
  ops[at + Op.last] = operation.last ? 1 : 0
  ops[at + Op.kind] = Kind[kind]
  if (kind === 'touch') {
    ops[at + Op.args] = pageOf(address)
    ops[at + Op.args + 1] = operation.exec ? Access.exec : operation.write ? Access.write : Access.read
  } else if (kind === 'fork' || kind === 'exec') ops[at + Op.args] = operation.child
  else if (kind !== 'exit') {
    const call = prepare(operation, address, length, prot, flags)
    if (typeof call === 'number') {
      ops[at + Op.kind] = Kind.answer
      ops[at + Op.args] = call
    } else ops.set(call.args.slice(1), at + Op.args)
  }
}

function prepare(operation: MachineOperation, address: number, length: number, prot: number, flags: number): Prepared {
  switch (operation.kind) {
    case 'mmap':
      return prepareMmap(0, address, length, prot, flags, fileOf(operation.file), operation.offset)
    case 'munmap':
      return prepareMunmap(0, address, length)
    case 'mprotect':
      return prepareMprotect(0, address, length, prot)
    case 'madvise':
      return prepareMadvise(0, address, length, operation.advice)
    case 'mremap':
      return prepareMremap(0, address, length, operation.newLength, flags, operation.newAddress)
    default:
      return prepareBrk(0, address)
  }
}
