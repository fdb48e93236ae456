// Readers under RCU and updaters of the object that a word points to. An object comes from a slab and holds its value twice;
// once freed it is poisoned, so that a reader who still holds it sees neither.
import { rcuDereference, readOnce, store, xchg } from '../../kernel/machine/instructions.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree } from '../../kernel/memory/slab.ts'
import { rcuBarrier } from '../../kernel/softirq.ts'
import { callRcu, rcuAdvance, rcuReadLock, rcuReadUnlock, synchronizeRcu } from '../../kernel/sync/rcu.ts'
import { RcuFunc } from '../../kernel/sync/rcu-func.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'
import { MapleNode } from '../../kernel/vma/maple-tree.ts'

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

/** Reads the object that `pointer` points to. Returns its value, or what a freed object holds. */
export function read(pointer: number): number {
  enterKernel()
  rcuReadLock()
  const object = rcuDereference(pointer)
  const value = readOnce(object + VALUE)
  const again = readOnce(object + AGAIN)
  rcuReadUnlock()
  exitKernel()
  return value === again ? value : -1
}

/** Puts an object with `value` in the place of the one that `pointer` points to, waits for its readers, and frees it. */
export function update(pointer: number, value: number): number {
  enterKernel()
  const old = xchg(pointer, make(value))
  synchronizeRcu()
  kmemCacheFree(Cache.mapleNode, old)
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
