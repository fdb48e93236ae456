// From a virtual address to bytes of the machine. Two ways: `hit` looks into the CPU's TLB without telling anybody, and
// `unmoved` says afterwards whether what was read then was still the page's; `enter` publishes that an access is under way.
//
// Why an unpublished read is right. Whoever takes a page away first makes every TLB forget it: it bumps the CPU's
// `tlbStale`, and only then frees or rewrites the frame. A read that took place before the bump saw the page as it was. So
// if `tlbStale`, loaded after the data, still has the value that the TLB reflects, the data is good; else it is read again
// by way of `enter`. The CPU's own munmap, fork or copy-on-write clears the TLB entry itself.
// The data must be loaded before `tlbStale`. x86 keeps loads in order. On anything else, and where the processor cannot be
// known (browsers), a sequentially consistent store to a word of the thread's own stands between them: a load is not
// reordered with a later store-release, nor that with a later load-acquire (arm64: ldr, stlr, ldar).
import { TLB_MASK } from '../kernel/arch/arch.ts'
import { pageFromReal, WINDOW_PAGES, WINDOW_SHIFT } from '../kernel/arch/windows.ts'
import { beginAccess, endAccess } from '../kernel/kernel.ts'
import { readOnce } from '../kernel/machine/instructions.ts'
import { Cpu, TLB_ENTRY_WORDS } from '../kernel/machine/percpu.ts'
import { Access, TlbEntry } from '../kernel/pagetable/tlb.ts'
import { faultError, hex, MachineError, SegmentationFault } from './errors.ts'
import { run, type Seat } from './seat.ts'
import { fillMissing, isMissing, type UserfaultRange } from './userfault.ts'

const processor = (globalThis as { process?: { arch?: string } }).process?.arch
/** Whether the processor keeps loads in order. */
const LOADS_IN_ORDER = processor === 'x64' || processor === 'ia32'
/** Stands between a read and its validation; of this thread alone. */
const fence = new Int32Array(new SharedArrayBuffer(4))
/** Whether words of the machine have their low byte first, as a DataView is told to. */
const LITTLE_ENDIAN = new Uint8Array(new Int32Array([1]).buffer)[0] === 1
/** No space: an mm that no CPU ever has loaded. */
const GONE = -1

/**
 * Whether the `size` (2 or 4) bytes at byte `at` of the machine are one element of a typed array. Such an integer is read and written
 * whole; with a DataView another thread may see, or leave, a part of it (memory model of ECMAScript, tear-free accesses).
 */
export function isWhole(at: number, size: number): boolean {
  return LITTLE_ENDIAN && (at & (size - 1)) === 0
}

/** An address space as one thread reaches into it. */
export class Reach {
  protected readonly seat: Seat
  protected mm: number
  protected readonly words: Int32Array
  protected readonly halves: Int16Array
  protected readonly view: DataView
  protected readonly pageBytes: number
  /** Ranges that this thread fills, the newest last. */
  protected readonly userfaults: UserfaultRange[]
  readonly #pageMask: number
  readonly #pagesPerByte: number
  readonly #windowBytes: number
  readonly #tlb: number
  readonly #stale: number
  readonly #seen: number
  /** The window of the last address: its first byte, and its first page in the machine's numbers. */
  #windowStart = Number.POSITIVE_INFINITY
  #windowPage = 0

  /** @internal */
  constructor(seat: Seat, mm: number, userfaults: UserfaultRange[] = []) {
    this.seat = seat
    this.userfaults = userfaults
    this.mm = mm
    this.words = seat.words
    this.halves = seat.halves
    this.view = seat.view
    this.pageBytes = 2 ** seat.pageShift
    this.#pageMask = this.pageBytes - 1
    this.#pagesPerByte = 1 / this.pageBytes
    this.#windowBytes = WINDOW_PAGES * this.pageBytes
    this.#tlb = seat.area + Cpu.tlb
    this.#stale = seat.area + Cpu.tlbStale
    this.#seen = seat.area + Cpu.tlbSeen
  }

