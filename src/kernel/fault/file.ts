// Faults on file mappings: through the page cache, over a disk that may be slow. A fault that has to wait for the disk
// gives up what it holds first and is repeated (VM_FAULT_RETRY), so that nobody stalls behind its I/O.
import { design } from '../design/design.ts'
import { atomicOr, load, readOnce, store, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { fileInode, getFile, putFile } from '../memory/file.ts'
import { Inode } from '../memory/inode.ts'
import { addMmCounter } from '../memory/mm.ts'
import { copyLivePage, Page, PageFlag, pageToPfn, pageToVirt } from '../memory/page.ts'
import { filemapAddPage, filemapGetPage, inodeRss, pageUptodate, readPage, waitOnPageLocked } from '../memory/page-cache.ts'
import { dupRmap, putPage } from '../memory/rmap.ts'
import { pfnPte, pteNone, ptepGet, setPte } from '../pagetable/entries.ts'
import { pteUnmapUnlock } from '../pagetable/pte-offset-map.ts'
import { linearPageIndex, Vm, Vma } from '../vma/vma.ts'
import { allocFaultPage } from './alloc-page.ts'
import { installAnonPage, pteFlags, vmfAnonPrepare, writableFlags } from './anonymous.ts'
import { FaultFlag, VmFault } from './fault.ts'
import { doPfnFault } from './pfn.ts'

/** do_fault: the entry was none and the VMA maps a file. Returns bits of `VmFault`. */
export function doFileFault(mm: number, vma: number, vpn: number, pmd: number, flags: number): number {
  const vmFlags = load(vma + Vma.flags)
  if ((vmFlags & Vm.pfnMap) !== 0) return doPfnFault(mm, vma, vpn, pmd, flags)
  const file = load(vma + Vma.file)
  const inode = fileInode(file)
  const index = linearPageIndex(vma, vpn)
  const privateWrite = (flags & FaultFlag.write) !== 0 && (vmFlags & Vm.shared) === 0
  if (privateWrite) {
    const prepared = vmfAnonPrepare(mm, vma, flags)
    if (prepared !== 0) return prepared
  }
  if (index < 0 || index >= readOnce(inode + Inode.pages)) return VmFault.sigbus
  let page = filemapGetPage(inode, index)
  let result = 0
  if (page === 0 || !pageUptodate(page)) {
    const nowait = (flags & FaultFlag.retryNowait) !== 0
    const fetched = nowait ? fetchPageNowait(inode, index, page) : fetchPage(mm, vma, file, index, page, flags)
    if (fetched <= 0) return -fetched
    page = fetched
    result = VmFault.major
  }
  return result | (privateWrite ? installCopy(mm, vma, vpn, pmd, page, flags) : installShared(mm, vma, vpn, pmd, page, flags))
}

/**
 * Brings the page into the cache: `page` is what is there, being read by somebody else, or 0. Returns the page, up to date
 * and with a reference; or a result of the fault, negated, when it is over (retry, out of memory).
 */
function fetchPage(mm: number, vma: number, file: number, index: number, page: number, flags: number): number {
  const inode = fileInode(file)
  const slow = load(inode + Inode.disk) !== 0 || page !== 0
  const mayDrop = slow && (flags & FaultFlag.allowRetry) !== 0 && (flags & FaultFlag.tried) === 0
  // From here on the VMA may go, the file with it: the page, or this reference, keeps what we use.
  getFile(file)
  if (mayDrop) design.releaseFault(mm, vma, flags)
  store(thisCpu() + Cpu.statMajorFaults, load(thisCpu() + Cpu.statMajorFaults) + 1)
  let got = page
  let mine = false
  if (got === 0) {
    got = filemapAddPage(inode, index)
    mine = load(thisCpu() + Cpu.out0) !== 0
  }
  if (got !== 0 && !pageUptodate(got)) {
    if (mine) readPage(inode, got)
    else waitOnPageLocked(got)
  }
  let answer = got
  if (got === 0) answer = mayDrop ? -VmFault.retry : -VmFault.oom
  else if (mayDrop) {
    putPage(got)
    answer = -(VmFault.retry | VmFault.major)
  }
  putFile(file)
  return answer
}

/**
 * `fetchPage` for a fault that must not sleep: makes a page of a file without a disk, which needs only be zeroed, unless somebody else
 * is about to. Contract otherwise the same; `VmFault.retry` says that the page has to be waited for.
 */
function fetchPageNowait(inode: number, index: number, page: number): number {
  let got = page
  if (got === 0) {
    if (load(inode + Inode.disk) !== 0) return -VmFault.retry
    got = filemapAddPage(inode, index)
    if (got === 0) return -VmFault.oom
    if (load(thisCpu() + Cpu.out0) !== 0) {
      store(thisCpu() + Cpu.statMajorFaults, load(thisCpu() + Cpu.statMajorFaults) + 1)
      readPage(inode, got)
      return got
    }
  }
  if (pageUptodate(got)) return got
  putPage(got)
  return -VmFault.retry
}

/** do_cow_fault: a private write gets its own copy of the file's page at once. Takes over the reference to `page`. */
function installCopy(mm: number, vma: number, vpn: number, pmd: number, page: number, flags: number): number {
  const copy = allocFaultPage(vma, flags)
  if (copy < 0) {
    putPage(page)
    return -copy
  }
  // Others may write to the file through shared mappings.
  copyLivePage(pageToVirt(copy), pageToVirt(page))
  putPage(page)
  return installAnonPage(mm, vma, vpn, pmd, copy)
}

/** do_read_fault and do_shared_fault: maps the file's own page. Takes over the reference to `page`. */
function installShared(mm: number, vma: number, vpn: number, pmd: number, page: number, flags: number): number {
  const vmFlags = load(vma + Vma.flags)
  const ptep = design.pteMapLock(mm, vma, pmd, vpn)
  if (ptep === 0) {
    putPage(page)
    return 0
  }
  const ptl = load(thisCpu() + Cpu.out1)
  const mine = pteNone(ptepGet(ptep))
  if (mine) {
    const writes = (flags & FaultFlag.write) !== 0
    if (writes) atomicOr(page + Page.flags, PageFlag.dirty)
    dupRmap(page)
    addMmCounter(mm, inodeRss(load(page + Page.mapping)), 1)
    setPte(ptep, pfnPte(pageToPfn(page), writes ? writableFlags(vmFlags) : pteFlags(vmFlags)))
  }
  pteUnmapUnlock(ptep, ptl)
  if (!mine) putPage(page)
  return 0
}
