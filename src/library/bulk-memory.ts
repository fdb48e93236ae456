// Copies between a program's arrays and virtual memory, page by page.
import { Access, endAccess } from './reach.ts'
import { bytesAt } from './seat.ts'
import { TypedMemory } from './typed-memory.ts'

/** Reads and writes of many bytes. */
export class BulkMemory extends TypedMemory {
  /**
   * Copies from `address` (bytes) on into `target`, as much as it holds, and returns it. Throws `SegmentationFault` or
   * `BusError` with the first byte that could not be read; what lies before has been copied.
   *
   * @example
   * const bytes = space.read(address, new Uint8Array(4096))
   */
  read<T extends Uint8Array>(address: number, target: T): T {
    const { length } = target
    for (let done = 0; done < length; ) {
      const from = address + done
      const count = Math.min(length - done, this.pageBytes - (from % this.pageBytes))
      const at = this.enter(from, 1, Access.read)
      try {
        target.set(bytesAt(this.seat, at, count), done)
      } finally {
        endAccess()
      }
      done += count
    }
    return target
  }

  /**
   * Copies `bytes` to `address` (bytes) and on. Throws `SegmentationFault` or `BusError` with the first byte that could not be
   * written; what lies before has been copied.
   *
   * @example
   * space.write(address, new TextEncoder().encode('hello'))
   */
  write(address: number, bytes: Uint8Array): void {
    const { length } = bytes
    for (let done = 0; done < length; ) {
      const to = address + done
      const count = Math.min(length - done, this.pageBytes - (to % this.pageBytes))
      const part = bytes.subarray(done, done + count)
      const at = this.enter(to, 1, Access.write)
      try {
        bytesAt(this.seat, at, count).set(part)
      } finally {
        endAccess()
      }
      done += count
    }
  }
}
