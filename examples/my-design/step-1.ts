// Step 1: a whole design that decides nothing. Every fault is done under mmap_lock, as if there were no other way.
import type { Design } from 'gracewalk/kernel/design/design.ts'
import { faultUnderMmapLock } from 'gracewalk/kernel/design/mmap-lock.ts'
import { Cache, kmemCacheFree } from 'gracewalk/kernel/memory/slab.ts'
import { pteOffsetMapLock } from 'gracewalk/kernel/pagetable/pte-offset-map.ts'
import { mmapReadUnlock } from 'gracewalk/kernel/vma/mmap-lock.ts'

function handleFault(mm: number, vpn: number, access: number): number {
  return faultUnderMmapLock(mm, vpn, access)
}

function releaseFault(mm: number, _vma: number, _flags: number): void {
  mmapReadUnlock(mm)
}

function pteMapLock(_mm: number, _vma: number, pmd: number, vpn: number): number {
  return pteOffsetMapLock(pmd, vpn)
}

function nothing(_object: number): void {}

function vmaFree(vma: number): void {
  kmemCacheFree(Cache.vma, vma)
}

export const myDesign: Design = Object.freeze({
  name: 'my-design',
  handleFault,
  releaseFault,
  pteMapLock,
  mmInit: nothing,
  mmapWriteLocked: nothing,
  mmapWriteUnlocking: nothing,
  vmaInit: nothing,
  vmaAttach: nothing,
  vmaStartWrite: nothing,
  vmaDetach: nothing,
  vmaFree,
})
