// A design with the mistake of CVE-2018-17182: each CPU remembers the VMA of its last fault, and the mm's number at that time.
// Every VMA that goes changes the number, which is too narrow: it comes round (there after 2^32 times, here after two).
import type { Design } from 'gracewalk/kernel/design/design.ts'
import { accessFlags, checkAccess, FaultFlag, VmFault } from 'gracewalk/kernel/fault/fault.ts'
import { handleMmFault } from 'gracewalk/kernel/fault/handle-mm-fault.ts'
import { load, store, thisCpu } from 'gracewalk/kernel/machine/instructions.ts'
import { Cpu } from 'gracewalk/kernel/machine/percpu.ts'
import { Mm } from 'gracewalk/kernel/memory/mm.ts'
import { Cache, kmemCacheFree } from 'gracewalk/kernel/memory/slab.ts'
import { pteOffsetMapLock } from 'gracewalk/kernel/pagetable/pte-offset-map.ts'
import { vmaLookup } from 'gracewalk/kernel/vma/find-vma.ts'
import { mmapReadLock, mmapReadUnlock } from 'gracewalk/kernel/vma/mmap-lock.ts'
import { Vma } from 'gracewalk/kernel/vma/vma.ts'

const CACHED_MM = Cpu.design
const CACHED_VMA = Cpu.design + 1
const CACHED_SEQ = Cpu.design + 2
/** In the mm: how often a VMA went. */
const SEQ = Mm.mmLockSeq
/** The bits of a number. */
const WIDTH = 1

const COUNTERS = Object.freeze(['hit', 'miss'])

function count(i: number): void {
  const at = thisCpu() + Cpu.statDesign + i
  store(at, load(at) + 1)
}

function find(mm: number, vpn: number): number {
  const cpu = thisCpu()
  if (load(cpu + CACHED_MM) === mm && load(cpu + CACHED_SEQ) === load(mm + SEQ)) {
    const vma = load(cpu + CACHED_VMA)
    if (vma !== 0 && vpn >= load(vma + Vma.start) && vpn < load(vma + Vma.end)) {
      count(0)
      return vma
    }
  }
  count(1)
  const vma = vmaLookup(mm, vpn)
  store(cpu + CACHED_MM, mm)
  store(cpu + CACHED_VMA, vma)
  store(cpu + CACHED_SEQ, load(mm + SEQ))
  return vma
}

function handleFault(mm: number, vpn: number, access: number): number {
  for (let tries = 0; ; tries++) {
    mmapReadLock(mm)
    const vma = find(mm, vpn)
    let result = vma === 0 ? VmFault.sigsegvMaperr : checkAccess(vma, access)
    if (result === 0) result = handleMmFault(mm, vma, vpn, accessFlags(access) | (tries === 0 ? FaultFlag.allowRetry : 0))
    if ((result & VmFault.retry) !== 0) continue
    mmapReadUnlock(mm)
    return result
  }
}

function releaseFault(mm: number, _vma: number, _flags: number): void {
  mmapReadUnlock(mm)
}

function pteMapLock(_mm: number, _vma: number, pmd: number, vpn: number): number {
  return pteOffsetMapLock(pmd, vpn)
}

function mmInit(mm: number): void {
  store(mm + SEQ, 0)
}

function nothing(_object: number): void {}

function vmaDetach(vma: number): void {
  const mm = load(vma + Vma.mm)
  store(mm + SEQ, (load(mm + SEQ) + 1) & WIDTH)
}

function vmaFree(vma: number): void {
  kmemCacheFree(Cache.vma, vma)
}

export const narrowCache: Design = Object.freeze({
  name: 'narrow-cache',
  counters: COUNTERS,
  handleFault,
  releaseFault,
  pteMapLock,
  mmInit,
  mmapWriteLocked: nothing,
  mmapWriteUnlocking: nothing,
  vmaInit: nothing,
  vmaAttach: nothing,
  vmaStartWrite: nothing,
  vmaDetach,
  vmaFree,
})
