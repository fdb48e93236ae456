// What the owner of a replay and its CPUs share: operations, edges, counters and results as words in shared buffers, so that
// a CPU makes no objects while it replays.

import { struct } from '../../kernel/machine/struct.ts'

/** Kinds of machine operations. `answer`: a call that the system-call boundary refuses; the kernel is not entered. */
export const Kind = Object.freeze({
  touch: 0,
  mmap: 1,
  munmap: 2,
  mprotect: 3,
  madvise: 4,
  mremap: 5,
  brk: 6,
  fork: 7,
  exec: 8,
  exit: 9,
  answer: 10,
})
/** Their names, by number. */
export const KIND_NAMES = Object.freeze(Object.keys(Kind)) as readonly (keyof typeof Kind)[]

/**
 * One operation. `args`: what the kernel function takes behind the mm (touch: page, access; fork and exec: the new space; answer:
 * the result). `last`: exit, exec: the space goes away. `order`: place in the recording. `edges`, `edgeCount`: what it waits for. `awaited`: others wait for it.
 */
export const Op = struct({ kind: 1, space: 1, args: 6, last: 1, order: 1, edges: 1, edgeCount: 1, awaited: 1 })
/** An operation waits until `done[task]` has reached `count`. */
export const Edge = struct({ task: 1, count: 1 })
/** What happened: tickets drawn before and after, the result (negated errno or `VmFault` bits), what a touch read. */
export const Result = struct({ before: 1, after: 1, result: 1, seen: 1 })
/** An address space: its mm (0: none), the page at which its heap begins (0: unknown), tickets of its life, peaks. */
export const Space = struct({ mm: 1, heap: 1, born: 1, dead: 1, tablePeak: 1, residentPeak: 1 })
/** Words that all CPUs share. */
export const Control = struct({ ticket: 1, stop: 1, completed: 1, padA: 13, doorbell: 1, waiters: 1, padB: 14 })

/** Results that are no kernel's: the operation could not be tried, because its address space could not be made. */
export const NO_SPACE = -0x7000_0000

/** The buffers of one replay. */
export interface Shared {
  readonly ops: Int32Array
  readonly edges: Int32Array
  /** For each task: its first operation and the one behind its last. */
  readonly tasks: Int32Array
  /** For each task: operations completed. */
  readonly done: Int32Array
  readonly results: Int32Array
  readonly spaces: Int32Array
  /** For each file: its kernel file, inode, pages. */
  readonly files: Int32Array
  /** File and page index of each page that the page cache holds before the program runs. */
  readonly warm: Int32Array
  readonly control: Int32Array
}

/** Words of one entry of `Shared.files`. */
export const FileEntry = struct({ file: 1, inode: 1, pages: 1 })

/** A zeroed array of words that threads can share. */
export function sharedWords(count: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(Math.max(1, count) * 4))
}
