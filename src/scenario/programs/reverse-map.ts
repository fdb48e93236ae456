// Who reaches an address space not as its user, holding mmap_lock, but by another way: truncation through the reverse map, which holds
// a lock of the file, and the reaper of a process that is being killed, which holds the mm's structure.
import { Errno } from '../../kernel/machine/errno.ts'
import { load } from '../../kernel/machine/instructions.ts'
import { getMmCounter, mmDrop, mmGrab, Rss } from '../../kernel/memory/mm.ts'
import { tlbFinishMmu, tlbGatherMmu } from '../../kernel/pagetable/mmu-gather.ts'
import { unmapPageRange } from '../../kernel/pagetable/zap.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'
import { findVma } from '../../kernel/vma/find-vma.ts'
import { mmapReadLock, mmapReadUnlock } from '../../kernel/vma/mmap-lock.ts'
import { Vma } from '../../kernel/vma/vma.ts'

/**
 * unmap_mapping_range, as it meets one address space: takes page `vpn` away under the lock of its table alone. Whoever calls it knows
 * that the tables stay. Returns 0, or -ENOMEM if no page was there, as DONTNEED would say of pages that are not mapped.
 */
export function unmapMappingPage(mm: number, vpn: number): number {
  enterKernel()
  const before = getMmCounter(mm, Rss.anon)
  tlbGatherMmu(mm)
  unmapPageRange(mm, vpn, vpn + 1)
  tlbFinishMmu()
  const after = getMmCounter(mm, Rss.anon)
  exitKernel()
  return after === before ? -Errno.ENOMEM : 0
}

/** Keeps the structure of `mm` for `processMrelease`. */
export function keep(mm: number): number {
  mmGrab(mm)
  return 0
}

/** process_mrelease: frees the pages of an address space that somebody else is about to end, whose structure `keep` has kept. */
export function processMrelease(mm: number): number {
  enterKernel()
  mmapReadLock(mm)
  tlbGatherMmu(mm)
  for (let vma = findVma(mm, 0); vma !== 0; vma = findVma(mm, load(vma + Vma.end)))
    unmapPageRange(mm, load(vma + Vma.start), load(vma + Vma.end))
  tlbFinishMmu()
  mmapReadUnlock(mm)
  mmDrop(mm)
  exitKernel()
  return 0
}
