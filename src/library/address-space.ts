// An address space as one thread uses it: Linux's memory system calls, reads and writes at virtual addresses, pins, and
// ranges that the program fills itself. The calls round and refuse as Linux does; what fails throws.

import { Madvise, Mremap } from '../abi/constants.ts'
import { addressOf, prepareBrk, prepareMadvise, prepareMmap, prepareMprotect, prepareMremap, prepareMunmap } from '../abi/system-calls.ts'
import { pageFromReal } from '../kernel/arch/windows.ts'
import { sysUserfaultRegister } from '../kernel/kernel.ts'
import { Errno } from '../kernel/machine/errno.ts'
import { load } from '../kernel/machine/instructions.ts'
import { Mm } from '../kernel/memory/mm.ts'
import { VirtualAtomics } from './atomics.ts'
import { BulkMemory } from './bulk-memory.ts'
import {
  type Advice,
  adviceValue,
  checkNumber,
  checkRange,
  type MapOptions,
  mapFlags,
  type Protection,
  perform,
  protBits,
  type RemapOptions,
} from './calls.ts'
import { MemoryError } from './errors.ts'
import { type Mapping, readMaps } from './maps.ts'
import { type Pin, pinFrame, pinView } from './pin.ts'
import { Access, noWindow } from './reach.ts'
import { type Seat, sit } from './seat.ts'
import type { UserfaultHandler } from './userfault.ts'

/** What a space needs of its machine. */
export interface SpaceOwner {
  readonly seat: Seat
  /** Makes a copy of `space`. */
  forkSpace(mm: number): AddressSpace
  /** This thread leaves the space. */
  exitSpace(space: AddressSpace, mm: number): void
}

/**
 * One address space, from `machine.createSpace()`, `space.fork()`, or, in another thread, `machine.space(id)`. An object
 * belongs to the thread that got it; the space belongs to all threads that have one. All addresses and lengths are in bytes.
 */
export class AddressSpace extends BulkMemory {
  /** The number by which other threads of the machine open this space. */
  readonly id: number
  /** Atomic operations, waiting and waking at virtual addresses. */
  readonly atomics: VirtualAtomics
  readonly #owner: SpaceOwner

  /** @internal */
  constructor(owner: SpaceOwner, id: number, mm: number) {
    super(owner.seat, mm)
    this.id = id
    this.#owner = owner
    this.atomics = new VirtualAtomics(owner.seat, mm, this.userfaults)
  }

