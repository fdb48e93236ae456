// A machine as one thread holds it: the thread is one of its CPUs and makes spaces and files on it, or opens those of others.

import { pageFromReal } from '../kernel/arch/windows.ts'
import { sysExit, sysFork, sysNewMm } from '../kernel/kernel.ts'
import { Errno } from '../kernel/machine/errno.ts'
import { Global } from '../kernel/machine/globals.ts'
import { load, perCpu, readOnce, store } from '../kernel/machine/instructions.ts'
import { Cpu } from '../kernel/machine/percpu.ts'
import { Mm } from '../kernel/memory/mm.ts'
import { isMachine } from '../machine/boot.ts'
import { bootMachine, type MachineHandle as KernelHandle } from '../machine/machine.ts'
import type { MachineOptions } from '../machine/shape.ts'
import { AddressSpace, type SpaceOwner } from './address-space.ts'
import { MachineError, MemoryError } from './errors.ts'
import { createFile, type MemoryFile, openFile } from './memory-file.ts'
import { noWindow } from './reach.ts'
import { ObjectKind, Registry } from './registry.ts'
import { drain, leave, run, Seat, sit, stand } from './seat.ts'

/** Where the heap of a space begins unless it is said: 256 MiB into the first window. */
const HEAP = 2 ** 28

/** What another thread needs to use a machine. Send it with `postMessage`; its contents are the library's own. */
export interface MachineHandle extends KernelHandle {
  readonly registry: SharedArrayBuffer
}

/** A machine, for the thread that made this object. */
export class Machine implements SpaceOwner {
  /** For other threads: `worker.postMessage(machine.handle)`, and there `attachMachine(handle)`. */
  readonly handle: MachineHandle
  /** Which CPU of the machine this thread is. */
  readonly cpu: number
  /** Bytes of a page. */
  readonly pageSize: number
  /** @internal */
  readonly seat: Seat
  readonly #registry: Registry
  readonly #spaces = new Map<number, AddressSpace>()
  readonly #files = new Set<MemoryFile>()

  /** @internal */
  constructor(handle: MachineHandle, registry: Registry, seat: Seat) {
    this.handle = handle
    this.cpu = seat.cpu
    this.pageSize = 2 ** seat.pageShift
    this.seat = seat
    this.#registry = registry
  }

