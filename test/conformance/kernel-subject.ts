// The memory manager itself as a subject: one CPU, natively or stepped, under any design, architecture, geometry and freeing
// policy.

import {
  addressOf,
  type Prepared,
  pageBytes,
  pageOf,
  prepareBrk,
  prepareMadvise,
  prepareMmap,
  prepareMprotect,
  prepareMremap,
  prepareMunmap,
  toResult,
} from '../../src/abi/system-calls.ts'
import { geometryOf } from '../../src/kernel/arch/arch.ts'
import { Global } from '../../src/kernel/machine/globals.ts'
import { load, readOnce, store } from '../../src/kernel/machine/instructions.ts'
import { fileInode } from '../../src/kernel/memory/file.ts'
import { Inode } from '../../src/kernel/memory/inode.ts'
import { Mm } from '../../src/kernel/memory/mm.ts'
import { Access } from '../../src/kernel/pagetable/tlb.ts'
import { findVma } from '../../src/kernel/vma/find-vma.ts'
import { Vm, Vma } from '../../src/kernel/vma/vma.ts'
import { attach, boot, machineBytes } from '../../src/machine/boot.ts'
import type { MachineHandle } from '../../src/machine/machine.ts'
import { archByName, designByName, type MachineOptions, machineShape, userWindows } from '../../src/machine/shape.ts'
import { type Answer, FILES, NULL, OBJECTS, type Operation, REGION, type RegionLine, type Subject } from '../linux/operation.ts'
import { type Executor, type ExecutorFactory, fillPage, nativeExecutor } from './executor.ts'

const { base, pages, brkPage } = REGION
const LIST_PAGE = 2 ** REGION.pageShift
/** The page of a small machine where the region begins. */
const SMALL_BASE = 96
const OUTSIDE = Vm.mayRead | Vm.dontExpand
const FIXED = 1
const CODE = { 1: ['SIGSEGV', 1], 2: ['SIGSEGV', 2], 4: ['SIGBUS', 2] } as const

/** One machine whose address space is full but for the region, as the C driver's is. */
export class KernelSubject implements Subject {
  readonly name: string
  readonly machine: MachineHandle
  readonly #factory: ExecutorFactory
  readonly #design: ReturnType<typeof designByName>
  /** Lists speak of 4 KiB pages; on others every address and length grows or shrinks with the page. */
  readonly #pageBytes: number
  /** Real address of the region. */
  readonly #base: number
  /** Offsets in a page as the machine has them, and what they were in the list. */
  readonly #offsets = new Map([[0, 0]])
  #executor!: Executor
  #files: number[] = []
  #inodes = new Map<number, string>()
  #processes = new Map<number, number>()

