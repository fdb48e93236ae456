// Callbacks whose grace period is over, by the number that was given to `call_rcu`. A CPU runs its own when it leaves the
// kernel and has collected enough of them, or when somebody waits for them.

import { mightSleep, rcuInvoked } from './machine/annotations.ts'
import { Mode, setContext } from './machine/entry.ts'
import { Global } from './machine/globals.ts'
import { load, perCpu, readOnce, relax, store, thisCpu, writeOnce } from './machine/instructions.ts'
import { Cpu } from './machine/percpu.ts'
import { mempolicyFreeRcu } from './memory/mempolicy.ts'
import { tableBatchFreeRcu } from './pagetable/mmu-gather.ts'
import { tablePageFreeRcu, tablePagesFreeRcu, tableSlabFreeRcu } from './pagetable/pte-free-defer.ts'
import { bitmapFixedFreeRcu, bitmapFreeRcu } from './pagetable/pte-free-defer-bitmap.ts'
import { fragmentFreeRcu, incrementsFreeRcu } from './pagetable/pte-free-defer-drafts.ts'
import { halfFreeRcu } from './pagetable/s390-fragments.ts'
import { headBitsFreeRcu } from './pagetable/s390-head-bits.ts'
import { Level } from './pagetable/table-alloc.ts'
import { RCU_BATCH, RcuHead, rcuAdvance } from './sync/rcu.ts'
import { RcuFunc } from './sync/rcu-func.ts'
import { spinTrylock, spinUnlock } from './sync/spinlock.ts'
import { Srcu, srcuAdvance } from './sync/srcu.ts'
import { mapleNodeFreeRcu } from './vma/maple-store.ts'
import { vmaAndFileFree, vmaFreeRcu } from './vma/vma.ts'

function invoke(head: number, func: number): void {
  if (func === RcuFunc.mapleNode) mapleNodeFreeRcu(head)
  else if (func === RcuFunc.tableBatch) tableBatchFreeRcu(head)
  else if (func === RcuFunc.vma) vmaFreeRcu(head)
  else if (func === RcuFunc.tablePage) tablePageFreeRcu(head)
  else if (func === RcuFunc.tableFragment) fragmentFreeRcu(head)
  else if (func === RcuFunc.tableIncrements) incrementsFreeRcu(head)
  else if (func === RcuFunc.tableBitmap) bitmapFreeRcu(head)
  else if (func === RcuFunc.tableBitmapFixed) bitmapFixedFreeRcu(head)
  else if (func === RcuFunc.tablePages) tablePagesFreeRcu(head)
  else if (func === RcuFunc.tableHalf) halfFreeRcu(head)
  else if (func === RcuFunc.tableLowHalf) headBitsFreeRcu(head, 0)
  else if (func === RcuFunc.tableHighHalf) headBitsFreeRcu(head, 1)
  else if (func === RcuFunc.vmaAndFile) vmaAndFileFree(head)
  else if (func === RcuFunc.mempolicy) mempolicyFreeRcu(head)
  else tableSlabFreeRcu(head, func - RcuFunc.tablePmd + Level.pmd)
}

/** Calls a chain of callbacks. Returns how many. */
function invokeChain(chain: number): number {
  let count = 0
  let head = chain
  while (head !== 0) {
    const next = load(head + RcuHead.next)
    const func = load(head + RcuHead.func)
    rcuInvoked(head)
    invoke(head, func)
    head = next
    count++
  }
  return count
}

/** Calls a chain of this CPU's RCU callbacks. Returns how many. */
function rcuDoBatch(chain: number): number {
  const count = invokeChain(chain)
  const cpu = thisCpu()
  store(cpu + Cpu.rcuCallbacks, load(cpu + Cpu.rcuCallbacks) - count)
  store(cpu + Cpu.statRcuCallbacks, load(cpu + Cpu.statRcuCallbacks) + count)
  return count
}

/** raise_softirq(RCU_SOFTIRQ) on the way out of the kernel: moves the CPU's callbacks on if there are enough of them. */
export function rcuSoftirq(): void {
  if (load(thisCpu() + Cpu.rcuCallbacks) >= RCU_BATCH) rcuDoBatch(rcuAdvance())
  if (load(thisCpu() + Cpu.srcuCallbacks) >= RCU_BATCH) srcuSoftirq(Global.srcuDomain)
}

/**
 * srcu_invoke_callbacks: makes a step of the domain's grace period and calls what is due, by whomever it was queued. One CPU at a
 * time, so that callbacks end in the order in which they were queued; they must not sleep. Returns how many it called.
 */
function srcuDoBatch(domain: number): number {
  if (spinTrylock(domain + Srcu.runLock) === 0) return 0
  const count = invokeChain(srcuAdvance(domain))
  if (count !== 0) writeOnce(domain + Srcu.invoked, (load(domain + Srcu.invoked) + count) | 0)
  spinUnlock(domain + Srcu.runLock)
  return count
}

function srcuSoftirq(domain: number): void {
  const queued = readOnce(domain + Srcu.queued)
  if (srcuDoBatch(domain) !== 0 || readOnce(domain + Srcu.invoked) === queued) store(thisCpu() + Cpu.srcuCallbacks, 0)
}

/**
 * srcu_barrier: when it returns, every callback that anybody had given to `call_srcu` on `domain` has run. May sleep; not inside
 * a reader of `domain`, nor with a lock held that one may wait for.
 */
function srcuBarrier(domain: number): void {
  const queued = readOnce(domain + Srcu.queued)
  while (((readOnce(domain + Srcu.invoked) - queued) | 0) < 0) {
    if (srcuDoBatch(domain) === 0) {
      setContext(Mode.kernel)
      relax()
    }
  }
}

/**
 * rcu_barrier for the executing CPU: when it returns, every callback that this CPU had queued has run, and those of the SRCU domain
 * of VMAs with them. May sleep; in no reader of either.
 */
export function rcuBarrier(): void {
  mightSleep()
  while (load(thisCpu() + Cpu.rcuCallbacks) > 0) {
    if (rcuDoBatch(rcuAdvance()) === 0) {
      setContext(Mode.kernel)
      relax()
    }
  }
  srcuBarrier(Global.srcuDomain)
}

/**
 * Whether `rcuBarrier` has anything to wait for: who finds no memory may find some then. Exact for callbacks of the executing CPU; of
 * those of the SRCU domain some may just have been queued or run.
 */
export function rcuBarrierPending(): boolean {
  if (load(thisCpu() + Cpu.rcuCallbacks) > 0) return true
  return readOnce(Global.srcuDomain + Srcu.queued) !== readOnce(Global.srcuDomain + Srcu.invoked)
}

/** Callbacks that are queued on any CPU; exact only while none is in the kernel. */
export function rcuPending(): number {
  let pending = 0
  const cpus = load(Global.nrCpus)
  for (let i = 0; i < cpus; i++) pending += load(perCpu(i) + Cpu.rcuCallbacks)
  return pending
}