  /**
   * An empty address space. `heap` is where `brk` begins, in bytes. Throws `MemoryError` ENOMEM.
   *
   * @example
   * const space = machine.createSpace()
   * const address = space.mmap({ length: 65536 })
   */
  createSpace(options: { readonly heap?: number } = {}): AddressSpace {
    sit(this.seat)
    const start = options.heap ?? (this.handle.shape.windows[0] as number) * 2 ** 27 * this.pageSize + HEAP
    const page = pageFromReal(Math.ceil(start / this.pageSize))
    if (page < 0) throw new MemoryError('createSpace', Errno.ENOMEM, noWindow(start, this.pageSize))
    return this.#adopt('createSpace', sysNewMm, (mm) => {
      store(mm + Mm.startBrk, page)
      store(mm + Mm.brk, page)
    })
  }

  /** Registers the mm that `make` makes. */
  #adopt(call: string, make: () => number, prepare: (mm: number) => void): AddressSpace {
    const id = this.#registry.add(ObjectKind.space, 0)
    if (id < 0) throw new MachineError('the machine has too many spaces and files')
    const mm = make()
    if (mm === 0) {
      this.#registry.close(id)
      throw new MemoryError(call, Errno.ENOMEM)
    }
    prepare(mm)
    this.#registry.set(id, mm)
    return this.#keep(id, mm)
  }

  #keep(id: number, mm: number): AddressSpace {
    const space = new AddressSpace(this, id, mm)
    this.#spaces.set(id, space)
    return space
  }

  /**
   * The space that another thread (or this one) calls `id`. This thread uses it from then on, until `space.exit()`. Throws
   * `MachineError` when there is no such space any more.
   *
   * @example
   * const { handle, id, address } = workerData
   * const space = attachMachine(handle).space(id)
   */
  space(id: number): AddressSpace {
    const known = this.#spaces.get(id)
    if (known !== undefined) return known
    sit(this.seat)
    const found = this.#registry.open(ObjectKind.space, id)
    if (found === undefined) throw new MachineError(`there is no space ${id}`)
    return this.#keep(id, found.word)
  }

  /** @internal */
  forkSpace(mm: number): AddressSpace {
    return this.#adopt(
      'fork',
      () => sysFork(mm),
      () => {},
    )
  }

  /** @internal */
  exitSpace(space: AddressSpace, mm: number): void {
    this.#spaces.delete(space.id)
    if (this.seat.mm === mm) run(this.seat, 0)
    if (this.#registry.close(space.id)) sysExit(mm)
  }

  /**
   * A file with these bytes, or of so many bytes of zeroes, to be mapped. Throws `MemoryError` ENOMEM, EINVAL.
   *
   * @example
   * const file = machine.createFile(1 << 20)
   * const address = space.mmap({ length: file.length, file, shared: true })
   */
  createFile(contents: Uint8Array | number): MemoryFile {
    const file =
      typeof contents === 'number'
        ? createFile(this.seat, this.#registry, contents, undefined)
        : createFile(this.seat, this.#registry, contents.length, contents)
    this.#files.add(file)
    return file
  }

  /**
   * The file that another thread created and calls `id`. Throws `MachineError` when there is none.
   *
   * @example
   * const file = machine.file(workerData.fileId)
   */
  file(id: number): MemoryFile {
    const file = openFile(this.seat, this.#registry, id)
    this.#files.add(file)
    return file
  }

  /**
   * Bytes of memory: all page frames, and those that are free. What other CPUs are doing at the moment, and what they have
   * freed but not passed through a grace period yet (see `barrier`), makes `free` inexact.
   *
   * @example
   * const { total, free } = machine.memoryUsage()
   */
  memoryUsage(): { readonly total: number; readonly free: number } {
    sit(this.seat)
    let free = readOnce(Global.freePages)
    for (let cpu = 0; cpu < load(Global.nrCpus); cpu++) free += readOnce(perCpu(cpu) + Cpu.pcpCount)
    return { total: load(Global.managedPages) * this.pageSize, free: free * this.pageSize }
  }

  /**
   * Waits until what this CPU has freed with a delay is free (rcu_barrier). Other CPUs hold it up only while they are in a
   * call, not while they compute or sleep.
   *
   * @example
   * space.exit()
   * machine.barrier()
   */
  barrier(): void {
    drain(this.seat)
  }

  /**
   * This thread leaves the machine: it exits its spaces, closes its files, and another thread may become its CPU. Pins must
   * have been given back. Afterwards every use throws `MachineError`.
   *
   * @example
   * machine.detach()
   */
  detach(): void {
    if (this.seat.left) return
    for (const space of [...this.#spaces.values()]) space.exit()
    for (const file of this.#files) file.close()
    leave(this.seat)
    this.#registry.release(this.cpu)
  }
}

/**
 * Makes a machine. The calling thread is its CPU 0; other threads join with `attachMachine(machine.handle)`. A thread may be
 * on several machines; going from one to the other costs some microseconds. Throws `MachineOptionError`.
 *
 * @example
 * const machine = createMachine({ memory: 64 << 20, cpus: 4 })
 */
export function createMachine(options: MachineOptions = {}): Machine {
  stand()
  const kernel = bootMachine(options)
  const registry = new Registry(kernel.shape.cpus)
  const cpu = registry.claim(0)
  return new Machine({ ...kernel, registry: registry.buffer }, registry, new Seat(kernel, cpu))
}

/**
 * Makes the calling thread a CPU of a machine: `cpu`, or the first that is free. A thread that ends without
 * `machine.detach()` keeps its CPU. Throws `MachineError` when the CPU is taken, or all are, or `handle` is none.
 *
 * @example
 * const machine = attachMachine(workerData.handle)
 */
export function attachMachine(handle: MachineHandle, cpu?: number): Machine {
  const known = handle?.buffer instanceof SharedArrayBuffer && handle.registry instanceof SharedArrayBuffer
  if (!known || !isMachine(handle.buffer)) throw new MachineError('not a handle of a machine')
  const registry = new Registry(handle.registry)
  return new Machine(handle, registry, new Seat(handle, registry.claim(cpu)))
}