  /** The byte of the machine that `address` is, if the TLB knows and `size` bytes lie in one page; else -1. Publishes nothing. */
  protected hit(address: number, size: number): number {
    const offset = address - this.#windowStart
    // Also false for what is not a number.
    if (!(offset >= 0 && offset < this.#windowBytes)) return -1
    const page = this.#windowPage + ((offset * this.#pagesPerByte) | 0)
    const entry = this.#tlb + (page & TLB_MASK) * TLB_ENTRY_WORDS
    const at = offset & this.#pageMask
    const words = this.words
    if (words[entry + TlbEntry.read] !== page + 1 || at > this.pageBytes - size || this.seat.running !== this.mm) return -1
    return (words[entry + TlbEntry.frame] as number) * 4 + at
  }

  /** Whether what was read at a `hit` before was the page's. */
  protected unmoved(): boolean {
    if (!LOADS_IN_ORDER) Atomics.store(fence, 0, 0)
    return readOnce(this.#stale) === this.words[this.#seen]
  }

  /**
   * Begins an access (see `Access`) to the `size` bytes at `address`: returns the byte of the machine where they are, with the
   * CPU in user mode until `endAccess`, in between which nothing may throw or sleep. Returns -1, outside, when they lie in two
   * pages. Throws the fault that the access raises.
   */
  protected enter(address: number, size: number, access: number): number {
    const page = this.pageAt(address)
    const at = (address - this.#windowStart) & this.#pageMask
    if (at > this.pageBytes - size) return -1
    run(this.seat, this.mm)
    return this.#walk(page, address, access) + at
  }

  /** The rest of `enter`: the first byte of the frame, after a walk and perhaps a fault. The CPU is in user mode before and after. */
  #walk(page: number, address: number, access: number): number {
    for (;;) {
      const frame = beginAccess(page, access)
      if (frame > 0) return frame * 4
      this.resolve(page, Math.trunc(address), -frame)
      run(this.seat, this.mm)
    }
  }

  /** The machine's number of the page of `address`. Throws `SegmentationFault` when it cannot have one. */
  protected pageAt(address: number): number {
    const offset = address - this.#windowStart
    if (offset >= 0 && offset < this.#windowBytes) return this.#windowPage + ((offset * this.#pagesPerByte) | 0)
    if (this.mm === GONE) throw new MachineError('this thread has left the space')
    if (!(address >= 0) || address > Number.MAX_SAFE_INTEGER) throw new SegmentationFault(address, 'MAPERR', 'not an address')
    run(this.seat, this.mm)
    const real = Math.floor(address / this.pageBytes)
    const page = pageFromReal(real)
    if (page < 0) throw new SegmentationFault(address, 'MAPERR', noWindow(address, this.pageBytes))
    this.#windowStart = (real - (page & (WINDOW_PAGES - 1))) * this.pageBytes
    this.#windowPage = (page >>> WINDOW_SHIFT) << WINDOW_SHIFT
    return page
  }

  /** Does what the fault `bits` of an access to `address` ask for: returns if the access may be repeated, else throws. */
  protected resolve(page: number, address: number, bits: number): void {
    if (!isMissing(bits)) throw faultError(bits, address)
    fillMissing(this.seat, this.mm, this.userfaults, page, address - (address % this.pageBytes), address)
  }

  /** @internal From now on this object reaches nothing. */
  forget(): void {
    this.mm = GONE
    this.#windowStart = Number.POSITIVE_INFINITY
  }

  /** Throws `MachineError` after `forget`. */
  protected alive(): number {
    if (this.mm === GONE) throw new MachineError('this thread has left the space')
    return this.mm
  }
}

/** Says that no window of the machine holds `address`, and which would. */
export function noWindow(address: number, pageBytes: number): string {
  const window = Math.floor(address / pageBytes / WINDOW_PAGES)
  return `no window of this machine holds ${hex(address)} (window ${window}; see the option 'windows')`
}

export { Access, endAccess }
