// What designs share whose faults lock neither the mm nor a VMA: a copy of the VMA in words of the CPU, which fault handlers take
// for the VMA, and what must hold before the page is installed. The copy is worth something only if the design has made sure,
// under the page-table lock, that no writer has been at work on the VMA since it was read.
import { load, rcuDereference, readOnce, store, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { struct } from '../machine/struct.ts'
import { mpolGetNotZero, mpolPut } from '../memory/mempolicy.ts'
import { Access } from '../pagetable/tlb.ts'
import { callRcu, rcuReadLock, rcuReadUnlock } from '../sync/rcu.ts'
import { RcuFunc } from '../sync/rcu-func.ts'
import { Vm, Vma } from '../vma/vma.ts'

/**
 * The fault under way, in the CPU's `design` words. `seq`: the count (the mm's, or the VMA's) when it began; `pmdval`: the PMD entry
 * that it walked; `outcome`: why it was given up, a place of the design's counters, or 0; `original`: the VMA; `vma`: its copy.
 */
export const Speculation = struct({ seq: 1, pmdval: 1, outcome: 1, original: 1, vma: Vma.anonVma + 1 })

/** The copy that stands for the VMA in a speculative fault of this CPU. */
export function vmaCopy(): number {
  return thisCpu() + Cpu.design + Speculation.vma
}

/**
 * Copies the fields that fault handlers read. The VMA may change meanwhile: marked reads, since what they read is worth
 * something only if the sequence count says so. In a section, of RCU or SRCU, that keeps its memory.
 */
export function copyVma(vma: number): void {
  const copy = vmaCopy()
  store(copy + Vma.start, readOnce(vma + Vma.start))
  store(copy + Vma.flags, readOnce(vma + Vma.flags))
  store(copy + Vma.pgoff, readOnce(vma + Vma.pgoff))
  store(copy + Vma.anonVma, readOnce(vma + Vma.anonVma))
  store(copy + Vma.file, readOnce(vma + Vma.file))
  store(copy + Vma.policy, readOnce(vma + Vma.policy))
}

/**
 * A reference to the policy of `vma`, whose copy has been made, for a fault that goes on outside the RCU section in which it found it; in a
 * section that keeps the VMA. Returns 1, or 0 if the VMA has just lost it. The copy then has none. `dropPolicy` gives it back.
 */
export function holdPolicy(vma: number): number {
  const copy = vmaCopy()
  if (load(copy + Vma.policy) === 0) return 1
  rcuReadLock()
  // Read again: only what is found in this section is kept by it.
  const policy = rcuDereference(vma + Vma.policy)
  const held = policy === 0 ? 0 : mpolGetNotZero(policy)
  rcuReadUnlock()
  store(copy + Vma.policy, held === 0 ? 0 : policy)
  return held
}

/** Gives the reference that the copy has to a policy back. */
export function dropPolicy(): void {
  mpolPut(load(vmaCopy() + Vma.policy))
}

/**
 * Whether an access of kind `access` needs an anon_vma that the VMA has not got: one is made with a look at the neighbours, and
 * given to the VMA, not to a copy.
 */
export function lacksAnonVma(copy: number, access: number): boolean {
  return access === Access.write && (load(copy + Vma.flags) & Vm.shared) === 0 && load(copy + Vma.anonVma) === 0
}

/** Nothing of a fault outlives it: neither for the next fault of this CPU, nor for the checker, which tells states apart by it. */
export function forgetSpeculation(): void {
  const speculation = thisCpu() + Cpu.design
  for (let i = 0; i < Speculation.size; i++) store(speculation + i, 0)
}

/** Counts what became of a fault: `outcome` is a place of the design's counters. */
export function countOutcome(outcome: number): void {
  const cpu = thisCpu() + outcome
  store(cpu + Cpu.statDesign, load(cpu + Cpu.statDesign) + 1)
}

/** Frees a VMA that faults may look at under RCU: it becomes another one only after a grace period. See `Design.vmaFree`. */
export function vmaFreeDeferred(vma: number): void {
  callRcu(vma + Vma.rcuHead, RcuFunc.vma)
}
