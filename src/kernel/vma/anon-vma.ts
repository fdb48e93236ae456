// anon_vma: what connects anonymous pages with the VMAs that may map them. A VMA has one to which its new pages belong,
// and a chain of that one and those of its ancestors; two VMAs merge only if theirs agree. The interval tree in which
// Linux finds the VMAs of an anon_vma is not here: nothing walks it.
import { load, rcuAssignPointer, readOnce, store, writeOnce } from '../machine/instructions.ts'
import { struct } from '../machine/struct.ts'
import { Mm } from '../memory/mm.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree } from '../memory/slab.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { touchingNext, touchingPrev } from './find-vma.ts'
import { Vm, Vma } from './vma.ts'

/** The lock of `root` guards the counts of its whole family. `links`: chain entries that name it; 0 frees it. */
export const AnonVma = struct({ root: 1, rootUsers: 1, parent: 1, lock: 1, numChildren: 1, numActiveVmas: 1, links: 1 })
/** An entry of a VMA's chain (anon_vma_chain), newest first. */
export const AnonVmaChain = struct({ anonVma: 1, next: 1 })

/** list_is_singular(&vma->anon_vma_chain): the VMA did not come through fork with an anon_vma. */
export function chainIsSingular(vma: number): boolean {
  const first = load(vma + Vma.anonVmaChain)
  return first !== 0 && load(first + AnonVmaChain.next) === 0
}

/** vma_is_fork_child: the VMA has an anon_vma and a chain of more than one. */
export function vmaIsForkChild(vma: number): boolean {
  return load(vma + Vma.anonVma) !== 0 && !chainIsSingular(vma)
}

function anonVmaAlloc(parent: number): number {
  const anonVma = kmemCacheAlloc(Cache.anonVma)
  if (anonVma === 0) return 0
  const root = parent === 0 ? anonVma : load(parent + AnonVma.root)
  store(anonVma + AnonVma.root, root)
  store(anonVma + AnonVma.rootUsers, 0)
  store(anonVma + AnonVma.parent, parent)
  store(anonVma + AnonVma.lock, 0)
  // A root counts as its own parent, as in Linux: with one child it is not taken over.
  store(anonVma + AnonVma.numChildren, parent === 0 ? 1 : 0)
  store(anonVma + AnonVma.numActiveVmas, 0)
  store(anonVma + AnonVma.links, 0)
  return anonVma
}

/**
 * Links chain entry `avc` between `vma` and `anonVma`, behind entry `after` of the chain (0: in front). The caller holds the lock
 * of the anon_vma's root.
 */
function chainLink(vma: number, avc: number, anonVma: number, after: number): void {
  const link = after === 0 ? vma + Vma.anonVmaChain : after + AnonVmaChain.next
  store(avc + AnonVmaChain.anonVma, anonVma)
  store(avc + AnonVmaChain.next, load(link))
  store(link, avc)
  store(anonVma + AnonVma.links, load(anonVma + AnonVma.links) + 1)
  const root = load(anonVma + AnonVma.root)
  store(root + AnonVma.rootUsers, load(root + AnonVma.rootUsers) + 1)
}

/** anon_vma_compatible: two touching VMAs that mprotect could make mergeable may share an anon_vma from the start. */
function anonVmaCompatible(lower: number, upper: number): boolean {
  return (
    load(lower + Vma.file) === load(upper + Vma.file) &&
    ((load(lower + Vma.flags) ^ load(upper + Vma.flags)) & ~Vm.access) === 0 &&
    load(upper + Vma.pgoff) === ((load(lower + Vma.pgoff) + load(upper + Vma.start) - load(lower + Vma.start)) | 0)
  )
}

/** find_mergeable_anon_vma: the anon_vma of a neighbour (the upper first) that the VMA may share, or 0. */
function findMergeableAnonVma(mm: number, vma: number): number {
  const next = touchingNext(mm, vma)
  if (next !== 0) {
    const anonVma = readOnce(next + Vma.anonVma)
    if (anonVma !== 0 && chainIsSingular(next) && anonVmaCompatible(vma, next)) return anonVma
  }
  const prev = touchingPrev(mm, vma)
  if (prev !== 0) {
    const anonVma = readOnce(prev + Vma.anonVma)
    if (anonVma !== 0 && chainIsSingular(prev) && anonVmaCompatible(prev, vma)) return anonVma
  }
  return 0
}

/** anon_vma_prepare: gives the VMA an anon_vma. mmap_lock is held, so that the neighbours stay. Returns 0, or 1 without memory. */
export function anonVmaPrepare(mm: number, vma: number): number {
  if (readOnce(vma + Vma.anonVma) !== 0) return 0
  const avc = kmemCacheAlloc(Cache.anonVmaChain)
  if (avc === 0) return 1
  const shared = findMergeableAnonVma(mm, vma)
  const anonVma = shared !== 0 ? shared : anonVmaAlloc(0)
  if (anonVma === 0) {
    kmemCacheFree(Cache.anonVmaChain, avc)
    return 1
  }
  const root = load(anonVma + AnonVma.root)
  spinLock(root + AnonVma.lock)
  spinLock(mm + Mm.pageTableLock)
  const mine = load(vma + Vma.anonVma) === 0
  if (mine) {
    // The chain first: whoever sees the anon_vma looks at the chain.
    chainLink(vma, avc, anonVma, 0)
    rcuAssignPointer(vma + Vma.anonVma, anonVma)
    store(anonVma + AnonVma.numActiveVmas, load(anonVma + AnonVma.numActiveVmas) + 1)
  }
  spinUnlock(mm + Mm.pageTableLock)
  spinUnlock(root + AnonVma.lock)
  if (!mine) {
    kmemCacheFree(Cache.anonVmaChain, avc)
    if (shared === 0) kmemCacheFree(Cache.anonVma, anonVma)
  }
  return 0
}

