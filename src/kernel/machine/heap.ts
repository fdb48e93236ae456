// The machine's memory: one SharedArrayBuffer seen as words (32 bit), and how instructions get at it. Where it is the buffer
// of a WebAssembly memory they go through a tiny module: V8 compiles such a call to an instruction or two, where an
// `Atomics` function costs a real call; and filling and copying is the C library's. Elsewhere they use `Atomics`.
// A kernel pointer is a word index into `words`; 0 is NULL. One machine is bound per thread at a time.

/** Bytes in a word. */
export const WORD_BYTES = 4

/** All of the machine, as 32-bit words. Kernel code goes through `instructions.ts`, never here. */
export let words = new Int32Array(new SharedArrayBuffer(64))

/** What instructions need of the machine's memory. Addresses are word indices. */
export interface MemoryOps {
  load(p: number): number
  store(p: number, value: number): void
  cmpxchg(p: number, expected: number, value: number): number
  xchg(p: number, value: number): number
  add(p: number, delta: number): number
  or(p: number, bits: number): number
  and(p: number, bits: number): number
  /** The bits of words `p` (even) and `p + 1`, read in one go. */
  readWhole(p: number): number
  /** Sets `bits` in word `p` if `readWhole` would still give `expected`. Returns 1 if it did. */
  orWhole(p: number, expected: number, bits: number): number
  /** Zeroes `count` words. */
  zero(p: number, count: number): void
  /** Copies `count` words. */
  copy(target: number, source: number, count: number): void
}

/** A shared `WebAssembly.Memory`; it can be sent to other threads. */
export interface WasmMemory {
  readonly buffer: ArrayBufferLike
}

// As much of it as is used here: neither Node's types nor ours have it.
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number; maximum: number; shared: true }) => WasmMemory
  readonly Module: new (code: Uint8Array) => object
  readonly Instance: new (module: object, imports: { machine: { memory: WasmMemory } }) => { readonly exports: MemoryOps }
}

const WASM_PAGE = 65536

/** Memory for a machine of `size` bytes, all zero; undefined where it is more than WebAssembly has addresses for. */
export function allocateHeap(size: number): WasmMemory | undefined {
  const pages = Math.ceil(size / WASM_PAGE)
  return pages > WASM_PAGE ? undefined : new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
}

/** What instructions use. */
export interface BoundHeap {
  words: Int32Array
  ops: MemoryOps
}

const bound = {} as BoundHeap

/**
 * The object in which `instructions.ts` finds the memory. It is empty until the first machine is bound: a property that
 * was added once and never changed is a constant to V8, so that an access compiles to a bounds check and a move.
 */
export function boundHeap(): BoundHeap {
  return bound
}

/** Binds this thread to the machine in `buffer` (a multiple of 8 bytes long), which is `memory`'s if that is given. */
export function bindHeap(buffer: SharedArrayBuffer, memory: WasmMemory | undefined = undefined): void {
  if (words.buffer === buffer && bound.words === words) return
  words = new Int32Array(buffer)
  bound.words = words
  bound.ops = memory === undefined ? plainOps(buffer) : wasmOps(memory)
}

const I32 = 0x7f
const I64 = 0x7e
// The module, put together from its opcodes: a shift by two turns a word index into an address.
const shifted = (local: number): number[] => [0x20, local, 0x41, 2, 0x74]
const atomic = (op: number, ...locals: number[]): number[] => [...shifted(0), ...locals.flatMap((l) => [0x20, l]), 0xfe, op, 2, 0]

const local = (number: number): number[] => [0x20, number]
// The 64 bits at the address go to local `into`; left behind are the bits of both halves.
const joined = (into: number): number[] => [
  ...[...shifted(0), 0xfe, 0x11, 3, 0, 0x22, into, 0xa7],
  ...[...local(into), 0x42, 32, 0x88, 0xa7, 0x72],
]

