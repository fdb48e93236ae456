// The memory of a stepped machine between executions: a copy of how it was after set-up, and which blocks have been written
// since, so that bringing it back costs what the execution wrote. Steps mark their word; plain stores and bulk operations
// are seen by the observer.
import { Op } from '../../compile/stepped/ops.ts'

const BLOCK_SHIFT = 6

/** Words that can be brought back. */
export interface KernelMemory {
  readonly words: Int32Array
  readonly copy: Int32Array
  readonly dirty: Uint8Array
  readonly blocks: Int32Array
  count: number
}

/** Remembers `words` as they are now. */
export function rememberMemory(words: Int32Array): KernelMemory {
  const blocks = (words.length >> BLOCK_SHIFT) + 1
  return { words, copy: new Int32Array(words), dirty: new Uint8Array(blocks), blocks: new Int32Array(blocks), count: 0 }
}

/** Says that word `p` is about to be written. */
export function markWord(memory: KernelMemory, p: number): void {
  const block = p >> BLOCK_SHIFT
  if (memory.dirty[block] !== 0) return
  memory.dirty[block] = 1
  memory.blocks[memory.count++] = block
}

/** Says that a plain operation `op` is about to happen. */
export function markPlain(memory: KernelMemory, op: number, a: number, b: number, c: number): void {
  if (op === Op.store) markWord(memory, a)
  else if (op === Op.zeroPage) markRange(memory, a, b)
  else if (op === Op.copyPage) markRange(memory, a, c)
}

function markRange(memory: KernelMemory, p: number, count: number): void {
  for (let at = p; at < p + count; at += 1 << BLOCK_SHIFT) markWord(memory, at)
  if (count > 0) markWord(memory, p + count - 1)
}

/** Brings all words back. */
export function restoreMemory(memory: KernelMemory): void {
  const { words, copy, dirty, blocks } = memory
  for (let i = 0; i < memory.count; i++) {
    const block = blocks[i] as number
    const from = block << BLOCK_SHIFT
    const to = Math.min(from + (1 << BLOCK_SHIFT), words.length)
    for (let p = from; p < to; p++) words[p] = copy[p] as number
    dirty[block] = 0
  }
  memory.count = 0
}
