// The memory of a stepped machine between executions: a copy of how it was after set-up, and which blocks have been written
// since, so that bringing it back costs what the execution wrote. Steps write through here; plain stores and bulk operations
// are seen by the observer. On demand a hash of what has changed is kept up to date as well.
import { Op } from '../../compile/stepped/ops.ts'

const BLOCK_SHIFT = 6

/** Words that can be brought back. */
export interface KernelMemory {
  readonly words: Int32Array
  readonly copy: Int32Array
  readonly dirty: Uint8Array
  readonly blocks: Int32Array
  count: number
  /** 1 for each word that nothing depends on: statistics. */
  readonly ignored: Uint8Array
  /** Whether the two sums below are kept: over all words that are not ignored, what they hold less what they held. */
  hashing: boolean
  hash0: number
  hash1: number
}

/** Remembers `words` as they are now. `ignored` has 1 for each word that the hash leaves out. */
export function rememberMemory(words: Int32Array, ignored: Uint8Array): KernelMemory {
  const blocks = (words.length >> BLOCK_SHIFT) + 1
  return {
    words,
    copy: new Int32Array(words),
    dirty: new Uint8Array(blocks),
    blocks: new Int32Array(blocks),
    count: 0,
    ignored,
    hashing: false,
    hash0: 0,
    hash1: 0,
  }
}

/** Writes `value` to word `p`. */
export function setWord(memory: KernelMemory, p: number, value: number): void {
  markWord(memory, p)
  if (memory.hashing) hashChange(memory, p, value)
  memory.words[p] = value
}

function markWord(memory: KernelMemory, p: number): void {
  const block = p >> BLOCK_SHIFT
  if (memory.dirty[block] !== 0) return
  memory.dirty[block] = 1
  memory.blocks[memory.count++] = block
}

/** Says that a plain operation `op` is about to happen. */
export function markPlain(memory: KernelMemory, op: number, a: number, b: number, c: number): void {
  if (op === Op.store) {
    markWord(memory, a)
    if (memory.hashing) hashChange(memory, a, b | 0)
  } else if (op === Op.zeroPage) {
    markRange(memory, a, b)
    if (memory.hashing) for (let i = 0; i < b; i++) hashChange(memory, a + i, 0)
  } else if (op === Op.copyPage) {
    markRange(memory, a, c)
    if (memory.hashing) for (let i = 0; i < c; i++) hashChange(memory, a + i, memory.words[b + i] as number)
  }
}

function markRange(memory: KernelMemory, p: number, count: number): void {
  for (let at = p; at < p + count; at += 1 << BLOCK_SHIFT) markWord(memory, at)
  if (count > 0) markWord(memory, p + count - 1)
}

/** Word `p`, which holds its old value still, is about to hold `value`. */
function hashChange(memory: KernelMemory, p: number, value: number): void {
  const old = memory.words[p] as number
  if (old === value || memory.ignored[p] !== 0) return
  memory.hash0 = (memory.hash0 + mix0(p, value) - mix0(p, old)) | 0
  memory.hash1 = (memory.hash1 + mix1(p, value) - mix1(p, old)) | 0
}

/** Keeps the hash of memory from now on, whatever was written before. */
export function hashMemory(memory: KernelMemory): void {
  if (memory.hashing) return
  memory.hashing = true
  const { words, copy, blocks, ignored } = memory
  for (let i = 0; i < memory.count; i++) {
    const from = (blocks[i] as number) << BLOCK_SHIFT
    for (let p = from; p < from + (1 << BLOCK_SHIFT) && p < words.length; p++) {
      if (words[p] === copy[p] || ignored[p] !== 0) continue
      memory.hash0 = (memory.hash0 + mix0(p, words[p] as number) - mix0(p, copy[p] as number)) | 0
      memory.hash1 = (memory.hash1 + mix1(p, words[p] as number) - mix1(p, copy[p] as number)) | 0
    }
  }
}

// Sums of these stand for whole memories, so one round of multiplication would not do.
function mix0(p: number, value: number): number {
  let h = Math.imul(p, 0x9e3779b1) ^ Math.imul(value, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d)
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b)
  return h ^ (h >>> 16)
}

function mix1(p: number, value: number): number {
  let h = (Math.imul(value, 0xc2b2ae35) + Math.imul(p, 0x27d4eb2f)) | 0
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39)
  return h ^ (h >>> 15)
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
  memory.hash0 = 0
  memory.hash1 = 0
}
