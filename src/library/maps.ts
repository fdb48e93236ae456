// The mappings of a space, as /proc/self/maps shows them.
import { addressOf, pageBytes } from '../abi/system-calls.ts'
import { enterKernel, exitKernel } from '../kernel/kernel.ts'
import { load } from '../kernel/machine/instructions.ts'
import { fileInode } from '../kernel/memory/file.ts'
import { Inode } from '../kernel/memory/inode.ts'
import { findVma } from '../kernel/vma/find-vma.ts'
import { mmapReadLock, mmapReadUnlock } from '../kernel/vma/mmap-lock.ts'
import { Vm, Vma } from '../kernel/vma/vma.ts'

/** One mapping. Addresses, sizes and offsets are in bytes; `end` is exclusive. */
export interface Mapping {
  readonly start: number
  readonly end: number
  /** Three letters, as in `rw-`. */
  readonly prot: string
  readonly shared: boolean
  /** The `id` of the file that is mapped, if it is one that the program created. */
  readonly file: number | undefined
  /** Where in the file the mapping begins. */
  readonly offset: number
  /** The program fills its missing pages (see `registerUserfault`). */
  readonly userfault: boolean
}

/** All mappings of `mm`, ascending, as they are at one moment: under mmap_lock. The CPU is outside the kernel. */
export function readMaps(mm: number): Mapping[] {
  const found: Mapping[] = []
  const size = pageBytes()
  enterKernel()
  mmapReadLock(mm)
  for (let vma = findVma(mm, 0); vma !== 0; vma = findVma(mm, load(vma + Vma.end))) {
    const flags = load(vma + Vma.flags)
    const file = load(vma + Vma.file)
    const inode = file === 0 ? 0 : fileInode(file)
    found.push({
      start: addressOf(load(vma + Vma.start)),
      end: addressOf(load(vma + Vma.end) - 1) + size,
      prot: ((flags & Vm.read) !== 0 ? 'r' : '-') + ((flags & Vm.write) !== 0 ? 'w' : '-') + ((flags & Vm.exec) !== 0 ? 'x' : '-'),
      shared: (flags & Vm.mayShare) !== 0,
      file: inode === 0 || load(inode + Inode.shmem) !== 0 ? undefined : load(inode + Inode.id),
      offset: inode === 0 ? 0 : load(vma + Vma.pgoff) * size,
      userfault: (flags & Vm.userfault) !== 0,
    })
  }
  mmapReadUnlock(mm)
  exitKernel()
  return found
}
