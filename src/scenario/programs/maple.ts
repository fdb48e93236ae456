// Readers and writers of a maple tree. Entry i is `ENTRY + i`, and lies where the scenario puts it; writers that are not alone
// hold a spinlock, readers are in RCU sections, unless a semaphore is said to take the place of both.
import { Mode, setContext } from '../../kernel/machine/entry.ts'
import { readOnce, writeOnce } from '../../kernel/machine/instructions.ts'
import { rcuReadLock, rcuReadUnlock } from '../../kernel/sync/rcu.ts'
import { downRead, downWrite, upRead, upWrite } from '../../kernel/sync/rwsem.ts'
import { spinLock, spinUnlock } from '../../kernel/sync/spinlock.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'
import { mtEmptyArea } from '../../kernel/vma/maple-gap.ts'
import { mtDestroy, mtErase, mtStoreRange } from '../../kernel/vma/maple-store.ts'
import { MAPLE_MAX, masNext, masWalk, mtFind, mtLoad } from '../../kernel/vma/maple-tree.ts'

/** Entry 0. Nothing is stored there: entries are numbers that stand for pointers. */
export const ENTRY = 1000
/** What `walkAndGoOn` returns that found what was erased before it looked. */
export const STALE = -1

/** Gives the tree's nodes back. Nobody reads it any more. */
export function fell(tree: number): number {
  mtDestroy(tree)
  return 0
}

/** Stores entries `first` to `last`, `step` pages from one to the next, each `pages` long. Free ranges are what is left between. */
export function fill(tree: number, first: number, last: number, step: number, pages: number): number {
  let error = 0
  for (let i = first; i <= last && error === 0; i++) error = mtStoreRange(tree, i * step, i * step + pages - 1, ENTRY + i)
  return error
}

/** Stores entry `i` at [index, last]. */
export function put(tree: number, index: number, last: number, i: number): number {
  enterKernel()
  const error = mtStoreRange(tree, index, last, ENTRY + i)
  exitKernel()
  return error
}

/** The same among other writers. Returns the entry that is there afterwards. */
export function putLocked(tree: number, lock: number, index: number, last: number, i: number): number {
  enterKernel()
  spinLock(lock)
  const error = mtStoreRange(tree, index, last, ENTRY + i)
  const entry = error !== 0 ? error : mtLoad(tree, index)
  spinUnlock(lock)
  exitKernel()
  return entry
}

/** Erases the entry at `index`. Returns it. */
export function erase(tree: number, index: number): number {
  enterKernel()
  const entry = mtErase(tree, index)
  exitKernel()
  return entry
}

/** The same, and says so at `word`. */
export function eraseAndTell(tree: number, index: number, word: number): number {
  enterKernel()
  const entry = mtErase(tree, index)
  writeOnce(word, 1)
  exitKernel()
  return entry
}

/** Looks the entry at `index` up. */
export function find(tree: number, index: number): number {
  enterKernel()
  rcuReadLock()
  const entry = mtLoad(tree, index)
  rcuReadUnlock()
  exitKernel()
  return entry
}

/** The same without an RCU section: the kernel is taken not to be preempted. */
export function findBare(tree: number, index: number): number {
  enterKernel()
  const entry = mtLoad(tree, index)
  exitKernel()
  return entry
}

/** Visits every entry. Returns which it saw, as bits; -1 if something is no entry, or came twice or in the wrong order. */
export function scan(tree: number): number {
  enterKernel()
  rcuReadLock()
  let seen = 0
  let before = 0
  let entry = mtFind(tree, 0, MAPLE_MAX)
  while (entry !== 0 && seen >= 0) {
    const i = entry - ENTRY
    seen = i <= before || i > 30 ? -1 : seen | (1 << i)
    before = i
    entry = masNext(MAPLE_MAX)
  }
  rcuReadUnlock()
  exitKernel()
  return seen
}

/**
 * Walks to `index`, and from there to the next entry. `STALE` if that is entry `erased` although `word` had said before that
 * the entry was gone.
 */
export function walkAndGoOn(tree: number, index: number, word: number, erased: number): number {
  enterKernel()
  rcuReadLock()
  masWalk(tree, index)
  const gone = readOnce(word)
  const entry = masNext(MAPLE_MAX)
  rcuReadUnlock()
  exitKernel()
  return gone !== 0 && entry === ENTRY + erased ? STALE : entry
}

/** Erases the entry at `index`, which leaves a hole of `pages`; then finds a hole of that size below `limit` and fills it with entry `i`. */
export function eraseAndPlace(tree: number, lock: number, index: number, pages: number, limit: number, i: number): number {
  enterKernel()
  spinLock(lock)
  mtErase(tree, index)
  spinUnlock(lock)
  spinLock(lock)
  const start = mtEmptyArea(tree, 0, limit, pages)
  const error = start < 0 ? start : mtStoreRange(tree, start, start + pages - 1, ENTRY + i)
  spinUnlock(lock)
  exitKernel()
  return error !== 0 ? error : start
}

/** Walks to `index` and goes on to the next entry, which it returns, with `sem` held for reading and in no RCU section. */
export function walkUnder(tree: number, sem: number, index: number): number {
  enterKernel()
  downRead(sem)
  masWalk(tree, index)
  // Preempted: whoever is in no RCU section is in nobody's way.
  setContext(Mode.kernel)
  const entry = masNext(MAPLE_MAX)
  upRead(sem)
  exitKernel()
  return entry
}

/** Stores entry `i` at [index, last] with `sem` held for reading, or for writing if `writes` is 1. */
export function growUnder(tree: number, sem: number, writes: number, index: number, last: number, i: number): number {
  enterKernel()
  if (writes !== 0) downWrite(sem)
  else downRead(sem)
  const error = mtStoreRange(tree, index, last, ENTRY + i)
  if (writes !== 0) upWrite(sem)
  else upRead(sem)
  exitKernel()
  return error
}