/** Name, parameters, results, body of each function, and how many 64-bit locals it has. */
const functions: readonly (readonly [keyof MemoryOps, number, number, readonly number[], number?])[] = [
  ['load', 1, 1, atomic(0x10)],
  ['store', 2, 0, atomic(0x17, 1)],
  ['cmpxchg', 3, 1, atomic(0x48, 1, 2)],
  ['xchg', 2, 1, atomic(0x41, 1)],
  ['add', 2, 1, atomic(0x1e, 1)],
  ['or', 2, 1, atomic(0x33, 1)],
  ['and', 2, 1, atomic(0x2c, 1)],
  ['readWhole', 1, 1, joined(1), 1],
  [
    'orWhole',
    3,
    1,
    [
      ...[...joined(3), ...local(1), 0x47, 0x04, 0x40, 0x41, 0, 0x0f, 0x0b],
      ...[...shifted(0), ...local(3), ...local(3), ...local(2), 0xad, 0x84, 0xfe, 0x49, 3, 0, ...local(3), 0x51],
    ],
    1,
  ],
  ['zero', 2, 0, [...shifted(0), 0x41, 0, ...shifted(1), 0xfc, 0x0b, 0]],
  ['copy', 3, 0, [...shifted(0), ...shifted(1), ...shifted(2), 0xfc, 0x0a, 0, 0]],
]

function unsigned(n: number): number[] {
  return n < 128 ? [n] : [(n & 127) | 128, ...unsigned(n >>> 7)]
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  const body = [...unsigned(items.length), ...items.flat()]
  return [id, ...unsigned(body.length), ...body]
}

function label(text: string): number[] {
  return [text.length, ...[...text].map((c) => c.charCodeAt(0))]
}

function encode(): Uint8Array {
  const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]
  const types = functions.map(([, takes, gives]) => [
    0x60,
    takes,
    ...Array<number>(takes).fill(I32),
    gives,
    ...Array<number>(gives).fill(I32),
  ])
  const memory = [...label('machine'), ...label('memory'), 2, 3, ...unsigned(0), ...unsigned(WASM_PAGE)]
  const exports = functions.map(([name], i) => [...label(name), 0, i])
  const code = functions.map(([, , , body, wide = 0]) => {
    const locals = wide === 0 ? [0] : [1, wide, I64]
    return [...unsigned(locals.length + body.length + 1), ...locals, ...body, 0x0b]
  })
  return new Uint8Array([
    ...header,
    ...section(1, types),
    ...section(2, [memory]),
    ...section(
      3,
      functions.map((_, i) => [i]),
    ),
    ...section(7, exports),
    ...section(10, code),
  ])
}

const instances = new WeakMap<WasmMemory, MemoryOps>()

/** The operations on a shared WebAssembly memory; made once, for a thread may go to and fro between two machines. */
function wasmOps(memory: WasmMemory): MemoryOps {
  const made = instances.get(memory) ?? new WebAssembly.Instance(new WebAssembly.Module(encode()), { machine: { memory } }).exports
  instances.set(memory, made)
  return made
}

/** The same on any buffer, with `Atomics`. */
function plainOps(buffer: SharedArrayBuffer): MemoryOps {
  const w = new Int32Array(buffer)
  const d = new Float64Array(buffer)
  const q = new BigInt64Array(buffer)
  const join = (whole: bigint): number => Number(BigInt.asIntN(32, whole | (whole >> 32n)))
  return {
    load: (p) => Atomics.load(w, p),
    store: (p, value) => void Atomics.store(w, p, value),
    cmpxchg: (p, expected, value) => Atomics.compareExchange(w, p, expected, value),
    xchg: (p, value) => Atomics.exchange(w, p, value),
    add: (p, delta) => Atomics.add(w, p, delta),
    or: (p, bits) => Atomics.or(w, p, bits),
    and: (p, bits) => Atomics.and(w, p, bits),
    readWhole: (p) => join(Atomics.load(q, p >> 1)),
    orWhole: (p, expected, bits) => {
      const found = Atomics.load(q, p >> 1)
      if (join(found) !== expected) return 0
      return Atomics.compareExchange(q, p >> 1, found, found | BigInt(bits)) === found ? 1 : 0
    },
    zero: (p, count) => {
      const end = (p + count) >> 1
      for (let i = p >> 1; i < end; i += 8) {
        d[i] = 0
        d[i + 1] = 0
        d[i + 2] = 0
        d[i + 3] = 0
        d[i + 4] = 0
        d[i + 5] = 0
        d[i + 6] = 0
        d[i + 7] = 0
      }
    },
    copy: (target, source, count) => void w.copyWithin(target, source, source + count),
  }
}
