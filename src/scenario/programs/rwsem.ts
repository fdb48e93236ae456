// Readers and writers of a pair of words that a semaphore keeps equal. The words are read and written by marked accesses, so
// that a reader beside a writer sees half an update rather than only racing with it.
import { readOnce, relax, writeOnce } from '../../kernel/machine/instructions.ts'
import { downgradeWrite, downRead, downWrite, downWriteTrylock, upRead, upWrite } from '../../kernel/sync/rwsem.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'

/** What a call returns that saw the pair half updated. Otherwise calls return the pair's value, as they found or left it. */
export const TORN = -1
/** What `tryWrite` returns if the semaphore was held. */
export const BUSY = -2

function seePair(pair: number): number {
  const value = readOnce(pair)
  return readOnce(pair + 1) === value ? value : TORN
}

function bumpPair(pair: number): number {
  const value = seePair(pair)
  if (value < 0) return value
  writeOnce(pair, value + 1)
  writeOnce(pair + 1, value + 1)
  return value + 1
}

/** Reads the pair. */
export function read(sem: number, pair: number): number {
  enterKernel()
  downRead(sem)
  const value = seePair(pair)
  upRead(sem)
  exitKernel()
  return value
}

/** Reads the pair, and says at `word` that it is inside. */
export function readAndTell(sem: number, pair: number, word: number): number {
  enterKernel()
  downRead(sem)
  const value = seePair(pair)
  writeOnce(word, 1)
  upRead(sem)
  exitKernel()
  return value
}

/** Adds one to the pair. */
export function write(sem: number, pair: number): number {
  enterKernel()
  downWrite(sem)
  const value = bumpPair(pair)
  upWrite(sem)
  exitKernel()
  return value
}

/** Adds one to the pair unless somebody holds the semaphore. */
export function tryWrite(sem: number, pair: number): number {
  if (downWriteTrylock(sem) === 0) return BUSY
  const value = bumpPair(pair)
  upWrite(sem)
  return value
}

/** Adds one to the pair, then goes on as a reader, and must still find what it wrote. */
export function writeThenRead(sem: number, pair: number): number {
  enterKernel()
  downWrite(sem)
  const written = bumpPair(pair)
  downgradeWrite(sem)
  const value = seePair(pair)
  upRead(sem)
  exitKernel()
  return value === written ? written : TORN
}

/** The same, but does not let go before somebody has said at `word` that it is, or was, inside. */
export function writeThenReadWith(sem: number, pair: number, word: number): number {
  enterKernel()
  downWrite(sem)
  const written = bumpPair(pair)
  downgradeWrite(sem)
  while (readOnce(word) === 0) relax()
  const value = seePair(pair)
  upRead(sem)
  exitKernel()
  return value === written ? written : TORN
}

/** Comes and goes as a writer. */
export function passAsWriter(sem: number): number {
  enterKernel()
  downWrite(sem)
  upWrite(sem)
  exitKernel()
  return 0
}

/** Comes and goes as a reader. */
export function passAsReader(sem: number): number {
  enterKernel()
  downRead(sem)
  upRead(sem)
  exitKernel()
  return 0
}
