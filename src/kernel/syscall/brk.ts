// brk: the heap grows by a VMA that expands upwards only, and shrinks by unmapping.
import { runEnd } from '../arch/windows.ts'
import { Errno } from '../machine/errno.ts'
import { Global } from '../machine/globals.ts'
import { load, store } from '../machine/instructions.ts'
import { Mm } from '../memory/mm.ts'
import { findVmaIntersection, vmaLookup } from '../vma/find-vma.ts'
import { vmaMergeNewRange, vmgSet } from '../vma/merge.ts'
import { mmapWriteLock, mmapWriteUnlock } from '../vma/mmap-lock.ts'
import { Vm } from '../vma/vma.ts'
import { enterKernel, exitKernel } from './entry.ts'
import { insertNewVma } from './mmap.ts'
import { doMunmap } from './munmap.ts'

const HEAP = Vm.read | Vm.write | Vm.mayRead | Vm.mayWrite | Vm.mayExec | Vm.account

/**
 * brk to the byte `unused` bytes before the end of page `end` - 1: the heap ends at page `end` (exclusive). Returns 0, or
 * -ENOMEM with the break unchanged. The break itself is in `Mm.brk` and `Mm.brkUnused`.
 */
export function sysBrk(mm: number, end: number, unused: number): number {
  enterKernel()
  mmapWriteLock(mm)
  const error = doBrk(mm, end, unused)
  mmapWriteUnlock(mm)
  exitKernel()
  return error
}

function doBrk(mm: number, end: number, unused: number): number {
  const old = load(mm + Mm.brk)
  const heap = load(mm + Mm.startBrk)
  if (heap === 0 || end < heap || (end === heap && unused > 0)) return -Errno.ENOMEM
  if (end < old) {
    if (findVmaIntersection(mm, end, old) === 0) return -Errno.ENOMEM
    const error = doMunmap(mm, end, old)
    if (error !== 0) return error
  } else if (end > old) {
    // One page of distance to whatever comes next.
    if (end + 1 > load(Global.taskSize) || end > runEnd(heap) || findVmaIntersection(mm, old, end + 1) !== 0) return -Errno.ENOMEM
    const error = growHeap(mm, old, end)
    if (error !== 0) return error
  }
  store(mm + Mm.brk, end)
  store(mm + Mm.brkUnused, unused)
  return 0
}

function growHeap(mm: number, start: number, end: number): number {
  if (load(mm + Mm.mapCount) > load(Global.maxMapCount)) return -Errno.ENOMEM
  vmgSet(mm, start, end, HEAP, start, 0, 0)
  const below = start > load(mm + Mm.startBrk) ? vmaLookup(mm, start - 1) : 0
  if (below === 0 || vmaMergeNewRange(1) === 0) {
    const error = insertNewVma(mm, start, end - start, HEAP, start, 0)
    if (error !== 0) return error
  }
  store(mm + Mm.totalVm, load(mm + Mm.totalVm) + end - start)
  return 0
}