  /** The mm, with the kernel bound to its machine. */
  #call(): number {
    const mm = this.alive()
    sit(this.seat)
    return mm
  }

  /**
   * Maps memory; returns its address. Throws `MemoryError`: EINVAL (length 0, unaligned), ENOMEM (no room, or a fixed address
   * that the machine cannot have), EEXIST (`noreplace`), EPERM (below the lowest page that may be mapped).
   *
   * @example
   * const address = space.mmap({ length: 1 << 20 })
   * const file = machine.createFile(new TextEncoder().encode('hello'))
   * const text = space.mmap({ length: file.length, file, prot: 'r' })
   */
  mmap(options: MapOptions): number {
    const { address = 0, length, offset = 0, file, prot = 'rw' } = options
    checkRange('mmap', address, length)
    checkNumber('mmap', 'offset', offset)
    const mm = this.#call()
    const mapped = file === undefined ? undefined : { file: file.kernelFile(this.seat), readable: true, writable: true }
    const fixed = options.fixed === true || options.noreplace === true
    const bits = protBits('mmap', prot)
    const detail = fixed ? this.#unreachable(address, length) : ''
    const result = perform('mmap', prepareMmap(mm, address, length, bits, mapFlags(options), mapped, offset), detail)
    // As far as it goes: MAP_POPULATE reports nothing.
    const advice = prot.includes('w') && options.shared !== true ? Madvise.populateWrite : Madvise.populateRead
    if (options.populate === true) this.#try(() => perform('madvise', prepareMadvise(mm, result, length, advice)))
    return result
  }

  #try(call: () => void): void {
    try {
      call()
    } catch (error) {
      if (!(error instanceof MemoryError)) throw error
    }
  }

  /** Why a range cannot be mapped, if it is because no window holds its first or its last page. */
  #unreachable(address: number, length: number): string {
    for (const byte of [address, address + Math.max(length, 1) - 1]) {
      if (pageFromReal(Math.floor(byte / this.pageBytes)) < 0) return noWindow(byte, this.pageBytes)
    }
    return ''
  }

  /**
   * Unmaps what lies in the range. Throws `MemoryError`: EINVAL (unaligned, length 0), ENOMEM (too many mappings).
   *
   * @example
   * space.munmap(address + machine.pageSize, machine.pageSize) // a hole
   */
  munmap(address: number, length: number): void {
    checkRange('munmap', address, length)
    perform('munmap', prepareMunmap(this.#call(), address, length))
  }

  /**
   * Changes what the mappings of a range allow. Throws `MemoryError`: ENOMEM (a hole; what lies before is changed), EINVAL
   * (unaligned), EACCES.
   *
   * @example
   * space.mprotect(address, machine.pageSize, 'r')
   */
  mprotect(address: number, length: number, prot: Protection): void {
    checkRange('mprotect', address, length)
    perform('mprotect', prepareMprotect(this.#call(), address, length, protBits('mprotect', prot)))
  }

  /**
   * `dontneed` drops the pages of a range: private memory reads as zeroes afterwards; `free` says that they may be dropped;
   * `populate-read` and `populate-write` fault them in. Throws `MemoryError`: ENOMEM (a hole, or no memory), EINVAL (unaligned,
   * `free` of a file, no right), EFAULT (behind the end of a file).
   *
   * @example
   * space.madvise(address, 1 << 20, 'populate-write')
   */
  madvise(address: number, length: number, advice: Advice): void {
    checkRange('madvise', address, length)
    perform('madvise', prepareMadvise(this.#call(), address, length, adviceValue(advice)))
  }

  /**
   * Resizes or moves a mapping; returns where it is now. Throws `MemoryError`: EFAULT (not mapped, or not one mapping), EINVAL,
   * ENOMEM (no room and no leave to move).
   *
   * @example
   * address = space.mremap(address, 1 << 20, 1 << 22, { mayMove: true })
   */
  mremap(address: number, oldLength: number, newLength: number, options: RemapOptions = {}): number {
    const { to, dontUnmap = false } = options
    checkRange('mremap', address, oldLength)
    checkRange('mremap', to ?? 0, newLength)
    const moves = options.mayMove === true || to !== undefined || dontUnmap
    const flags = (moves ? Mremap.mayMove : 0) | (to !== undefined ? Mremap.fixed : 0) | (dontUnmap ? Mremap.dontUnmap : 0)
    const mm = this.#call()
    const detail = to === undefined ? '' : this.#unreachable(to, newLength)
    return perform('mremap', prepareMremap(mm, address, oldLength, newLength, flags, to ?? 0), detail)
  }

  /**
   * The end of the heap; with `address`, moves it there first. Throws `MemoryError` ENOMEM, the heap unchanged.
   *
   * @example
   * const start = space.brk()
   * space.brk(start + 65536)
   */
  brk(address?: number): number {
    const mm = this.#call()
    if (address !== undefined) {
      checkNumber('brk', 'address', address)
      perform('brk', prepareBrk(mm, address))
    }
    return addressOf(load(mm + Mm.brk) - 1) + this.pageBytes - load(mm + Mm.brkUnused)
  }

  /**
   * The mappings, ascending, as they are at one moment.
   *
   * @example
   * for (const { start, end, prot } of space.maps()) console.log(start.toString(16), end.toString(16), prot)
   */
  maps(): Mapping[] {
    return readMaps(this.#call())
  }

  /**
   * Holds the page of `address` and gives a view of its bytes, no copy. Pages of private memory are made this space's own
   * first, and fork gives the child a copy: the view and the mapping stay the same page until it is unmapped. A view of
   * memory that may only be read must not be written. Throws `SegmentationFault`, `BusError`, `MemoryError` ENOMEM.
   *
   * @example
   * const pin = space.pin(address, { write: true })
   * pin.bytes.fill(7)
   * pin.unpin()
   */
  pin(address: number, options: { readonly write?: boolean } = {}): Pin {
    const page = this.pageAt(address)
    const access = options.write === true ? Access.write : Access.read
    const frame = pinFrame(this.seat, this.alive(), page, access, (bits) => this.resolve(page, Math.trunc(address), bits))
    return pinView(this.seat, frame, Math.trunc(address) - (Math.trunc(address) % this.pageBytes))
  }

  /**
   * From now on missing pages of a range of private memory are filled by `handler`, whoever touches them in this thread.
   * Another thread registers a handler of its own; one without gets `BusError`. After fork the child's missing pages are zeroes;
   * what mremap moves is no longer registered. Throws `MemoryError` EINVAL (unaligned, a hole, a file or shared memory), ENOMEM.
   *
   * @example
   * space.registerUserfault(address, 1 << 20, (page) => new Uint8Array(machine.pageSize).fill(page / machine.pageSize))
   */
  registerUserfault(address: number, length: number, handler: UserfaultHandler): void {
    this.#userfault('registerUserfault', address, length, 1)
    this.userfaults.push({ start: address, end: address + length, handler })
  }

  /**
   * Missing pages of the range are zeroes again, for every thread. Throws as `registerUserfault`.
   *
   * @example
   * space.unregisterUserfault(address, 1 << 20)
   */
  unregisterUserfault(address: number, length: number): void {
    this.#userfault('unregisterUserfault', address, length, 0)
  }

  #userfault(call: string, address: number, length: number, on: number): void {
    checkRange(call, address, length)
    if (address % this.pageBytes !== 0 || length % this.pageBytes !== 0 || length === 0) {
      throw new MemoryError(call, Errno.EINVAL, 'address and length must be multiples of the page size')
    }
    const mm = this.#call()
    const first = this.pageAt(address)
    const pages = length / this.pageBytes
    if (this.pageAt(address + length - 1) !== first + pages - 1) throw new MemoryError(call, Errno.EINVAL, 'the range is not mapped')
    const result = sysUserfaultRegister(mm, first, pages, on)
    if (result < 0) throw new MemoryError(call, -result)
  }

  /**
   * A copy of the space, as fork makes it: pages are shared until one side writes. Throws `MemoryError` ENOMEM.
   *
   * @example
   * const child = space.fork()
   * child.setInt32(address, 1) // the parent does not see it
   */
  fork(): AddressSpace {
    return this.#owner.forkSpace(this.#call())
  }

  /**
   * This thread leaves the space; the last thread's exit frees it. Afterwards every use throws `MachineError`.
   *
   * @example
   * space.exit()
   */
  exit(): void {
    const mm = this.#call()
    this.forget()
    this.atomics.forget()
    this.#owner.exitSpace(this, mm)
  }
}
