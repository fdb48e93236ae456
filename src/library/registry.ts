// What the threads of a machine know in common beside the kernel's memory: who is which CPU, and the spaces and files that
// have a number, each with a count of the threads that use it. One SharedArrayBuffer of its own, one short lock.
import { MachineError } from './errors.ts'

/** Spaces and files that a machine can have at a time, together. */
export const REGISTRY_OBJECTS = 4096

/** Kinds of objects. */
export const ObjectKind = Object.freeze({ space: 1, file: 2 })

const Word = Object.freeze({ lock: 0, nextId: 1, cpus: 2, claims: 16 })
const Slot = Object.freeze({ id: 0, kind: 1, word: 2, users: 3, extra: 4, size: 8 })

/** The claims and objects of a machine, as this thread sees them. */
export class Registry {
  readonly buffer: SharedArrayBuffer
  readonly #words: Int32Array
  readonly #slots: number

  /** Over the buffer that another thread made, or over a new one for `cpus` CPUs. */
  constructor(from: SharedArrayBuffer | number) {
    const cpus = typeof from === 'number' ? from : (new Int32Array(from)[Word.cpus] as number)
    this.#slots = Word.claims + cpus
    this.buffer = typeof from === 'number' ? new SharedArrayBuffer(4 * (this.#slots + REGISTRY_OBJECTS * Slot.size)) : from
    this.#words = new Int32Array(this.buffer)
    this.#words[Word.cpus] = cpus
  }

  /** Makes the caller CPU `cpu`, or the first that is free. Throws `MachineError`. */
  claim(cpu: number | undefined): number {
    const cpus = this.#words[Word.cpus] as number
    if (cpu === undefined) {
      for (let free = 0; free < cpus; free++) if (this.#take(free)) return free
      throw new MachineError(`all ${cpus} CPUs of the machine are taken: create it with more`)
    }
    if (!Number.isInteger(cpu) || cpu < 0 || cpu >= cpus) throw new MachineError(`there is no CPU ${cpu}: the machine has ${cpus}`)
    if (!this.#take(cpu)) throw new MachineError(`CPU ${cpu} is taken by another thread`)
    return cpu
  }

  #take(cpu: number): boolean {
    return Atomics.compareExchange(this.#words, Word.claims + cpu, 0, 1) === 0
  }

  /** Lets another thread be CPU `cpu`. */
  release(cpu: number): void {
    Atomics.store(this.#words, Word.claims + cpu, 0)
  }

  /** Gives an object a number; the caller is its one user. Returns -1 when there are too many. */
  add(kind: number, extra: number): number {
    this.#lock()
    let id = -1
    for (let tries = 0; tries < REGISTRY_OBJECTS && id < 0; tries++) {
      const next = ((this.#words[Word.nextId] as number) + 1) & 0x7fffffff
      this.#words[Word.nextId] = next
      const slot = this.#slot(next)
      if (this.#words[slot + Slot.users] !== 0) continue
      id = next
      this.#words[slot + Slot.id] = id
      this.#words[slot + Slot.kind] = kind
      this.#words[slot + Slot.word] = 0
      this.#words[slot + Slot.users] = 1
      this.#words[slot + Slot.extra] = extra
    }
    this.#unlock()
    return id
  }

  /** Says which kernel object a number that `add` returned stands for. */
  set(id: number, word: number): void {
    this.#lock()
    this.#words[this.#slot(id) + Slot.word] = word
    this.#unlock()
  }

  /** One user more. Returns the kernel object and what it was added with, or undefined when there is none (any more). */
  open(kind: number, id: number): { word: number; extra: number } | undefined {
    if (!Number.isInteger(id) || id < 0) return undefined
    this.#lock()
    const slot = this.#slot(id)
    const words = this.#words
    const there = words[slot + Slot.id] === id && words[slot + Slot.kind] === kind
    const alive = there && words[slot + Slot.users] !== 0 && words[slot + Slot.word] !== 0
    if (alive) words[slot + Slot.users] = (words[slot + Slot.users] as number) + 1
    this.#unlock()
    return alive ? { word: words[slot + Slot.word] as number, extra: words[slot + Slot.extra] as number } : undefined
  }

  /** One user less. Returns whether it was the last: then nobody can open the object any more and the caller frees it. */
  close(id: number): boolean {
    this.#lock()
    const users = this.#slot(id) + Slot.users
    const left = (this.#words[users] as number) - 1
    this.#words[users] = left
    this.#unlock()
    return left === 0
  }

  #slot(id: number): number {
    return this.#slots + (id % REGISTRY_OBJECTS) * Slot.size
  }

  #lock(): void {
    for (let spins = 1; Atomics.compareExchange(this.#words, Word.lock, 0, 1) !== 0; spins++) {
      if (spins % 1000 !== 0) continue
      try {
        Atomics.wait(this.#words, Word.lock, 1, 0.1)
      } catch {
        // A browser's main thread may not wait: it spins.
      }
    }
  }

  #unlock(): void {
    Atomics.store(this.#words, Word.lock, 0)
  }
}
