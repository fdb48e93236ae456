// The memory of a stepped machine in an execution: what its words held before they were written, so that earlier moments, the
// beginning among them, can be brought back at the cost of what was written since. Steps write through here; plain stores and bulk
// operations are seen by the observer. On demand a hash of what has changed is kept up to date as well.
import { Op } from '../../compile/stepped/ops.ts'
import { createUndo, momentOf, noteOld, takeBack, type Undo } from '../undo.ts'

/** Words that can be brought back. */
export interface KernelMemory {
  readonly words: Int32Array
  /** What was written since the execution began. */
  readonly undo: Undo
  /** 1 for each word that nothing depends on: statistics. */
  readonly ignored: Uint8Array
  /** Whether the two sums below are kept: over all words that are not ignored, what they hold less what they held. */
  hashing: boolean
  hash0: number
  hash1: number
}

/** Remembers `words` as they are now. `ignored` has 1 for each word that the hash leaves out. */
export function rememberMemory(words: Int32Array, ignored: Uint8Array): KernelMemory {
  return { words, undo: createUndo(), ignored, hashing: false, hash0: 0, hash1: 0 }
}

/** Writes `value` to word `p`. */
export function setWord(memory: KernelMemory, p: number, value: number): void {
  willWrite(memory, p, value)
  memory.words[p] = value
}

/** Says that a plain operation `op` is about to happen. */
export function markPlain(memory: KernelMemory, op: number, a: number, b: number, c: number): void {
  if (op === Op.store) willWrite(memory, a, b | 0)
  else if (op === Op.zeroPage) for (let i = 0; i < b; i++) willWrite(memory, a + i, 0)
  else if (op === Op.copyPage) for (let i = 0; i < c; i++) willWrite(memory, a + i, memory.words[b + i] as number)
}

/** Word `p`, which holds its old value still, is about to hold `value`. */
function willWrite(memory: KernelMemory, p: number, value: number): void {
  const old = memory.words[p] as number
  if (old === value) return
  noteOld(memory.undo, p, old)
  if (memory.hashing && memory.ignored[p] === 0) hashChange(memory, p, old, value)
}

function hashChange(memory: KernelMemory, p: number, old: number, value: number): void {
  memory.hash0 = (memory.hash0 + mix0(p, value) - mix0(p, old)) | 0
  memory.hash1 = (memory.hash1 + mix1(p, value) - mix1(p, old)) | 0
}

/** Keeps the hash of memory from now on, whatever was written before. */
export function hashMemory(memory: KernelMemory): void {
  if (memory.hashing) return
  memory.hashing = true
  const { words, ignored, undo } = memory
  const seen = new Set<number>()
  for (const [i, p] of undo.places.entries()) {
    if (seen.has(p) || ignored[p] !== 0) continue
    seen.add(p)
    hashChange(memory, p, undo.values[i] as number, words[p] as number)
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

/** Remembers the words as they are now. Returns what brings them back, as long as the execution lasts. */
export function saveMemory(memory: KernelMemory): () => void {
  const moment = momentOf(memory.undo)
  const { hashing, hash0, hash1 } = memory
  return () => {
    takeBack(memory.undo, moment, memory.words)
    memory.hashing = hashing
    memory.hash0 = hash0
    memory.hash1 = hash1
  }
}

/** Brings all words back to how they are when an execution begins. */
export function restoreMemory(memory: KernelMemory): void {
  takeBack(memory.undo, 0, memory.words)
  memory.hash0 = 0
  memory.hash1 = 0
}
