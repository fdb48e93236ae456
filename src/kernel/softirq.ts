// Callbacks whose grace period is over, by the number that was given to `call_rcu`. A CPU runs its own when it leaves the
// kernel and has collected enough of them, or when somebody waits for them.

import { mightSleep, rcuInvoked } from './machine/annotations.ts'
import { Mode, setContext } from './machine/entry.ts'
import { Global } from './machine/globals.ts'
import { load, perCpu, relax, store, thisCpu } from './machine/instructions.ts'
import { Cpu } from './machine/percpu.ts'
import { tableBatchFreeRcu } from './pagetable/mmu-gather.ts'
import { tablePageFreeRcu, tablePagesFreeRcu, tableSlabFreeRcu } from './pagetable/pte-free-defer.ts'
import { bitmapFixedFreeRcu, bitmapFreeRcu } from './pagetable/pte-free-defer-bitmap.ts'
import { fragmentFreeRcu, incrementsFreeRcu } from './pagetable/pte-free-defer-drafts.ts'
import { halfFreeRcu } from './pagetable/s390-fragments.ts'
import { Level } from './pagetable/table-alloc.ts'
import { RCU_BATCH, RcuHead, rcuAdvance } from './sync/rcu.ts'
import { RcuFunc } from './sync/rcu-func.ts'
import { mapleNodeFreeRcu } from './vma/maple-store.ts'
import { vmaFreeRcu } from './vma/vma.ts'

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
  else tableSlabFreeRcu(head, func - RcuFunc.tablePmd + Level.pmd)
}

/** Calls a chain of callbacks. Returns how many. */
function rcuDoBatch(chain: number): number {
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
  const cpu = thisCpu()
  store(cpu + Cpu.rcuCallbacks, load(cpu + Cpu.rcuCallbacks) - count)
  store(cpu + Cpu.statRcuCallbacks, load(cpu + Cpu.statRcuCallbacks) + count)
  return count
}

/** raise_softirq(RCU_SOFTIRQ) on the way out of the kernel: moves the CPU's callbacks on if there are enough of them. */
export function rcuSoftirq(): void {
  if (load(thisCpu() + Cpu.rcuCallbacks) >= RCU_BATCH) rcuDoBatch(rcuAdvance())
}

/** rcu_barrier for the executing CPU: when it returns, every callback that this CPU had queued has run. May sleep. */
export function rcuBarrier(): void {
  mightSleep()
  while (load(thisCpu() + Cpu.rcuCallbacks) > 0) {
    if (rcuDoBatch(rcuAdvance()) === 0) {
      setContext(Mode.kernel)
      relax()
    }
  }
}

/** Callbacks that are queued on any CPU; exact only while none is in the kernel. */
export function rcuPending(): number {
  let pending = 0
  const cpus = load(Global.nrCpus)
  for (let i = 0; i < cpus; i++) pending += load(perCpu(i) + Cpu.rcuCallbacks)
  return pending
}
