// The beginning and the end of an address space (mm_alloc, exit_mmap, mmput).
import { design } from '../design/design.ts'
import { Global } from '../machine/globals.ts'
import { atomicAdd, load, store } from '../machine/instructions.ts'
import { putFile } from '../memory/file.ts'
import { Mm, mmDrop, mmWords } from '../memory/mm.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree } from '../memory/slab.ts'
import { CEILING_ALL, FLOOR_ALL, freePgdRange } from '../pagetable/free-pgtables.ts'
import { tlbFinishMmu, tlbGatherMmu } from '../pagetable/mmu-gather.ts'
import { pgtableListAlloc } from '../pagetable/pgtable-list.ts'
import { Level, pteFragmentDestroy, tableAlloc, tableFree } from '../pagetable/table-alloc.ts'
import { switchMm } from '../pagetable/tlb-flush.ts'
import { unmapPageRange } from '../pagetable/zap.ts'
import { initRwsem } from '../sync/rwsem.ts'
import { unlinkAnonVmas } from '../vma/anon-vma.ts'
import { findVma } from '../vma/find-vma.ts'
import { unlinkFileVmas } from '../vma/i-mmap.ts'
import { mmapWriteLock, mmapWriteUnlock } from '../vma/mmap-lock.ts'
import { Vma, vmaPutPolicy } from '../vma/vma.ts'
import { vmaTreeDestroy } from '../vma/vma-tree.ts'
import { enterKernel, exitKernel } from './entry.ts'

/** mm_alloc: an empty address space with one user. In the kernel. Returns 0 without memory. */
export function mmAlloc(): number {
  const mm = kmemCacheAlloc(Cache.mm)
  if (mm === 0) return 0
  const words = mmWords(load(Global.nrCpus))
  for (let i = 0; i < words; i++) store(mm + i, 0)
  initRwsem(mm + Mm.mmapLock)
  store(mm + Mm.users, 1)
  store(mm + Mm.count, 1)
  if (pgtableListAlloc(mm) !== 0) {
    kmemCacheFree(Cache.mm, mm)
    return 0
  }
  store(mm + Mm.id, atomicAdd(Global.nextMmId, 1))
  store(mm + Mm.mmapBase, load(Global.mmapBase))
  design.mmInit(mm)
  const pgd = tableAlloc(mm, Level.pgd)
  if (pgd === 0) {
    mmDrop(mm)
    return 0
  }
  store(mm + Mm.pgd, pgd)
  return mm
}

/** exit_mmap and mmdrop: nobody uses the address space any more; no CPU has it loaded. In the kernel; may sleep. */
export function exitMmap(mm: number): void {
  mmapWriteLock(mm)
  tlbGatherMmu(mm)
  const first = findVma(mm, 0)
  let vma = first
  while (vma !== 0) {
    design.vmaStartWrite(vma)
    unmapPageRange(mm, load(vma + Vma.start), load(vma + Vma.end))
    // Chained: nodes of an rbtree are the VMAs, so that there is no looking for the next one once they are being freed.
    const next = findVma(mm, load(vma + Vma.end))
    store(vma + Vma.next, next)
    vma = next
  }
  unlinkFileVmas(first)
  // Tables whose span is more than a window go last, when all windows below them are empty.
  freePgdRange(mm, 0, load(Global.taskSize), FLOOR_ALL, CEILING_ALL - 1)
  freePgdRange(mm, 0, load(Global.taskSize), FLOOR_ALL, CEILING_ALL)
  tlbFinishMmu()
  vma = first
  while (vma !== 0) {
    const next = load(vma + Vma.next)
    design.vmaDetach(vma)
    unlinkAnonVmas(vma)
    if (load(vma + Vma.file) !== 0) putFile(load(vma + Vma.file))
    vmaPutPolicy(vma)
    // The tree still names it, but nobody looks: the mm has no users.
    design.vmaFree(vma)
    vma = next
  }
  vmaTreeDestroy(mm)
  mmapWriteUnlock(mm)
  pteFragmentDestroy(mm)
  tableFree(mm, load(mm + Mm.pgd), Level.pgd)
  mmDrop(mm)
}

/** A new address space for a program (exec). Returns its mm, or 0 without memory. */
export function sysNewMm(): number {
  enterKernel()
  const mm = mmAlloc()
  exitKernel()
  return mm
}

/** The executing CPU runs on the page tables of `mm` from now on, or on none (0). */
export function sysSwitchMm(mm: number): void {
  enterKernel()
  switchMm(mm)
  exitKernel()
}

/** exit: one user less; the last one tears the address space down. The executing CPU must not have it loaded. */
export function sysExit(mm: number): void {
  enterKernel()
  if (atomicAdd(mm + Mm.users, -1) === 0) exitMmap(mm)
  exitKernel()
}