/**
 * anon_vma_clone: `target` (which has no chain) gets entries for all of `source`'s. With `takeOver` its anon_vma is the
 * source's (split, merge, move); else (fork) it is an ancestor's that nobody uses any more, if there is one. Returns 0, or 1
 * without memory, the target unchanged. mmap_lock is held for writing.
 */
export function anonVmaClone(target: number, source: number, takeOver: number): number {
  let last = 0
  for (let from = load(source + Vma.anonVmaChain); from !== 0; from = load(from + AnonVmaChain.next)) {
    const avc = kmemCacheAlloc(Cache.anonVmaChain)
    if (avc === 0) {
      unlinkAnonVmas(target)
      return 1
    }
    const anonVma = load(from + AnonVmaChain.anonVma)
    const root = load(anonVma + AnonVma.root)
    spinLock(root + AnonVma.lock)
    // Newest first, as in the source: whoever leaves must do so before its parent is freed.
    chainLink(target, avc, anonVma, last)
    const unused = load(anonVma + AnonVma.numChildren) < 2 && load(anonVma + AnonVma.numActiveVmas) === 0
    if (takeOver === 0 && unused) reuse(target, anonVma)
    spinUnlock(root + AnonVma.lock)
    last = avc
  }
  if (takeOver === 0) return 0
  writeOnce(target + Vma.anonVma, load(source + Vma.anonVma))
  countActive(load(target + Vma.anonVma), 1)
  return 0
}

/**
 * `target` takes `anonVma`, which nobody uses, for its own, and gives up a newer one. The root's lock is held throughout, lest
 * another fork takes the same one.
 */
function reuse(target: number, anonVma: number): void {
  const newer = load(target + Vma.anonVma)
  if (newer !== 0) store(newer + AnonVma.numActiveVmas, 0)
  store(target + Vma.anonVma, anonVma)
  store(anonVma + AnonVma.numActiveVmas, 1)
}

function countActive(anonVma: number, delta: number): void {
  if (anonVma === 0) return
  const root = load(anonVma + AnonVma.root)
  spinLock(root + AnonVma.lock)
  store(anonVma + AnonVma.numActiveVmas, load(anonVma + AnonVma.numActiveVmas) + delta)
  spinUnlock(root + AnonVma.lock)
}

/** anon_vma_fork: the child's VMA gets the parent's chain and an anon_vma of its own. Returns 0, or 1 without memory. */
export function anonVmaFork(child: number, parent: number): number {
  const theirs = load(parent + Vma.anonVma)
  if (theirs === 0) return 0
  if (anonVmaClone(child, parent, 0) !== 0) return 1
  if (load(child + Vma.anonVma) !== 0) return 0
  const anonVma = anonVmaAlloc(theirs)
  const avc = kmemCacheAlloc(Cache.anonVmaChain)
  if (anonVma === 0 || avc === 0) {
    if (anonVma !== 0) kmemCacheFree(Cache.anonVma, anonVma)
    if (avc !== 0) kmemCacheFree(Cache.anonVmaChain, avc)
    unlinkAnonVmas(child)
    return 1
  }
  const root = load(anonVma + AnonVma.root)
  spinLock(root + AnonVma.lock)
  chainLink(child, avc, anonVma, 0)
  store(anonVma + AnonVma.numActiveVmas, 1)
  store(theirs + AnonVma.numChildren, load(theirs + AnonVma.numChildren) + 1)
  spinUnlock(root + AnonVma.lock)
  store(child + Vma.anonVma, anonVma)
  return 0
}

/** unlink_anon_vmas: the VMA leaves all of its anon_vmas; the last to leave one frees it. */
export function unlinkAnonVmas(vma: number): void {
  countActive(load(vma + Vma.anonVma), -1)
  writeOnce(vma + Vma.anonVma, 0)
  let avc = load(vma + Vma.anonVmaChain)
  store(vma + Vma.anonVmaChain, 0)
  while (avc !== 0) {
    const next = load(avc + AnonVmaChain.next)
    leave(load(avc + AnonVmaChain.anonVma))
    kmemCacheFree(Cache.anonVmaChain, avc)
    avc = next
  }
}

/** One chain entry less names `anonVma`. A root is kept until its whole family has gone. */
function leave(anonVma: number): void {
  const root = load(anonVma + AnonVma.root)
  spinLock(root + AnonVma.lock)
  const links = load(anonVma + AnonVma.links) - 1
  store(anonVma + AnonVma.links, links)
  const users = load(root + AnonVma.rootUsers) - 1
  store(root + AnonVma.rootUsers, users)
  const parent = load(anonVma + AnonVma.parent)
  if (links === 0 && parent !== 0) store(parent + AnonVma.numChildren, load(parent + AnonVma.numChildren) - 1)
  spinUnlock(root + AnonVma.lock)
  if (links === 0 && anonVma !== root) kmemCacheFree(Cache.anonVma, anonVma)
  if (users === 0) kmemCacheFree(Cache.anonVma, root)
}
