// userfaultfd's missing mode: in a registered range a page that is not there is reported to the program instead of being
// zero-filled, and the program installs it (UFFDIO_COPY). Private anonymous memory only.

import { design } from '../design/design.ts'
import { writableFlags } from '../fault/anonymous.ts'
import { Errno } from '../machine/errno.ts'
import { Global } from '../machine/globals.ts'
import { load, thisCpu, writeOnce } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { addMmCounter, Rss } from '../memory/mm.ts'
import { pageToPfn } from '../memory/page.ts'
import { allocPage } from '../memory/page-alloc.ts'
import { addNewAnonRmap, putPage } from '../memory/rmap.ts'
import { pfnPte, pteNone, ptepGet, setPte } from '../pagetable/entries.ts'
import { pmdAlloc, pteAlloc } from '../pagetable/levels.ts'
import { pteOffsetMapLock, pteUnmapUnlock } from '../pagetable/pte-offset-map.ts'
import { synchronizeSrcu } from '../sync/srcu.ts'
import { anonVmaPrepare } from '../vma/anon-vma.ts'
import { vmaLookup } from '../vma/find-vma.ts'
import { mmapReadLock, mmapReadUnlock, mmapWriteLock, mmapWriteUnlock } from '../vma/mmap-lock.ts'
import { vmaModifyFlags } from '../vma/split.ts'
import { linearPageIndex, Vm, Vma, vmaIsAnonymous } from '../vma/vma.ts'
import { enterKernel, exitKernel } from './entry.ts'

/**
 * UFFDIO_REGISTER (`on` 1) and UFFDIO_UNREGISTER (0) of `pages` pages from page `start`. Returns 0; -EINVAL, nothing changed,
 * where something else than private anonymous memory is; -ENOMEM where a VMA cannot be split (what lies before is changed).
 */
export function sysUserfaultRegister(mm: number, start: number, pages: number, on: number): number {
  enterKernel()
  mmapWriteLock(mm)
  const result = allAnonymous(mm, start, start + pages) ? setUserfault(mm, start, start + pages, on) : -Errno.EINVAL
  // No entry changes, so that nothing else makes us wait for a fault that has looked at its VMA already.
  if (on !== 0 && design.faultsUnderSrcu === true) synchronizeSrcu(Global.srcuDomain)
  mmapWriteUnlock(mm)
  exitKernel()
  return result
}

function allAnonymous(mm: number, start: number, end: number): boolean {
  let at = start
  while (at < end) {
    const vma = vmaLookup(mm, at)
    if (vma === 0 || !vmaIsAnonymous(vma)) return false
    at = load(vma + Vma.end)
  }
  return true
}

function setUserfault(mm: number, start: number, end: number, on: number): number {
  let at = start
  while (at < end) {
    const vma = vmaLookup(mm, at)
    const old = load(vma + Vma.flags)
    const flags = on !== 0 ? old | Vm.userfault : old & ~Vm.userfault
    const stop = Math.min(load(vma + Vma.end), end)
    if (flags !== old) {
      const target = vmaModifyFlags(mm, vma, at, stop, flags)
      if (target < 0) return target
      writeOnce(target + Vma.flags, flags)
    }
    at = stop
  }
  return 0
}

/** A frame for `sysUserfaultCopy`, with junk in it: the caller fills it and gives it back there. Returns 0 without memory. */
export function sysGetFreePage(): number {
  enterKernel()
  const page = allocPage(0)
  exitKernel()
  return page
}

/**
 * UFFDIO_COPY: maps `page`, which the caller has filled, at page `vpn`, and takes over its reference in any case. Returns 0;
 * -EEXIST if a page is there; -EINVAL if the range is not registered (any more); -ENOMEM.
 */
export function sysUserfaultCopy(mm: number, vpn: number, page: number): number {
  enterKernel()
  mmapReadLock(mm)
  const result = installPage(mm, vpn, page)
  mmapReadUnlock(mm)
  if (result !== 0) putPage(page)
  exitKernel()
  return result
}

function installPage(mm: number, vpn: number, page: number): number {
  const vma = vmaLookup(mm, vpn)
  if (vma === 0 || (load(vma + Vma.flags) & Vm.userfault) === 0) return -Errno.EINVAL
  if (anonVmaPrepare(mm, vma) !== 0) return -Errno.ENOMEM
  let ptep = 0
  // Again if the table goes between allocation and lock (where Linux has the caller try again, -EAGAIN).
  while (ptep === 0) {
    const pmd = pmdAlloc(mm, vpn)
    if (pmd === 0 || pteAlloc(mm, pmd) !== 0) return -Errno.ENOMEM
    ptep = pteOffsetMapLock(pmd, vpn)
  }
  const ptl = load(thisCpu() + Cpu.out1)
  const mine = pteNone(ptepGet(ptep))
  if (mine) {
    addNewAnonRmap(page, load(vma + Vma.anonVma), linearPageIndex(vma, vpn))
    addMmCounter(mm, Rss.anon, 1)
    setPte(ptep, pfnPte(pageToPfn(page), writableFlags(load(vma + Vma.flags))))
  }
  pteUnmapUnlock(ptep, ptl)
  return mine ? 0 : -Errno.EEXIST
}
