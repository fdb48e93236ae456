// Files of memory, to be mapped. They have no name and no disk; they live as long as a thread holds them or a space maps
// them.
import { enterKernel, exitKernel, fileOpen, inodeCreate, iput, putFile } from '../kernel/kernel.ts'
import { Errno } from '../kernel/machine/errno.ts'
import { load } from '../kernel/machine/instructions.ts'
import { fileInode } from '../kernel/memory/file.ts'
import { Inode } from '../kernel/memory/inode.ts'
import { pageToVirt } from '../kernel/memory/page.ts'
import { filemapAddPage, readPage } from '../kernel/memory/page-cache.ts'
import { putPage } from '../kernel/memory/rmap.ts'
import { MachineError, MemoryError } from './errors.ts'
import { ObjectKind, type Registry } from './registry.ts'
import { bytesAt, type Seat, sit } from './seat.ts'

/** A file as one thread holds it. Other threads of the machine open it by `id` (`machine.file(id)`). */
export class MemoryFile {
  readonly id: number
  /** Bytes. A mapping may go on to the end of the last page; behind that, an access is a `BusError`. */
  readonly length: number
  readonly #seat: Seat
  readonly #registry: Registry
  #file: number

  /** @internal */
  constructor(seat: Seat, registry: Registry, id: number, file: number, length: number) {
    this.#seat = seat
    this.#registry = registry
    this.id = id
    this.#file = file
    this.length = length
  }

  /** @internal The kernel's struct file. */
  kernelFile(seat: Seat): number {
    if (this.#file === 0) throw new MachineError(`file ${this.id} is closed`)
    if (seat !== this.#seat) throw new MachineError(`file ${this.id} is not of this machine, or of another thread`)
    return this.#file
  }

  /**
   * This thread needs the file no more. What is mapped stays mapped; the last user, space or thread, frees it.
   *
   * @example
   * const address = space.mmap({ length: file.length, file })
   * file.close()
   */
  close(): void {
    if (this.#file === 0) return
    sit(this.#seat)
    if (this.#registry.close(this.id)) {
      enterKernel()
      putFile(this.#file)
      exitKernel()
    }
    this.#file = 0
  }
}

/** A file of `length` bytes that begins with `contents`. Throws `MemoryError` ENOMEM, EINVAL. */
export function createFile(seat: Seat, registry: Registry, length: number, contents: Uint8Array | undefined): MemoryFile {
  const pageBytes = 2 ** seat.pageShift
  const pages = Math.ceil(length / pageBytes)
  if (!Number.isSafeInteger(length) || length < 0 || pages >= 2 ** 31) {
    throw new MemoryError('createFile', Errno.EINVAL, `${length} is no length in bytes`)
  }
  sit(seat)
  const id = registry.add(ObjectKind.file, pages * pageBytes - length)
  if (id < 0) throw new MachineError('the machine has too many spaces and files')
  enterKernel()
  const inode = inodeCreate(pages, 0, 0, id)
  exitKernel()
  const filled = inode !== 0 && (contents === undefined || fill(seat, inode, contents))
  enterKernel()
  const file = filled ? fileOpen(inode) : 0
  if (inode !== 0) iput(inode)
  exitKernel()
  if (file === 0) {
    registry.close(id)
    throw new MemoryError('createFile', Errno.ENOMEM)
  }
  registry.set(id, file)
  return new MemoryFile(seat, registry, id, file, length)
}

/** Puts `contents` into the page cache. Returns false without memory. */
function fill(seat: Seat, inode: number, contents: Uint8Array): boolean {
  const pageBytes = 2 ** seat.pageShift
  for (let at = 0; at < contents.length; at += pageBytes) {
    enterKernel()
    const page = filemapAddPage(inode, at / pageBytes)
    if (page !== 0) {
      readPage(inode, page)
      bytesAt(seat, pageToVirt(page) * 4, pageBytes).set(contents.subarray(at, at + pageBytes))
      putPage(page)
    }
    exitKernel()
    if (page === 0) return false
  }
  return true
}

/** The file that has number `id`, for another thread. Throws `MachineError` if there is none. */
export function openFile(seat: Seat, registry: Registry, id: number): MemoryFile {
  const found = registry.open(ObjectKind.file, id)
  if (found === undefined) throw new MachineError(`there is no file ${id}`)
  sit(seat)
  const length = load(fileInode(found.word) + Inode.pages) * 2 ** seat.pageShift - found.extra
  return new MemoryFile(seat, registry, id, found.word, length)
}
