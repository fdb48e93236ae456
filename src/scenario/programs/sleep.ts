// Calls that wait in the kernel and then read under RCU what somebody else replaces and frees: a CPU that waits holds no grace
// period up, and one that has waited does.
import { design } from '../../kernel/design/design.ts'
import { rcuDereference, readOnce, store, xchg } from '../../kernel/machine/instructions.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree } from '../../kernel/memory/slab.ts'
import { rcuBarrier } from '../../kernel/softirq.ts'
import { callRcu, rcuReadLock, rcuReadUnlock, synchronizeRcu } from '../../kernel/sync/rcu.ts'
import { RcuFunc } from '../../kernel/sync/rcu-func.ts'
import { downRead, downWrite, upRead, upWrite } from '../../kernel/sync/rwsem.ts'
import { srcuReadLock, srcuReadUnlock, synchronizeSrcu } from '../../kernel/sync/srcu.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'
import { vmaLookup } from '../../kernel/vma/find-vma.ts'
import { MapleNode } from '../../kernel/vma/maple-tree.ts'
import { mmapWriteLock, mmapWriteUnlock } from '../../kernel/vma/mmap-lock.ts'

/** Objects are maple nodes; these two words hold the value. */
const VALUE = MapleNode.slot
const AGAIN = MapleNode.slot + 1

/** Makes an object with `value`. */
export function make(value: number): number {
  const object = kmemCacheAlloc(Cache.mapleNode)
  store(object + VALUE, value)
  store(object + AGAIN, value)
  return object
}

/** Frees the object that `pointer` points to. Nobody reads it any more. */
export function dispose(pointer: number): number {
  kmemCacheFree(Cache.mapleNode, readOnce(pointer))
  return 0
}

function readInside(pointer: number): number {
  rcuReadLock()
  const object = rcuDereference(pointer)
  const value = readOnce(object + VALUE)
  const again = readOnce(object + AGAIN)
  rcuReadUnlock()
  return value === again ? value : -1
}

function updateInside(pointer: number, value: number): void {
  const old = xchg(pointer, make(value))
  synchronizeRcu()
  kmemCacheFree(Cache.mapleNode, old)
}

/** Replaces the object, waits for its readers, and frees it. */
export function update(pointer: number, value: number): number {
  enterKernel()
  updateInside(pointer, value)
  exitKernel()
  return value
}

/** Waits for the semaphore, then reads the object. Returns its value, or -1 if it was freed meanwhile. */
export function readWithSemaphore(sem: number, pointer: number): number {
  enterKernel()
  downRead(sem)
  const value = readInside(pointer)
  upRead(sem)
  exitKernel()
  return value
}

/** Updates the object twice, the first time with the semaphore held: whoever sleeps for it must not be waited for. */
export function updateWithAndWithoutSemaphore(sem: number, pointer: number, value: number): number {
  enterKernel()
  downWrite(sem)
  updateInside(pointer, value)
  upWrite(sem)
  updateInside(pointer, value + 1)
  exitKernel()
  return value + 1
}

/** Waits for the readers of an SRCU domain, then reads the object. */
export function readAfterSrcu(domain: number, pointer: number): number {
  enterKernel()
  synchronizeSrcu(domain)
  const value = readInside(pointer)
  exitKernel()
  return value
}

/** Updates the object as a reader of an SRCU domain: whoever waits for that reader must not be waited for. */
export function updateAsSrcuReader(domain: number, pointer: number, value: number): number {
  enterKernel()
  const bank = srcuReadLock(domain)
  updateInside(pointer, value)
  srcuReadUnlock(domain, bank)
  exitKernel()
  return value
}

/** Has an object of its own freed by a callback and waits for that, then reads the object. */
export function readAfterBarrier(pointer: number): number {
  enterKernel()
  callRcu(make(0) + MapleNode.rcuHead, RcuFunc.mapleNode)
  rcuBarrier()
  const value = readInside(pointer)
  exitKernel()
  return value
}

/** Waits for the readers of the VMA of page `vpn`, as whoever is going to change it, then reads the object. */
export function readAfterVmaWrite(mm: number, vpn: number, pointer: number): number {
  enterKernel()
  mmapWriteLock(mm)
  design.vmaStartWrite(vmaLookup(mm, vpn))
  const value = readInside(pointer)
  mmapWriteUnlock(mm)
  exitKernel()
  return value
}
