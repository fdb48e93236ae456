// What page-fault handlers and locking designs say to each other: flags of a fault, its results, and the access check.
import { load } from '../machine/instructions.ts'
import { Access } from '../pagetable/tlb.ts'
import { Vm, Vma } from '../vma/vma.ts'

/**
 * Flags of a fault. `vmaLock`: only the VMA is locked, its neighbours may change. `allowRetry`: may give up to sleep. `mayDropRcu`:
 * the fault is in one RCU section, which an allocation that has to wait may leave for that time (see `allocFaultPage`). `retryNowait`
 * (FAULT_FLAG_RETRY_NOWAIT): where a file's page has to be waited for, the fault gives up at once and releases nothing.
 */
export const FaultFlag = Object.freeze({ write: 1, exec: 2, vmaLock: 4, allowRetry: 8, tried: 16, mayDropRcu: 32, retryNowait: 64 })

/**
 * Results of a fault. With `retry` whatever the design held has been released (`design.releaseFault`), unless the fault was given
 * `retryNowait`. `userfault`: the page is
 * missing in a range that the program fills itself. `rcuDropped`: the RCU section of the fault was left for a while, so that nothing
 * that was looked up in it counts any more; the CPU is in another one.
 */
export const VmFault = Object.freeze({
  sigsegvMaperr: 1,
  sigsegvAccerr: 2,
  sigbus: 4,
  oom: 8,
  retry: 16,
  major: 32,
  userfault: 64,
  rcuDropped: 128,
  error: 79,
})

/** The fault flags of an access of kind `access`. */
export function accessFlags(access: number): number {
  return access === Access.write ? FaultFlag.write : access === Access.exec ? FaultFlag.exec : 0
}

/** access_error: 0 if the VMA allows the access, else `VmFault.sigsegvAccerr`. The VMA's flags must be stable. */
export function checkAccess(vma: number, access: number): number {
  const flags = load(vma + Vma.flags)
  if (access === Access.write) return (flags & Vm.write) !== 0 ? 0 : VmFault.sigsegvAccerr
  if (access === Access.exec) return (flags & Vm.exec) !== 0 ? 0 : VmFault.sigsegvAccerr
  // Write-only and execute-only mappings are readable: their entries are present and the hardware has no separate right.
  return (flags & (Vm.read | Vm.write | Vm.exec)) !== 0 ? 0 : VmFault.sigsegvAccerr
}
