// Sequence counts: writers are already serialised; readers never spin and never wait, they compare and give up or retry.
// The words that a sequence count protects must be read with `readOnce`: JavaScript has no fences for plain accesses.
import { load, readOnce, smpRmb, smpStoreRelease, smpWmb, writeOnce } from '../machine/instructions.ts'

/** write_seqcount_begin: the count becomes odd. The caller holds the lock that serialises writers. */
export function writeSeqcountBegin(seq: number): void {
  writeOnce(seq, (load(seq) + 1) | 0)
  smpWmb()
}

/** write_seqcount_end: the count becomes even. */
export function writeSeqcountEnd(seq: number): void {
  smpStoreRelease(seq, (load(seq) + 1) | 0)
}

/** raw_read_seqcount: returns the count; odd means that a writer is at work. */
export function readSeqcount(seq: number): number {
  const value = readOnce(seq)
  smpRmb()
  return value
}

/** read_seqcount_retry. Returns 1 if a writer was at work since `start` was read. */
export function readSeqcountRetry(seq: number, start: number): number {
  smpRmb()
  return readOnce(seq) !== start ? 1 : 0
}
