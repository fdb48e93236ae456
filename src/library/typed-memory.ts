// Typed writes at virtual addresses, little-endian, at any alignment. A write publishes that it is under way: whoever takes
// the page away waits for it. Aligned integers of 16 and 32 bits are written whole, all else as a DataView does it. What crosses into
// another page is written byte by byte once both can be written.
import { Access, endAccess, isWhole } from './reach.ts'
import { TypedReads } from './typed-reads.ts'

/** What a write that crosses into another page is about to write. */
const scratch = new DataView(new ArrayBuffer(8))

/** Writes. All take an address in bytes and throw `SegmentationFault` or `BusError`, nothing written, when it cannot be written. */
export class TypedMemory extends TypedReads {
  /**
   * Writes a signed byte at `address` (bytes). Throws `SegmentationFault`, `BusError`, or `MemoryError` ENOMEM.
   *
   * @example
   * space.setInt8(address, -1)
   */
  setInt8(address: number, value: number): void {
    // Converted first: nothing may throw during an access.
    const plain = +value
    const at = this.enter(address, 1, Access.write)
    this.view.setInt8(at, plain)
    endAccess()
  }

  /**
   * Writes a byte at `address` (bytes). Throws `SegmentationFault`, `BusError`, or `MemoryError` ENOMEM.
   *
   * @example
   * space.setUint8(address, 255)
   */
  setUint8(address: number, value: number): void {
    // Converted first: nothing may throw during an access.
    const plain = +value
    const at = this.enter(address, 1, Access.write)
    this.view.setUint8(at, plain)
    endAccess()
  }

  /**
   * Writes a signed 16-bit integer at `address` (bytes). Throws `SegmentationFault`, `BusError`, or `MemoryError` ENOMEM.
   *
   * @example
   * space.setInt16(address, -2)
   */
  setInt16(address: number, value: number): void {
    // Converted first: nothing may throw during an access.
    const plain = +value
    const at = this.enter(address, 2, Access.write)
    if (at < 0) {
      scratch.setInt16(0, plain, true)
      this.#scatter(address, 2)
      return
    }
    if (isWhole(at, 2)) this.halves[at >>> 1] = plain
    else this.view.setInt16(at, plain, true)
    endAccess()
  }

  /**
   * Writes a 16-bit integer at `address` (bytes). Throws `SegmentationFault`, `BusError`, or `MemoryError` ENOMEM.
   *
   * @example
   * space.setUint16(address, 65535)
   */
  setUint16(address: number, value: number): void {
    // Converted first: nothing may throw during an access.
    const plain = +value
    const at = this.enter(address, 2, Access.write)
    if (at < 0) {
      scratch.setUint16(0, plain, true)
      this.#scatter(address, 2)
      return
    }
    if (isWhole(at, 2)) this.halves[at >>> 1] = plain
    else this.view.setUint16(at, plain, true)
    endAccess()
  }

  /**
   * Writes a signed 32-bit integer at `address` (bytes). Throws `SegmentationFault`, `BusError`, or `MemoryError` ENOMEM.
   *
   * @example
   * space.setInt32(address, -7)
   */
  setInt32(address: number, value: number): void {
    // Converted first: nothing may throw during an access.
    const plain = +value
    const at = this.enter(address, 4, Access.write)
    if (at < 0) {
      scratch.setInt32(0, plain, true)
      this.#scatter(address, 4)
      return
    }
    if (isWhole(at, 4)) this.words[at >>> 2] = plain
    else this.view.setInt32(at, plain, true)
    endAccess()
  }

  /**
   * Writes a 32-bit integer at `address` (bytes). Throws `SegmentationFault`, `BusError`, or `MemoryError` ENOMEM.
   *
   * @example
   * space.setUint32(address, 7)
   */
  setUint32(address: number, value: number): void {
    // Converted first: nothing may throw during an access.
    const plain = +value
    const at = this.enter(address, 4, Access.write)
    if (at < 0) {
      scratch.setUint32(0, plain, true)
      this.#scatter(address, 4)
      return
    }
    if (isWhole(at, 4)) this.words[at >>> 2] = plain
    else this.view.setUint32(at, plain, true)
    endAccess()
  }

  /**
   * Writes a 32-bit float at `address` (bytes). Throws `SegmentationFault`, `BusError`, or `MemoryError` ENOMEM.
   *
   * @example
   * space.setFloat32(address, 0.5)
   */
  setFloat32(address: number, value: number): void {
    // Converted first: nothing may throw during an access.
    const plain = +value
    const at = this.enter(address, 4, Access.write)
    if (at < 0) {
      scratch.setFloat32(0, plain, true)
      this.#scatter(address, 4)
      return
    }
    this.view.setFloat32(at, plain, true)
    endAccess()
  }

  /**
   * Writes a 64-bit float at `address` (bytes). Throws `SegmentationFault`, `BusError`, or `MemoryError` ENOMEM.
   *
   * @example
   * space.setFloat64(address, Math.PI)
   */
  setFloat64(address: number, value: number): void {
    // Converted first: nothing may throw during an access.
    const plain = +value
    const at = this.enter(address, 8, Access.write)
    if (at < 0) {
      scratch.setFloat64(0, plain, true)
      this.#scatter(address, 8)
      return
    }
    this.view.setFloat64(at, plain, true)
    endAccess()
  }

  /**
   * Writes a signed 64-bit integer at `address` (bytes). Throws `SegmentationFault`, `BusError`, or `MemoryError` ENOMEM.
   *
   * @example
   * space.setBigInt64(address, -1n)
   */
  setBigInt64(address: number, value: bigint): void {
    // Converted first: nothing may throw during an access.
    const plain = BigInt.asIntN(64, value)
    const at = this.enter(address, 8, Access.write)
    if (at < 0) {
      scratch.setBigInt64(0, plain, true)
      this.#scatter(address, 8)
      return
    }
    this.view.setBigInt64(at, plain, true)
    endAccess()
  }

  /**
   * Writes a 64-bit integer at `address` (bytes). Throws `SegmentationFault`, `BusError`, or `MemoryError` ENOMEM.
   *
   * @example
   * space.setBigUint64(address, 1n)
   */
  setBigUint64(address: number, value: bigint): void {
    // Converted first: nothing may throw during an access.
    const plain = BigInt.asUintN(64, value)
    const at = this.enter(address, 8, Access.write)
    if (at < 0) {
      scratch.setBigUint64(0, plain, true)
      this.#scatter(address, 8)
      return
    }
    this.view.setBigUint64(at, plain, true)
    endAccess()
  }

  /** Writes the first `size` bytes of `scratch`, taken at once, to where they lie in different pages. */
  #scatter(address: number, size: number): void {
    const low = scratch.getInt32(0, true)
    const high = scratch.getInt32(4, true)
    const last = address + size - 1
    this.enter(address, 1, Access.write)
    endAccess()
    this.enter(last - (last % this.pageBytes), 1, Access.write)
    endAccess()
    for (let i = 0; i < size; i++) {
      this.view.setUint8(this.enter(address + i, 1, Access.write), (i < 4 ? low : high) >>> (8 * (i & 3)))
      endAccess()
    }
  }
}
