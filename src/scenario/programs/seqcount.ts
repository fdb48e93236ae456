// Readers and writers of a pair of words that a sequence count guards. Writers are serialised by a spinlock.
import { readOnce, relax, writeOnce } from '../../kernel/machine/instructions.ts'
import { readSeqcount, readSeqcountRetry, writeSeqcountBegin, writeSeqcountEnd } from '../../kernel/sync/seqcount.ts'
import { spinLock, spinUnlock } from '../../kernel/sync/spinlock.ts'

/** What a reader returns that accepted half an update. */
export const TORN = -1
/** What a reader returns that gave up. */
export const GAVE_UP = -2

/** Adds one to the pair. */
export function write(lock: number, seq: number, pair: number): number {
  spinLock(lock)
  writeSeqcountBegin(seq)
  const value = readOnce(pair) + 1
  writeOnce(pair, value)
  writeOnce(pair + 1, value)
  writeSeqcountEnd(seq)
  spinUnlock(lock)
  return value
}

/** Reads the pair until no writer was at work meanwhile. */
export function read(seq: number, pair: number): number {
  for (;;) {
    const start = readSeqcount(seq)
    if ((start & 1) === 0) {
      const value = readOnce(pair)
      const other = readOnce(pair + 1)
      if (readSeqcountRetry(seq, start) === 0) return value === other ? value : TORN
    }
    relax()
  }
}

/** Reads the pair, but gives up if a writer was at work, as a speculative fault does. */
export function tryRead(seq: number, pair: number): number {
  const start = readSeqcount(seq)
  if ((start & 1) !== 0) return GAVE_UP
  const value = readOnce(pair)
  const other = readOnce(pair + 1)
  if (readSeqcountRetry(seq, start) !== 0) return GAVE_UP
  return value === other ? value : TORN
}
