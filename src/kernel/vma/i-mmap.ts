// i_mmap: the VMAs that map an inode, for whoever must find the mappings of its pages from the other end: a driver that takes its pages
// back. Kept for devices only: nobody here asks a file. A list where Linux has an interval tree. New VMAs go to its end, so that the
// copy that mremap makes is found after the original: an entry that is being moved is met at one of the two places.
import { load, writeOnce } from '../machine/instructions.ts'
import { ListHead, listAddTail, listDelInit } from '../machine/list.ts'
import { fileInode } from '../memory/file.ts'
import { Inode } from '../memory/inode.ts'
import { tlbFinishMmu, tlbFlushMmu, tlbGatherMmu } from '../pagetable/mmu-gather.ts'
import { unmapPageRange } from '../pagetable/zap.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { Vm, Vma } from './vma.ts'

/** Whether the VMA is one of those that are listed. */
function isListed(vma: number): boolean {
  return (load(vma + Vma.flags) & Vm.pfnMap) !== 0
}

function inodeOf(vma: number): number {
  return fileInode(load(vma + Vma.file))
}

/** vma_link_file: the driver finds the VMA from here on. mmap_lock is held for writing, and no fault uses the VMA yet. */
export function vmaLinkFile(vma: number): void {
  if (!isListed(vma)) return
  const inode = inodeOf(vma)
  spinLock(inode + Inode.iMmapLock)
  listAddTail(vma + Vma.shared, inode + Inode.iMmap)
  spinUnlock(inode + Inode.iMmapLock)
}

/** The two changes that a split of `vma` at page `at` is to who looks for pages: `upper` comes, `vma` ends earlier. Both write-locked. */
export function vmaSplitFile(vma: number, upper: number, at: number): void {
  if (!isListed(vma)) {
    writeOnce(vma + Vma.end, at)
    return
  }
  const inode = inodeOf(vma)
  spinLock(inode + Inode.iMmapLock)
  listAddTail(upper + Vma.shared, inode + Inode.iMmap)
  writeOnce(vma + Vma.end, at)
  spinUnlock(inode + Inode.iMmapLock)
}

/**
 * unlink_file_vma for a chain of VMAs through `Vma.next`, whose entries the gather under way on this CPU has cleared; their page tables are
 * still there. What was cleared is flushed first: a driver who no longer finds a VMA takes its pages for unmapped, and frees them
 * (CVE-2022-39188: the flush came later).
 */
export function unlinkFileVmas(first: number): void {
  let flushed = false
  for (let vma = first; vma !== 0; vma = load(vma + Vma.next)) {
    if (isListed(vma)) {
      if (!flushed) tlbFlushMmu()
      flushed = true
      const inode = inodeOf(vma)
      spinLock(inode + Inode.iMmapLock)
      listDelInit(vma + Vma.shared)
      spinUnlock(inode + Inode.iMmapLock)
    }
  }
}

/**
 * unmap_mapping_range of all pages: takes them away from every address space; when it returns no TLB has one. The caller has seen to it that
 * nobody maps them again, and holds a reference to the inode and no other lock.
 */
export function unmapMapping(inode: number): void {
  const head = inode + Inode.iMmap
  spinLock(inode + Inode.iMmapLock)
  for (let entry = load(head + ListHead.next); entry !== head; entry = load(entry + ListHead.next)) {
    const vma = entry - Vma.shared
    // The lock keeps the VMA in the list, and its page tables with it: they are freed later.
    tlbGatherMmu(load(vma + Vma.mm))
    unmapPageRange(load(vma + Vma.mm), load(vma + Vma.start), load(vma + Vma.end))
    // Sees to entries, too, that munmap has cleared and not yet flushed.
    tlbFinishMmu()
  }
  spinUnlock(inode + Inode.iMmapLock)
}
