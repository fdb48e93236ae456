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

/** Binds this thread to the machine in `buffer` (a multiple of 8 bytes long). */
export function bindHeap(buffer: SharedArrayBuffer): void {
  words = new Int32Array(buffer)
  doubles = new Float64Array(buffer)
  bytes = new Uint8Array(buffer)
}
