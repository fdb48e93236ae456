// The page that a fault on private memory needs. Taking a frame never sleeps here; a fault that holds locks goes without one, and
// memory is waited for after it has let go (`beginAccess`). One form of fault may wait inside: by leaving its RCU section.
import { load, store, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { allocPageMpol } from '../memory/mempolicy.ts'
import { allocPage } from '../memory/page-alloc.ts'
import { putPage } from '../memory/rmap.ts'
import { rcuBarrier } from '../softirq.ts'
import { rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'
import { Vma } from '../vma/vma.ts'
import { FaultFlag, VmFault } from './fault.ts'

/**
 * Allocates the page of a fault on `vma` that was given `flags`, as the VMA's policy says; nothing is mapped or spinlocked. What keeps
 * the VMA for the fault keeps its policy (see `holdPolicy` for faults on a copy). Does not sleep, but with
 * `FaultFlag.mayDropRcu`. Returns the page with a reference of one; or the fault's result, negated: without memory `VmFault.oom`;
 * where the RCU section was left, `VmFault.rcuDropped`.
 */
export function allocFaultPage(vma: number, flags: number): number {
  const policy = load(vma + Vma.policy)
  if ((flags & FaultFlag.mayDropRcu) !== 0) return allocAndTell(policy)
  const page = allocWithPolicy(policy)
  return page === 0 ? -VmFault.oom : page
}

/** alloc_pages_mpol for a policy or none (0). */
function allocWithPolicy(policy: number): number {
  return policy === 0 ? allocPage(0) : allocPageMpol(policy)
}

function allocAndTell(policy: number): number {
  const page = allocPageDroppingRcu(policy)
  if (page === 0) return -VmFault.oom
  // What the fault has found may be gone. The page is given back: the next attempt finds it in the CPU's list.
  if (load(thisCpu() + Cpu.out0) !== 0) {
    putPage(page)
    return -VmFault.rcuDropped
  }
  return page
}

/**
 * The allocation that thread 003 thinks of and dismisses: in an RCU section (one, not nested), which it leaves if it has to wait for
 * memory, and enters another. Returns the page or 0; whether it has done so (1, else 0) goes to the CPU's `out0`. May sleep.
 */
function allocPageDroppingRcu(policy: number): number {
  let page = allocWithPolicy(policy)
  let dropped = 0
  if (page === 0) {
    rcuReadUnlock()
    // What there is to wait for: memory that this CPU has freed and that a grace period keeps.
    rcuBarrier()
    rcuReadLock()
    dropped = 1
    // The policy may be gone by now.
    page = allocPage(0)
  }
  store(thisCpu() + Cpu.out0, dropped)
  return page
}
