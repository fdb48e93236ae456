// Readers under RCU and updaters of the object that a word points to. An object comes from a slab and holds its value twice;
// once freed it is poisoned, so that a reader who still holds it sees neither.
import { design } from '../../kernel/design/design.ts'
import { Global } from '../../kernel/machine/globals.ts'
import { irqRestore, irqSave, rcuDereference, readOnce, store, thisCpu, xchg } from '../../kernel/machine/instructions.ts'
import { Cpu } from '../../kernel/machine/percpu.ts'
import { filemapAddPage, filemapGetPage, readPage, waitOnPageLocked } from '../../kernel/memory/page-cache.ts'
import { putPage } from '../../kernel/memory/rmap.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree } from '../../kernel/memory/slab.ts'
import { rcuBarrier } from '../../kernel/softirq.ts'
import { callRcu, RCU_BATCH, rcuAdvance, rcuReadLock, rcuReadUnlock, synchronizeRcu } from '../../kernel/sync/rcu.ts'
import { RcuFunc } from '../../kernel/sync/rcu-func.ts'
import { downRead, downWrite, upRead, upWrite } from '../../kernel/sync/rwsem.ts'
import { callSrcu, srcuReadLock, srcuReadUnlock, synchronizeSrcu } from '../../kernel/sync/srcu.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'
import { vmaLookup } from '../../kernel/vma/find-vma.ts'
import { MapleNode } from '../../kernel/vma/maple-tree.ts'
import { mmapWriteLock, mmapWriteUnlock } from '../../kernel/vma/mmap-lock.ts'

/** Objects are maple nodes, for whose deferred freeing the kernel has a callback; these two words hold the value. */
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

/** Reads the object that `pointer` points to, in the kernel. Returns its value, or -1 if it was freed meanwhile. */
function readInside(pointer: number): number {
  rcuReadLock()
  const object = rcuDereference(pointer)
  const value = readOnce(object + VALUE)
  const again = readOnce(object + AGAIN)
  rcuReadUnlock()
  return value === again ? value : -1
}

/** Reads the object that `pointer` points to. Returns its value, or what a freed object holds. */
export function read(pointer: number): number {
  enterKernel()
  const value = readInside(pointer)
  exitKernel()
  return value
}

/** The same with a section inside the section, which ends before the second look. */
export function readNested(pointer: number): number {
  enterKernel()
  rcuReadLock()
  const object = rcuDereference(pointer)
  rcuReadLock()
  const value = readOnce(object + VALUE)
  rcuReadUnlock()
  const again = readOnce(object + AGAIN)
  rcuReadUnlock()
  exitKernel()
  return value === again ? value : -1
}

/** The same with interrupts off instead of a section; with `nested`, there is a section inside that ends before the second look. */
export function readIrqOff(pointer: number, nested: number): number {
  enterKernel()
  irqSave()
  const object = rcuDereference(pointer)
  if (nested !== 0) rcuReadLock()
  const value = readOnce(object + VALUE)
  if (nested !== 0) rcuReadUnlock()
  const again = readOnce(object + AGAIN)
  irqRestore()
  exitKernel()
  return value === again ? value : -1
}

/** The same with nothing around it: whoever does that relies on not being preempted in the kernel. */
export function readBare(pointer: number): number {
  enterKernel()
  const object = rcuDereference(pointer)
  const value = readOnce(object + VALUE)
  const again = readOnce(object + AGAIN)
  exitKernel()
  return value === again ? value : -1
}

/** In the kernel from here on, and in a section, until `leaveSection`: a grace period that begins meanwhile is held up. */
export function enterSection(): number {
  enterKernel()
  rcuReadLock()
  return 0
}

/** Ends what `enterSection` began. */
export function leaveSection(): number {
  rcuReadUnlock()
  exitKernel()
  return 0
}

function updateInside(pointer: number, value: number): void {
  const old = xchg(pointer, make(value))
  synchronizeRcu()
  kmemCacheFree(Cache.mapleNode, old)
}