  constructor(
    design: string,
    arch = 'x86_64',
    factory: ExecutorFactory = nativeExecutor,
    options: Pick<MachineOptions, 'geometry' | 'freeing' | 'index' | 'rcu' | 'tables'> = {},
  ) {
    this.#factory = factory
    this.#design = designByName(design)
    const small = options.geometry === 'small'
    const { pageShift, userAddressBits } = geometryOf(archByName(arch), small ? 1 : 0)
    this.#pageBytes = 2 ** pageShift
    // Where addresses have 32 bits, a quarter of the way up.
    const at = Math.min((base / LIST_PAGE) * this.#pageBytes, 2 ** (userAddressBits - 2))
    this.#base = small ? SMALL_BASE * this.#pageBytes : at
    const high = userWindows(archByName(arch)) - 1
    const windows = small || high === 0 ? [0] : [0, Math.min(high, 255)]
    const shape = machineShape({ arch, design, cpus: 1, memory: 1024 * this.#pageBytes, windows, poison: true, ...options })
    this.name = [design, 'on', arch, ...Object.values(options)].join(' ')
    this.machine = { buffer: new SharedArrayBuffer(machineBytes(shape)), shape }
    this.#boot()
  }

  run(list: readonly Operation[]): Answer[] {
    this.#boot()
    this.#executor = this.#factory(this.machine)
    this.#openFiles()
    const first = this.#executor.call('sysNewMm')
    this.#processes = new Map([[0, first]])
    const region = pageOf(this.#base)
    this.#reserve(first, load(Global.mmapMinPage), region)
    this.#reserve(first, region + pages, load(Global.taskSize))
    store(first + Mm.startBrk, region + brkPage)
    store(first + Mm.brk, region + brkPage)
    const answers = list.map((op) => this.#perform(op))
    this.#executor.call('sysSwitchMm', 0)
    for (const mm of this.#processes.values()) this.#executor.call('sysExit', mm)
    return answers
  }

  #boot(): void {
    const { buffer, shape } = this.machine
    new Int32Array(buffer).fill(0)
    boot(buffer, shape, this.#design)
    attach(buffer, 0, this.#design, false)
  }

  #reserve(mm: number, start: number, end: number): void {
    // Two windows that are not adjacent are two mappings.
    const edge = 2 ** 27
    const parts =
      start < edge && end > edge
        ? [
            [start, edge],
            [edge, end],
          ]
        : [[start, end]]
    for (const [from = 0, to = 0] of parts) {
      if (this.#executor.call('sysMmap', mm, from, to - from, OUTSIDE, FIXED, 0, 0) !== from) throw new Error('cannot reserve')
    }
  }

  #openFiles(): void {
    const inodes = new Map<string, number>()
    this.#inodes = new Map()
    for (const [name, { size, firstStamp }] of Object.entries(OBJECTS)) {
      const inode = this.#executor.call('inodeCreate', Math.ceil(size / 4096), 0, 0, inodes.size)
      inodes.set(name, inode)
      this.#inodes.set(inode, name)
      for (let page = 0; page * 4096 < size; page += 2) fillPage(inode, page, firstStamp + page)
    }
    this.#files = FILES.map(({ object }) => this.#executor.call('fileOpen', inodes.get(object) ?? 0))
  }

  #perform(op: Operation): Answer {
    const mm = this.#processes.get(op.process)
    if (mm === undefined) throw new Error(`no such process: ${op.process}`)
    if (op.kind === 'exit') {
      this.#executor.call('sysSwitchMm', 0)
      this.#executor.call('sysExit', mm)
      this.#processes.delete(op.process)
      return { result: 0, maps: [] }
    }
    return { ...this.#act(op, mm), maps: this.#maps(mm) }
  }

  #act(op: Exclude<Operation, { kind: 'exit' }>, mm: number): Omit<Answer, 'maps'> {
    switch (op.kind) {
      case 'mmap': {
        const rights = FILES[op.file]
        const file = rights === undefined ? undefined : { file: this.#files[op.file] ?? 0, ...rights }
        return this.#call(
          prepareMmap(mm, this.#absolute(op.address), this.#bytes(op.length), op.prot, op.flags, file, this.#bytes(op.offset)),
          true,
        )
      }
      case 'munmap':
        return this.#call(prepareMunmap(mm, this.#absolute(op.address), this.#bytes(op.length)))
      case 'mprotect':
        return this.#call(prepareMprotect(mm, this.#absolute(op.address), this.#bytes(op.length), op.prot))
      case 'madvise':
        return this.#call(prepareMadvise(mm, this.#absolute(op.address), this.#bytes(op.length), op.advice))
      case 'mremap':
        return this.#call(
          prepareMremap(
            mm,
            this.#absolute(op.address),
            this.#bytes(op.oldLength),
            this.#bytes(op.newLength),
            op.flags,
            this.#absolute(op.newAddress),
          ),
          true,
        )
      case 'brk':
        this.#call(prepareBrk(mm, this.#absolute(op.address)))
        return { result: this.#relative(addressOf(load(mm + Mm.brk) - 1) + pageBytes() - load(mm + Mm.brkUnused)) }
      case 'fork': {
        const child = this.#executor.call('sysFork', mm)
        if (child === 0) return { result: -12 }
        this.#processes.set(op.child, child)
        return { result: 0 }
      }
      case 'read':
      case 'write':
        return this.#access(op, mm)
    }
  }

  #call(prepared: Prepared, address = false): Omit<Answer, 'maps'> {
    if (typeof prepared === 'number') return { result: prepared }
    const result = toResult(prepared, this.#executor.call(prepared.name, ...prepared.args))
    return { result: address && result >= 0 ? this.#relative(result) : result }
  }

  #access(op: Operation & { kind: 'read' | 'write' }, mm: number): Omit<Answer, 'maps'> {
    this.#executor.call('sysSwitchMm', mm)
    const page = pageOf(this.#absolute(op.address))
    const outcome = this.#executor.access(
      page,
      op.kind === 'write' ? Access.write : Access.read,
      op.kind === 'write' ? op.stamp : undefined,
    )
    if ('fault' in outcome) {
      const [signal, code] = CODE[outcome.fault as keyof typeof CODE]
      return { result: 0, fault: { signal, code, address: op.address } }
    }
    return { result: op.kind === 'read' ? outcome.value : 0 }
  }

  #maps(mm: number): RegionLine[] {
    const lines: RegionLine[] = []
    const first = pageOf(this.#base)
    for (let vma = findVma(mm, first); vma !== 0 && load(vma + Vma.start) < first + pages; vma = findVma(mm, load(vma + Vma.end))) {
      const flags = load(vma + Vma.flags)
      const bit = (of: number, letter: string): string => ((flags & of) !== 0 ? letter : '-')
      const file = load(vma + Vma.file)
      lines.push({
        start: load(vma + Vma.start) - first,
        end: load(vma + Vma.end) - first,
        perms: bit(Vm.read, 'r') + bit(Vm.write, 'w') + bit(Vm.exec, 'x') + ((flags & Vm.mayShare) !== 0 ? 's' : 'p'),
        offset: file === 0 ? 0 : load(vma + Vma.pgoff),
        object: file === 0 ? '-' : this.#objectName(fileInode(file)),
      })
    }
    return lines
  }

  #objectName(inode: number): string {
    const known = this.#inodes.get(inode)
    return known ?? `shmem${readOnce(inode + Inode.id)}`
  }

  #absolute(address: number): number {
    return address === NULL ? 0 : this.#base + this.#bytes(address)
  }

  /** `count` bytes of a list as the machine has them: whole pages stay whole, the rest stays less than one and not nothing. */
  #bytes(count: number): number {
    const rest = count % LIST_PAGE
    const scaled = rest === 0 ? 0 : Math.min(Math.max(Math.round((rest / LIST_PAGE) * this.#pageBytes), 1), this.#pageBytes - 1)
    this.#offsets.set(scaled, rest)
    return ((count - rest) / LIST_PAGE) * this.#pageBytes + scaled
  }

  /** The address of a list that `address` is. */
  #relative(address: number): number {
    const rest = address % this.#pageBytes
    return ((address - rest - this.#base) / this.#pageBytes) * LIST_PAGE + (this.#offsets.get(rest) as number)
  }
}
