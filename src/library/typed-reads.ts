// Typed reads at virtual addresses, little-endian, at any alignment. A read that hits the TLB takes the short way of
// `Reach.hit`; what crosses into another page is put together byte by byte. Aligned integers of 16 and 32 bits are read whole.
import { Access, endAccess, isWhole, Reach } from './reach.ts'

/** What a read within one page found, until the next. */
const scratch = new DataView(new ArrayBuffer(8))

/** Reads. All take an address in bytes and throw `SegmentationFault` or `BusError` when it cannot be read. */
export class TypedReads extends Reach {
  /**
   * Reads a signed byte at `address` (bytes). Throws `SegmentationFault` or `BusError`.
   *
   * @example
   * space.setInt8(address, -1)
   * space.getInt8(address) // -1
   */
  getInt8(address: number): number {
    const at = this.hit(address, 1)
    if (at >= 0) {
      const value = this.view.getInt8(at)
      if (this.unmoved()) return value
    }
    return this.#fetch(address, 1).getInt8(0)
  }

  /**
   * Reads a byte at `address` (bytes). Throws `SegmentationFault` or `BusError`.
   *
   * @example
   * space.setUint8(address, 255)
   * space.getUint8(address) // 255
   */
  getUint8(address: number): number {
    const at = this.hit(address, 1)
    if (at >= 0) {
      const value = this.view.getUint8(at)
      if (this.unmoved()) return value
    }
    return this.#fetch(address, 1).getUint8(0)
  }

  /**
   * Reads a signed 16-bit integer at `address` (bytes). Throws `SegmentationFault` or `BusError`.
   *
   * @example
   * space.setInt16(address, -2)
   * space.getInt16(address) // -2
   */
  getInt16(address: number): number {
    const at = this.hit(address, 2)
    if (at >= 0) {
      const value = isWhole(at, 2) ? (this.halves[at >>> 1] as number) : this.view.getInt16(at, true)
      if (this.unmoved()) return value
    }
    return this.#fetch(address, 2).getInt16(0, true)
  }

  /**
   * Reads a 16-bit integer at `address` (bytes). Throws `SegmentationFault` or `BusError`.
   *
   * @example
   * space.setUint16(address, 65535)
   * space.getUint16(address) // 65535
   */
  getUint16(address: number): number {
    const at = this.hit(address, 2)
    if (at >= 0) {
      const value = isWhole(at, 2) ? (this.halves[at >>> 1] as number) & 0xffff : this.view.getUint16(at, true)
      if (this.unmoved()) return value
    }
    return this.#fetch(address, 2).getUint16(0, true)
  }

  /**
   * Reads a signed 32-bit integer at `address` (bytes). Throws `SegmentationFault` or `BusError`.
   *
   * @example
   * space.setInt32(address, -7)
   * space.getInt32(address) // -7
   */
  getInt32(address: number): number {
    const at = this.hit(address, 4)
    if (at >= 0) {
      const value = isWhole(at, 4) ? (this.words[at >>> 2] as number) : this.view.getInt32(at, true)
      if (this.unmoved()) return value
    }
    return this.#fetch(address, 4).getInt32(0, true)
  }

  /**
   * Reads a 32-bit integer at `address` (bytes). Throws `SegmentationFault` or `BusError`.
   *
   * @example
   * space.setUint32(address, 7)
   * space.getUint32(address) // 7
   */
  getUint32(address: number): number {
    const at = this.hit(address, 4)
    if (at >= 0) {
      const value = isWhole(at, 4) ? (this.words[at >>> 2] as number) >>> 0 : this.view.getUint32(at, true)
      if (this.unmoved()) return value
    }
    return this.#fetch(address, 4).getUint32(0, true)
  }

  /**
   * Reads a 32-bit float at `address` (bytes). Throws `SegmentationFault` or `BusError`.
   *
   * @example
   * space.setFloat32(address, 0.5)
   * space.getFloat32(address) // 0.5
   */
  getFloat32(address: number): number {
    const at = this.hit(address, 4)
    if (at >= 0) {
      const value = this.view.getFloat32(at, true)
      if (this.unmoved()) return value
    }
    return this.#fetch(address, 4).getFloat32(0, true)
  }

  /**
   * Reads a 64-bit float at `address` (bytes). Throws `SegmentationFault` or `BusError`.
   *
   * @example
   * space.setFloat64(address, Math.PI)
   * space.getFloat64(address) // Math.PI
   */
  getFloat64(address: number): number {
    const at = this.hit(address, 8)
    if (at >= 0) {
      const value = this.view.getFloat64(at, true)
      if (this.unmoved()) return value
    }
    return this.#fetch(address, 8).getFloat64(0, true)
  }

  /**
   * Reads a signed 64-bit integer at `address` (bytes). Throws `SegmentationFault` or `BusError`.
   *
   * @example
   * space.setBigInt64(address, -1n)
   * space.getBigInt64(address) // -1n
   */
  getBigInt64(address: number): bigint {
    const at = this.hit(address, 8)
    if (at >= 0) {
      const value = this.view.getBigInt64(at, true)
      if (this.unmoved()) return value
    }
    return this.#fetch(address, 8).getBigInt64(0, true)
  }

  /**
   * Reads a 64-bit integer at `address` (bytes). Throws `SegmentationFault` or `BusError`.
   *
   * @example
   * space.setBigUint64(address, 1n)
   * space.getBigUint64(address) // 1n
   */
  getBigUint64(address: number): bigint {
    const at = this.hit(address, 8)
    if (at >= 0) {
      const value = this.view.getBigUint64(at, true)
      if (this.unmoved()) return value
    }
    return this.#fetch(address, 8).getBigUint64(0, true)
  }

  /** The `size` bytes at `address`, read while the CPU is in user mode: in one go within a page. */
  #fetch(address: number, size: number): DataView {
    const at = this.enter(address, size, Access.read)
    if (at < 0) return this.#gather(address, size)
    if (size === 1) scratch.setUint8(0, this.view.getUint8(at))
    else if (size === 2 && isWhole(at, 2)) scratch.setInt16(0, this.halves[at >>> 1] as number, true)
    else if (size === 4 && isWhole(at, 4)) scratch.setInt32(0, this.words[at >>> 2] as number, true)
    else if (size === 2) scratch.setUint16(0, this.view.getUint16(at))
    else if (size === 4) scratch.setUint32(0, this.view.getUint32(at))
    else scratch.setBigUint64(0, this.view.getBigUint64(at))
    endAccess()
    return scratch
  }

  /** The same, byte by byte. A userfault handler may read in between: `scratch` is filled at the end. */
  #gather(address: number, size: number): DataView {
    let low = 0
    let high = 0
    for (let i = 0; i < size; i++) {
      const byte = this.view.getUint8(this.enter(address + i, 1, Access.read))
      endAccess()
      if (i < 4) low |= byte << (8 * i)
      else high |= byte << (8 * (i - 4))
    }
    scratch.setInt32(0, low, true)
    scratch.setInt32(4, high, true)
    return scratch
  }
}
