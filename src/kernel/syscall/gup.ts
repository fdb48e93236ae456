// get_user_pages, one page at a time: faults a page in and pins its frame, which then stays this frame until it is given
// back, whatever becomes of the mapping. Of private memory the pin gets the mapping's own copy, so that both stay one.
import { checkAccess, FaultFlag, VmFault } from '../fault/fault.ts'
import { handleMmFault } from '../fault/handle-mm-fault.ts'
import { load, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { pfnToPage } from '../memory/page.ts'
import { pinPage, unpinPage } from '../memory/pin.ts'
import { Pte, ptePfn, ptepGet } from '../pagetable/entries.ts'
import { findPmd } from '../pagetable/levels.ts'
import { pteOffsetMapLock, pteUnmapUnlock } from '../pagetable/pte-offset-map.ts'
import { Access } from '../pagetable/tlb.ts'
import { rcuBarrier } from '../softirq.ts'
import { vmaLookup } from '../vma/find-vma.ts'
import { mmapReadLock, mmapReadUnlock } from '../vma/mmap-lock.ts'
import { Vm, Vma } from '../vma/vma.ts'
import { enterKernel, exitKernel } from './entry.ts'

const OOM_RETRIES = 2

/** follow_page_pte with FOLL_PIN: pins the page that is mapped at `vpn`, with the right to write if asked. Returns it or 0. */
function followPage(mm: number, vpn: number, write: boolean): number {
  const pmd = findPmd(mm, vpn)
  const ptep = pmd === 0 ? 0 : pteOffsetMapLock(pmd, vpn)
  if (ptep === 0) return 0
  const ptl = load(thisCpu() + Cpu.out1)
  const pte = ptepGet(ptep)
  const want = write ? Pte.present | Pte.write : Pte.present
  const page = (pte & want) === want ? pfnToPage(ptePfn(pte)) : 0
  if (page !== 0) pinPage(page)
  pteUnmapUnlock(ptep, ptl)
  return page
}

/** One attempt under mmap_lock: a page, 0 to try again, or a fault's error bits, negated. */
function pinOnce(mm: number, vpn: number, access: number): number {
  mmapReadLock(mm)
  const vma = vmaLookup(mm, vpn)
  let result = -VmFault.sigsegvMaperr
  if (vma !== 0) {
    result = -checkAccess(vma, access)
    // A page that is still shared after fork would be left behind by the next write: unshare it first.
    const write = access === Access.write || (load(vma + Vma.flags) & (Vm.write | Vm.shared)) === Vm.write
    // Nothing counts references to a device's pages.
    if (result === 0 && (load(vma + Vma.flags) & Vm.pfnMap) !== 0) result = -VmFault.sigbus
    if (result === 0) result = followPage(mm, vpn, write)
    // Without `allowRetry` the fault keeps mmap_lock, also while it sleeps.
    if (result === 0) result = -(handleMmFault(mm, vma, vpn, write ? FaultFlag.write : 0) & VmFault.error)
  }
  mmapReadUnlock(mm)
  return result
}

/**
 * pin_user_pages of the one page `vpn`, for `access` (see `Access`). May sleep. Returns its struct page, pinned until
 * `sysUnpinUserPage`; or, negated, the `VmFault` bits of what an access would have raised; SIGBUS for device memory.
 */
export function sysPinUserPage(mm: number, vpn: number, access: number): number {
  enterKernel()
  let oom = 0
  let result = 0
  while (result === 0) {
    result = pinOnce(mm, vpn, access)
    if (result < 0 && (-result & VmFault.oom) !== 0 && oom < OOM_RETRIES) {
      // Memory may be waiting for a grace period only.
      rcuBarrier()
      oom++
      result = 0
    }
  }
  exitKernel()
  return result
}

/** unpin_user_page. */
export function sysUnpinUserPage(page: number): void {
  enterKernel()
  unpinPage(page)
  exitKernel()
}
