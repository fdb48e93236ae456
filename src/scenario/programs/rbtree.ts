// Readers and writers of a red-black tree of VMAs. Writers count in a sequence count, as whoever holds mmap_lock for writing does in the
// design `speculative`; readers hold RCU at most.
import { load, readOnce, store, writeOnce } from '../../kernel/machine/instructions.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree } from '../../kernel/memory/slab.ts'
import { rcuReadLock, rcuReadUnlock } from '../../kernel/sync/rcu.ts'
import { readSeqcount, readSeqcountRetry, writeSeqcountBegin, writeSeqcountEnd } from '../../kernel/sync/seqcount.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'
import { rbErase, rbInsert } from '../../kernel/vma/rb-store.ts'
import { RB_WALK_LIMIT, RbRoot, rbFind, rbWalk } from '../../kernel/vma/rbtree.ts'
import { Vma } from '../../kernel/vma/vma.ts'

/** What a reader returns that found that a writer had been at work, and would look again. */
export const AGAIN = -1

/** Hangs a VMA of `pages` pages at `page` into the tree. Returns 0, or 1 without memory. */
function hang(root: number, page: number, pages: number): number {
  const vma = kmemCacheAlloc(Cache.vma)
  if (vma === 0) return 1
  // Its memory may be a VMA in which a late reader stands.
  writeOnce(vma + Vma.start, page)
  writeOnce(vma + Vma.end, page + pages)
  rbInsert(root, vma)
  return 0
}

/** Hangs VMAs 1 to `count` in, VMA i at page 10 i, `pages` pages each, while nobody reads. */
export function plant(root: number, count: number, pages: number): number {
  let failed = 0
  for (let i = 1; i <= count; i++) failed += hang(root, 10 * i, pages)
  return failed
}

/** Gives the VMAs of the tree back. Nobody reads it any more. */
export function fell(root: number): number {
  for (let vma = load(root + RbRoot.node); vma !== 0; vma = load(root + RbRoot.node)) {
    rbErase(root, vma)
    kmemCacheFree(Cache.vma, vma)
  }
  return 0
}

/** Hangs a VMA in beside readers. */
export function put(root: number, seq: number, page: number, pages: number): number {
  enterKernel()
  writeSeqcountBegin(seq)
  const failed = hang(root, page, pages)
  writeSeqcountEnd(seq)
  exitKernel()
  return failed
}

/** Takes the VMA at `page` out beside readers. It is kept at `kept`, for `reuse`. */
export function take(root: number, seq: number, page: number, kept: number): number {
  enterKernel()
  writeSeqcountBegin(seq)
  const vma = rbFind(root, page, page)
  rbErase(root, vma)
  store(kept, vma)
  writeSeqcountEnd(seq)
  exitKernel()
  return 0
}

/** Frees the VMA at `kept` without waiting for anybody, and hangs one, which has its memory, into another tree at `page`. */
export function reuse(other: number, kept: number, page: number, pages: number): number {
  enterKernel()
  kmemCacheFree(Cache.vma, load(kept))
  const failed = hang(other, page, pages)
  exitKernel()
  return failed
}

/** Frees the VMA at `kept`, when nobody reads any more. */
export function drop(kept: number): number {
  kmemCacheFree(Cache.vma, load(kept))
  return 0
}

/** Looks page `page` up under RCU alone. Returns the first page of the VMA that was found, or 0. */
export function find(root: number, page: number): number {
  enterKernel()
  rcuReadLock()
  const vma = rbWalk(root, page, RB_WALK_LIMIT)
  const start = vma > 0 ? readOnce(vma + Vma.start) : vma
  rcuReadUnlock()
  exitKernel()
  return start
}

/** The same, worth something only if no writer has been at work: else `AGAIN`. */
export function findValidated(root: number, seq: number, page: number): number {
  enterKernel()
  const count = readSeqcount(seq)
  rcuReadLock()
  const vma = rbWalk(root, page, RB_WALK_LIMIT)
  const start = vma > 0 ? readOnce(vma + Vma.start) : vma
  rcuReadUnlock()
  const again = (count & 1) !== 0 || readSeqcountRetry(seq, count) !== 0
  exitKernel()
  return again ? AGAIN : start
}

/** Looks page `page` up, but gives up after `limit` nodes. Returns 1 if it had to. */
export function walksOn(root: number, page: number, limit: number): number {
  enterKernel()
  rcuReadLock()
  const vma = rbWalk(root, page, limit)
  rcuReadUnlock()
  exitKernel()
  return vma < 0 ? 1 : 0
}
