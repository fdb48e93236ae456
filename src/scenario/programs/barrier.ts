// Waiting until what the calling CPU deferred has been freed, as anything in the kernel may at any time.
import { Cache, kmemCacheAlloc } from '../../kernel/memory/slab.ts'
import { rcuBarrier } from '../../kernel/softirq.ts'
import { callRcu, RCU_BATCH } from '../../kernel/sync/rcu.ts'
import { RcuFunc } from '../../kernel/sync/rcu-func.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'
import { MapleNode } from '../../kernel/vma/maple-tree.ts'

/** Enters the kernel, waits for a grace period and the CPU's callbacks, and leaves. */
export function waitForCallbacks(): number {
  enterKernel()
  rcuBarrier()
  exitKernel()
  return 0
}

/**
 * Queues so many callbacks that one more is enough of them: from then on the CPU moves its callbacks on whenever it leaves the kernel,
 * until they have run: something that is deferred is freed without anybody who waits, after further visits of the kernel (`visit`).
 */
export function almostABatch(): number {
  enterKernel()
  for (let i = 1; i < RCU_BATCH; i++) callRcu(kmemCacheAlloc(Cache.mapleNode) + MapleNode.rcuHead, RcuFunc.mapleNode)
  exitKernel()
  return 0
}

/** Enters the kernel and leaves it. */
export function visit(): number {
  enterKernel()
  exitKernel()
  return 0
}
