// Atomics on aligned 32-bit integers at virtual addresses, and sleeping on them (futex). Several threads and, through
// shared mappings, several spaces may use the same integer.
import { BusError } from './errors.ts'
import { pinFrame, unpinFrame } from './pin.ts'
import { Access, endAccess, Reach } from './reach.ts'

/**
 * Operations like those of `Atomics`, at addresses in bytes that are a multiple of 4. All but `load`, `notify` and `wait`
 * need the right to write. They throw `SegmentationFault`, or `BusError` (ADRALN for an unaligned address).
 */
export class VirtualAtomics extends Reach {
  /** Begins an access; returns the word of the machine. */
  #begin(address: number, access: number): number {
    if (address % 4 !== 0) throw new BusError(address, 'ADRALN', 'atomics need a multiple of 4')
    return this.enter(address, 4, access) / 4
  }

  /**
   * Reads the integer at `address`.
   *
   * @example
   * while (space.atomics.load(flag) === 0) space.atomics.wait(flag, 0)
   */
  load(address: number): number {
    const value = Atomics.load(this.words, this.#begin(address, Access.read))
    endAccess()
    return value
  }

  /**
   * Writes `value` at `address` and returns it.
   *
   * @example
   * space.atomics.store(flag, 1)
   */
  store(address: number, value: number): number {
    const plain = value | 0
    Atomics.store(this.words, this.#begin(address, Access.write), plain)
    endAccess()
    return plain
  }

  /**
   * Adds `value`; returns what was there.
   *
   * @example
   * const ticket = space.atomics.add(counter, 1)
   */
  add(address: number, value: number): number {
    const plain = value | 0
    const old = Atomics.add(this.words, this.#begin(address, Access.write), plain)
    endAccess()
    return old
  }

  /**
   * Subtracts `value`; returns what was there.
   *
   * @example
   * space.atomics.sub(references, 1) // 1: it was the last
   */
  sub(address: number, value: number): number {
    return this.add(address, -value | 0)
  }

  /**
   * Keeps the bits that `value` has too; returns what was there.
   *
   * @example
   * space.atomics.and(flags, ~1)
   */
  and(address: number, value: number): number {
    const plain = value | 0
    const old = Atomics.and(this.words, this.#begin(address, Access.write), plain)
    endAccess()
    return old
  }

  /**
   * Sets the bits of `value`; returns what was there.
   *
   * @example
   * space.atomics.or(flags, 1)
   */
  or(address: number, value: number): number {
    const plain = value | 0
    const old = Atomics.or(this.words, this.#begin(address, Access.write), plain)
    endAccess()
    return old
  }

  /**
   * Flips the bits of `value`; returns what was there.
   *
   * @example
   * space.atomics.xor(flags, 1)
   */
  xor(address: number, value: number): number {
    const plain = value | 0
    const old = Atomics.xor(this.words, this.#begin(address, Access.write), plain)
    endAccess()
    return old
  }

  /**
   * Writes `value`; returns what was there.
   *
   * @example
   * const old = space.atomics.exchange(slot, 0)
   */
  exchange(address: number, value: number): number {
    const plain = value | 0
    const old = Atomics.exchange(this.words, this.#begin(address, Access.write), plain)
    endAccess()
    return old
  }

  /**
   * Writes `value` if `expected` is there; returns what was there.
   *
   * @example
   * while (space.atomics.compareExchange(lock, 0, 1) !== 0) space.atomics.wait(lock, 1)
   */
  compareExchange(address: number, expected: number, value: number): number {
    const from = expected | 0
    const to = value | 0
    const old = Atomics.compareExchange(this.words, this.#begin(address, Access.write), from, to)
    endAccess()
    return old
  }

  /**
   * Sleeps while `expected` is at `address`, until `notify` or for `timeout` milliseconds. The thread sleeps outside the
   * kernel and stalls nobody. The page is pinned meanwhile: copy-on-write and fork leave the sleeper with the page that this
   * space goes on using, and mremap takes him along; after munmap, or `madvise` dontneed, `notify` finds another page or
   * none, and the sleeper sleeps on. Not on a browser's main thread, which may not sleep.
   *
   * @example
   * space.atomics.wait(flag, 0, 1000) // 'ok', 'not-equal' or 'timed-out'
   */
  wait(address: number, expected: number, timeout = Number.POSITIVE_INFINITY): 'ok' | 'not-equal' | 'timed-out' {
    if (this.load(address) !== (expected | 0)) return 'not-equal'
    const pinned = pinFrame(this.seat, this.alive(), this.pageAt(address), Access.read, (bits) =>
      this.resolve(this.pageAt(address), address, bits),
    )
    try {
      return Atomics.wait(this.words, (pinned.at + (address % this.pageBytes)) / 4, expected | 0, timeout)
    } finally {
      unpinFrame(this.seat, pinned)
    }
  }

  /**
   * Wakes up to `count` of those who sleep at `address`; returns how many. Who sleeps at the same byte of a shared mapping,
   * at whatever address, counts.
   *
   * @example
   * space.atomics.store(flag, 1)
   * space.atomics.notify(flag)
   */
  notify(address: number, count = Number.POSITIVE_INFINITY): number {
    const most = Math.max(0, Math.trunc(+count))
    const woken = Atomics.notify(this.words, this.#begin(address, Access.read), most)
    endAccess()
    return woken
  }
}
