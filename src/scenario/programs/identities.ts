// What /proc shows of a mapping's file, and what a CPU has counted: read by whoever it belongs to.
import { load, thisCpu } from '../../kernel/machine/instructions.ts'
import { Cpu } from '../../kernel/machine/percpu.ts'
import { fileInode } from '../../kernel/memory/file.ts'
import { Inode } from '../../kernel/memory/inode.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'
import { vmaLookup } from '../../kernel/vma/find-vma.ts'
import { mmapReadLock, mmapReadUnlock } from '../../kernel/vma/mmap-lock.ts'
import { Vma } from '../../kernel/vma/vma.ts'

/** The inode number of the file that is mapped at page `vpn`. */
export function inodeNumber(mm: number, vpn: number): number {
  enterKernel()
  mmapReadLock(mm)
  const number = load(fileInode(load(vmaLookup(mm, vpn) + Vma.file)) + Inode.id)
  mmapReadUnlock(mm)
  exitKernel()
  return number
}

/** Faults of this CPU that were done under mmap_lock because a lock on their VMA was not to be had. */
export function fallbacks(): number {
  return load(thisCpu() + Cpu.statFaultFallbacks)
}
