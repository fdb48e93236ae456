// The machine's memory: one SharedArrayBuffer seen as words (32 bit) and, for bulk zeroing and copying only, as doubles.
// A kernel pointer is a word index into `words`; 0 is NULL. One machine is bound per thread at a time.

/** Bytes in a word. */
export const WORD_BYTES = 4

/** All of the machine, as 32-bit words. Kernel code goes through `instructions.ts`, never here. */
export let words = new Int32Array(new SharedArrayBuffer(64))
/** The same memory in units of 8 bytes, for `zeroPage` and `copyPage`. */
export let doubles = new Float64Array(words.buffer)
/** The same memory in bytes, for user reads and writes. */
export let bytes = new Uint8Array(words.buffer)

/** The views that instructions use. */
export interface BoundHeap {
  words: Int32Array
  doubles: Float64Array
}

const bound = {} as BoundHeap

/**
 * The object in which `instructions.ts` finds the views. It is empty until the first machine is bound: a property that
 * was added once and never changed is a constant to V8, so that an access compiles to a bounds check and a move.
 */
export function boundHeap(): BoundHeap {
  return bound
}

/** Binds this thread to the machine in `buffer` (a multiple of 8 bytes long). */
export function bindHeap(buffer: SharedArrayBuffer): void {
  if (words.buffer === buffer) return
  words = new Int32Array(buffer)
  doubles = new Float64Array(buffer)
  bytes = new Uint8Array(buffer)
  bound.words = words
  bound.doubles = doubles
}