/** Puts an object with `value` in the place of the one that `pointer` points to, waits for its readers, and frees it. */
export function update(pointer: number, value: number): number {
  enterKernel()
  updateInside(pointer, value)
  exitKernel()
  return value
}

/** The same, but has it freed by a callback. */
export function updateDeferred(pointer: number, value: number): number {
  enterKernel()
  callRcu(xchg(pointer, make(value)) + MapleNode.rcuHead, RcuFunc.mapleNode)
  exitKernel()
  return value
}

/** Puts objects with `value` and `value` + 1 there, one after the other, has both old ones freed by callbacks, and waits for these. */
export function updateTwice(pointer: number, value: number): number {
  enterKernel()
  callRcu(xchg(pointer, make(value)) + MapleNode.rcuHead, RcuFunc.mapleNode)
  callRcu(xchg(pointer, make(value + 1)) + MapleNode.rcuHead, RcuFunc.mapleNode)
  rcuBarrier()
  exitKernel()
  return value + 1
}

/** Begins a grace period for an object of its own, and leaves it running if another CPU is in the kernel. */
export function beginPeriod(): number {
  enterKernel()
  callRcu(make(0) + MapleNode.rcuHead, RcuFunc.mapleNode)
  const done = rcuAdvance()
  exitKernel()
  return done
}

// --- calls that wait in the kernel before they read: a CPU that waits holds no grace period up, and one that has waited does ---

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

/** Waits for a page of a file that somebody is about to have read, then reads the object. */
export function readAfterPage(inode: number, pointer: number): number {
  enterKernel()
  const page = filemapGetPage(inode, 0)
  waitOnPageLocked(page)
  const value = readInside(pointer)
  putPage(page)
  exitKernel()
  return value
}

/** Puts a page of a file into the cache, locked: `updateAndReadPage` reads it. Returns it. */
export function addLockedPage(inode: number): number {
  enterKernel()
  const page = filemapAddPage(inode, 0)
  exitKernel()
  return page
}

/** Updates the object before the locked page is read, and again after: whoever waits for that page must not be waited for. */
export function updateAndReadPage(inode: number, page: number, pointer: number, value: number): number {
  enterKernel()
  updateInside(pointer, value)
  readPage(inode, page)
  putPage(page)
  updateInside(pointer, value + 1)
  exitKernel()
  return value + 1
}

/** Has an object of its own freed by a callback of the machine's SRCU domain, and waits for that. */
export function waitForSrcuCallback(): number {
  enterKernel()
  callSrcu(Global.srcuDomain, make(0) + MapleNode.rcuHead, RcuFunc.mapleNode)
  rcuBarrier()
  exitKernel()
  return 0
}

/** Updates the object as a reader of the machine's SRCU domain: whoever waits for callbacks of the domain must not be waited for. */
export function updateInSrcuDomain(pointer: number, value: number): number {
  return updateAsSrcuReader(Global.srcuDomain, pointer, value)
}

/** Reads the object as a reader of the machine's SRCU domain. */
export function readInSrcuDomain(pointer: number): number {
  enterKernel()
  const bank = srcuReadLock(Global.srcuDomain)
  const object = rcuDereference(pointer)
  const value = readOnce(object + VALUE)
  const again = readOnce(object + AGAIN)
  srcuReadUnlock(Global.srcuDomain, bank)
  exitKernel()
  return value === again ? value : -1
}

/** Queues a callback in the machine's SRCU domain, as the last of a batch: from now on the CPU runs them when it leaves the kernel. */
export function deferLastOfABatch(): number {
  enterKernel()
  callSrcu(Global.srcuDomain, make(0) + MapleNode.rcuHead, RcuFunc.mapleNode)
  store(thisCpu() + Cpu.srcuCallbacks, RCU_BATCH)
  exitKernel()
  return 0
}
