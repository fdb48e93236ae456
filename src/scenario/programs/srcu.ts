// Readers under SRCU and updaters of the object that a word points to. A freed object is poisoned, so that a reader who still
// holds it sees neither value.
import { rcuInvoked } from '../../kernel/machine/annotations.ts'
import { load, rcuDereference, readOnce, store, xchg } from '../../kernel/machine/instructions.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree } from '../../kernel/memory/slab.ts'
import { RcuHead } from '../../kernel/sync/rcu.ts'
import { RcuFunc } from '../../kernel/sync/rcu-func.ts'
import { callSrcu, Srcu, srcuAdvance, srcuReadLock, srcuReadUnlock, synchronizeSrcu } from '../../kernel/sync/srcu.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'
import { MapleNode } from '../../kernel/vma/maple-tree.ts'

const VALUE = MapleNode.slot

/** Makes a domain of zero words at `domain`, with its counters at `counters`. */
export function makeDomain(domain: number, counters: number): number {
  store(domain + Srcu.counters, counters)
  return domain
}

/** Makes an object with `value`. */
export function make(value: number): number {
  const object = kmemCacheAlloc(Cache.mapleNode)
  store(object + VALUE, value)
  return object
}

/** Frees the object that `pointer` points to. Nobody reads it any more. */
export function dispose(pointer: number): number {
  kmemCacheFree(Cache.mapleNode, readOnce(pointer))
  return 0
}

/** Reads the object that `pointer` points to. Returns its value, or what a freed object holds. */
export function read(domain: number, pointer: number): number {
  const bank = srcuReadLock(domain)
  const value = readOnce(rcuDereference(pointer) + VALUE)
  srcuReadUnlock(domain, bank)
  return value
}

/** Comes and goes as a reader. */
export function pass(domain: number): number {
  srcuReadUnlock(domain, srcuReadLock(domain))
  return 0
}

/** Puts an object with `value` in the place of the one that `pointer` points to, waits for its readers, and frees it. */
export function update(domain: number, pointer: number, value: number): number {
  enterKernel()
  const old = xchg(pointer, make(value))
  synchronizeSrcu(domain)
  kmemCacheFree(Cache.mapleNode, old)
  exitKernel()
  return value
}

/** Makes a step of the domain's grace period, as the work behind call_srcu does. */
export function advance(domain: number): number {
  return srcuAdvance(domain)
}

/** Puts an object with `value` in the place of the one that `pointer` points to, and has that one freed when its readers have gone. */
export function updateDeferred(domain: number, pointer: number, value: number): number {
  enterKernel()
  callSrcu(domain, xchg(pointer, make(value)) + MapleNode.rcuHead, RcuFunc.mapleNode)
  exitKernel()
  return value
}

/** Makes `steps` steps of the domain's grace periods and frees what is due, by whomever it was queued. Returns how many objects. */
export function freeDeferred(domain: number, steps: number): number {
  enterKernel()
  let freed = 0
  for (let i = 0; i < steps; i++) {
    let head = srcuAdvance(domain)
    while (head !== 0) {
      const next = load(head + RcuHead.next)
      rcuInvoked(head)
      kmemCacheFree(Cache.mapleNode, head - MapleNode.rcuHead)
      head = next
      freed++
    }
  }
  exitKernel()
  return freed
}
