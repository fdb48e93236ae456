// struct vm_area_struct: one mapping. Bounds are page numbers, `end` exclusive.

import { design } from '../design/design.ts'
import { load, store, writeOnce } from '../machine/instructions.ts'
import { ListHead } from '../machine/list.ts'
import { struct } from '../machine/struct.ts'
import { putFile } from '../memory/file.ts'
import { mpolPut } from '../memory/mempolicy.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree } from '../memory/slab.ts'
import { RcuHead } from '../sync/rcu.ts'
import { Rwsem } from '../sync/rwsem.ts'

/**
 * `start`, `end`, `flags`, `pgoff`, `file`: stable under mmap_lock (read or write) or the VMA's own lock; written with
 * mmap_lock held for writing after `design.vmaStartWrite`. Once the VMA is in the tree, `start`, `end`, `flags`, `pgoff` and `anonVma` are
 * written with `writeOnce`: a design may read them under RCU and validate. `anonVma`, once set, stays until the VMA is unlinked.
 * `policy`: as `flags`; its VMA has a reference to it, and a design that reads it under RCU alone finds it freed through RCU.
 * `refcnt`, `lockSeq`, `lock`, `detached`: the locking design's. `next`: a list of VMAs that are being unmapped.
 *
 * The node of an rbtree, where that is the index (`rbtree.ts`): `rbLeft`, `rbRight`, written with mmap_lock held, and read without
 * it too; `rbParentColor`, `gap` (free pages before the VMA), `subtreeGap` (the largest such gap in its subtree), for holders of mmap_lock
 * alone. `gap` lies where a VMA that is out of the tree has its `rcuHead`.
 */
export const Vma = struct({
  start: 1,
  end: 1,
  flags: 1,
  pgoff: 1,
  policy: 1, // struct Mempolicy that pages of private memory go by, or 0
  mm: 1,
  file: 1,
  anonVma: 1,
  anonVmaChain: 1,
  lockSeq: 1,
  rcuHead: RcuHead.size,
  gap: { at: 'rcuHead' },
  rbLeft: 1,
  rbRight: 1,
  rbParentColor: 1,
  subtreeGap: 1,
  refcnt: 1, // written by every reader: on a cache line of its own
  lock: Rwsem.size, // vm_lock of the form with semaphores, on that line too: a machine has one design
  detached: 1, // 1: not in the tree (any more); written under mmap_lock for writing
  next: 1,
  shared: ListHead.size, // its place among the VMAs of a device's inode, under the inode's `iMmapLock` (see `i-mmap.ts`)
})

/** Bits of `flags`, with Linux's values. */
export const Vm = Object.freeze({
  read: 0x1,
  write: 0x2,
  exec: 0x4,
  shared: 0x8,
  mayRead: 0x10,
  mayWrite: 0x20,
  mayExec: 0x40,
  mayShare: 0x80,
  access: 0x7,
  growsDown: 0x100,
  pfnMap: 0x400, // memory of a device: `memory/device.ts`
  locked: 0x2000,
  dontCopy: 0x20000,
  dontExpand: 0x40000,
  account: 0x100000,
  noReserve: 0x200000,
  wipeOnFork: 0x2000000,
  userfault: 0x10000000,
})

/** vm_area_alloc: a VMA of `mm` that nobody can find yet, with bounds unset. Returns 0 without memory. */
export function vmAreaAlloc(mm: number): number {
  const vma = kmemCacheAlloc(Cache.vma)
  if (vma === 0) return 0
  store(vma + Vma.mm, mm)
  store(vma + Vma.file, 0)
  store(vma + Vma.policy, 0)
  store(vma + Vma.anonVma, 0)
  store(vma + Vma.anonVmaChain, 0)
  store(vma + Vma.next, 0)
  design.vmaInit(vma)
  return vma
}

/** vm_area_dup: a copy of `orig` with the same bounds; references to file, policy and anon_vma are the caller's to take. */
export function vmAreaDup(orig: number, mm: number): number {
  const vma = vmAreaAlloc(mm)
  if (vma === 0) return 0
  store(vma + Vma.start, load(orig + Vma.start))
  store(vma + Vma.end, load(orig + Vma.end))
  store(vma + Vma.flags, load(orig + Vma.flags))
  store(vma + Vma.pgoff, load(orig + Vma.pgoff))
  store(vma + Vma.file, load(orig + Vma.file))
  store(vma + Vma.policy, load(orig + Vma.policy))
  return vma
}

/**
 * Lets go of the policy of a VMA that is out of the tree. The VMA forgets it first: where faults may find the VMA for longer than RCU
 * keeps the policy (`srcu`), they must not find that.
 */
export function vmaPutPolicy(vma: number): void {
  const policy = load(vma + Vma.policy)
  if (policy === 0) return
  writeOnce(vma + Vma.policy, 0)
  mpolPut(policy)
}

/** RCU callback of designs whose look-ups may still read a VMA that is gone. */
export function vmaFreeRcu(head: number): void {
  kmemCacheFree(Cache.vma, head - Vma.rcuHead)
}

/** SRCU callback of designs whose faults go on using a VMA and its file after munmap: lets go of both. Does not sleep. */
export function vmaAndFileFree(head: number): void {
  const vma = head - Vma.rcuHead
  if (load(vma + Vma.file) !== 0) putFile(load(vma + Vma.file))
  kmemCacheFree(Cache.vma, vma)
}

/** vma_pages: pages of the VMA. */
export function vmaPages(vma: number): number {
  return load(vma + Vma.end) - load(vma + Vma.start)
}

/** linear_page_index: the page offset that the VMA gives to page `vpn`. */
export function linearPageIndex(vma: number, vpn: number): number {
  return (vpn - load(vma + Vma.start) + load(vma + Vma.pgoff)) | 0
}

/** vma_is_anonymous. */
export function vmaIsAnonymous(vma: number): boolean {
  return load(vma + Vma.file) === 0
}
