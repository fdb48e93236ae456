// madvise: DONTNEED and FREE under mmap_lock for reading; the POPULATE forms fault page by page.
import { ENTRY_WORDS } from '../arch/arch.ts'
import { FaultFlag, VmFault } from '../fault/fault.ts'
import { handleMmFault } from '../fault/handle-mm-fault.ts'
import { Errno } from '../machine/errno.ts'
import { atomicOr, load, readOnce, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { Page, PageFlag, pfnToPage } from '../memory/page.ts'
import { Pte, ptePfn, ptePresent, ptepGetAndClear, ptepGetLockless, setPte } from '../pagetable/entries.ts'
import { findPmd, nextPteTable, pmdAddrEnd } from '../pagetable/levels.ts'
import { tlbAddRange, tlbFinishMmu, tlbGatherMmu } from '../pagetable/mmu-gather.ts'
import { reclaimPtTables } from '../pagetable/pt-reclaim.ts'
import { pteOffsetMap, pteOffsetMapLock, pteUnmap, pteUnmapUnlock } from '../pagetable/pte-offset-map.ts'
import { unmapPageRange } from '../pagetable/zap.ts'
import { findVma, vmaLookup } from '../vma/find-vma.ts'
import { mmapReadLock, mmapReadUnlock } from '../vma/mmap-lock.ts'
import { Vm, Vma, vmaIsAnonymous } from '../vma/vma.ts'
import { enterKernel, exitKernel } from './entry.ts'

/** What is advised; the values are Linux's MADV_. */
export const Advice = Object.freeze({ dontneed: 4, free: 8, populateRead: 22, populateWrite: 23 })

/**
 * madvise of `pages` pages from page `start`. Returns 0; -ENOMEM for a hole (DONTNEED and FREE go on behind it, POPULATE
 * stops); -EINVAL for FREE on anything but private anonymous memory, POPULATE without the right, anything with device memory, or other advice; -EFAULT
 * where POPULATE meets the end of a file.
 */
export function sysMadvise(mm: number, start: number, pages: number, advice: number): number {
  enterKernel()
  let result = -Errno.EINVAL
  if (advice === Advice.dontneed || advice === Advice.free) result = zapOrFree(mm, start, start + pages, advice)
  else if (advice === Advice.populateRead) result = populate(mm, start, start + pages, Vm.read)
  else if (advice === Advice.populateWrite) result = populate(mm, start, start + pages, Vm.write)
  exitKernel()
  return result
}

function zapOrFree(mm: number, start: number, end: number, advice: number): number {
  mmapReadLock(mm)
  tlbGatherMmu(mm)
  let result = 0
  let at = start
  while (at < end) {
    const vma = findVma(mm, at)
    if (vma === 0 || load(vma + Vma.start) > at) result = -Errno.ENOMEM
    if (vma === 0 || load(vma + Vma.start) >= end) break
    if (load(vma + Vma.start) > at) at = load(vma + Vma.start)
    const stop = Math.min(load(vma + Vma.end), end)
    if ((load(vma + Vma.flags) & Vm.pfnMap) !== 0) {
      result = -Errno.EINVAL
      break
    }
    if (advice === Advice.dontneed) {
      unmapPageRange(mm, at, stop)
      reclaimPtTables(mm, at, stop)
    } else if (!vmaIsAnonymous(vma)) {
      result = -Errno.EINVAL
      break
    } else freeRange(mm, at, stop)
    at = load(vma + Vma.end)
  }
  tlbFinishMmu()
  mmapReadUnlock(mm)
  return result
}

/** madvise_free_pte_range: pages become clean and lazily freeable; a write makes them dirty and kept again. */
function freeRange(mm: number, start: number, end: number): void {
  let vpn = nextPteTable(mm, start, end)
  while (vpn < end) {
    const next = pmdAddrEnd(vpn, end)
    const mapped = pteOffsetMapLock(load(thisCpu() + Cpu.out2), vpn)
    if (mapped !== 0) {
      const ptl = load(thisCpu() + Cpu.out1)
      for (let i = 0; i < next - vpn; i++) freePte(mapped + i * ENTRY_WORDS, vpn + i)
      pteUnmapUnlock(mapped, ptl)
    }
    vpn = nextPteTable(mm, next, end)
  }
}

function freePte(ptep: number, vpn: number): void {
  const pte = readOnce(ptep)
  if (!ptePresent(pte) || (pte & Pte.special) !== 0) return
  const old = ptepGetAndClear(ptep)
  setPte(ptep, old & ~(Pte.dirty | Pte.accessed))
  tlbAddRange(vpn, vpn + 1)
  atomicOr(pfnToPage(ptePfn(old)) + Page.flags, PageFlag.lazyfree)
}

function populate(mm: number, start: number, end: number, right: number): number {
  for (let vpn = start; vpn < end; vpn++) {
    const result = populatePage(mm, vpn, right)
    if (result !== 0) return result
  }
  return 0
}

/** faultin_page until the entry is there; `right` is VM_READ or VM_WRITE. */
function populatePage(mm: number, vpn: number, right: number): number {
  for (;;) {
    mmapReadLock(mm)
    const vma = vmaLookup(mm, vpn)
    let result = 0
    let done = false
    if (vma === 0) result = -Errno.ENOMEM
    else if ((load(vma + Vma.flags) & (right | Vm.pfnMap)) !== right) result = -Errno.EINVAL
    else if (populated(mm, vpn, right)) done = true
    else {
      // Without `allowRetry` the fault keeps mmap_lock, also while it sleeps.
      const fault = handleMmFault(mm, vma, vpn, right === Vm.write ? FaultFlag.write : 0)
      if ((fault & VmFault.oom) !== 0) result = -Errno.ENOMEM
      else if ((fault & VmFault.error) !== 0) result = -Errno.EFAULT
    }
    mmapReadUnlock(mm)
    if (result !== 0 || done) return result
  }
}

function populated(mm: number, vpn: number, right: number): boolean {
  const pmd = findPmd(mm, vpn)
  const ptep = pmd === 0 ? 0 : pteOffsetMap(pmd, vpn)
  if (ptep === 0) return false
  const pte = ptepGetLockless(ptep)
  pteUnmap(ptep)
  return ptePresent(pte) && (right === Vm.read || (pte & Pte.write) !== 0)
}
