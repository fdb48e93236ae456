// Memory policies: from which part of memory the private pages of a mapping come. A machine has one zone, whose two halves stand for two
// nodes. A policy is shared by all VMAs that it was given to, and by those that were split off or copied from them; it never changes.
import { load, readOnce, store } from '../machine/instructions.ts'
import { struct } from '../machine/struct.ts'
import { callRcu, RcuHead } from '../sync/rcu.ts'
import { RcuFunc } from '../sync/rcu-func.ts'
import { refcountDecAndTest, refcountInc, refcountIncNotZero } from '../sync/refcount.ts'
import { allocPageNode } from './page-alloc.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree } from './slab.ts'

/** `refcnt`: one for each VMA that has it, and for whoever looks longer than an RCU section. `node`: written before it is published. */
export const Mempolicy = struct({ refcnt: 1, node: 1, rcuHead: RcuHead.size })

/** Modes of mbind; the values are Linux's MPOL_. */
export const Mpol = Object.freeze({ default: 0, preferred: 1 })

/** Nodes of a machine. */
export const NODES = 2

/** mpol_new: a policy that prefers `node`, with one reference. Returns 0 without memory. */
export function mpolNew(node: number): number {
  const policy = kmemCacheAlloc(Cache.mempolicy)
  if (policy === 0) return 0
  store(policy + Mempolicy.refcnt, 1)
  store(policy + Mempolicy.node, node)
  return policy
}

/** mpol_equal: both ask for the same; 0 is no policy. The caller has references, or holds what keeps them. */
export function mpolEqual(a: number, b: number): boolean {
  if (a === b) return true
  return a !== 0 && b !== 0 && load(a + Mempolicy.node) === load(b + Mempolicy.node)
}

/** mpol_get: one reference more to a policy to which there is one, or to none (0). */
export function mpolGet(policy: number): void {
  if (policy !== 0) refcountInc(policy + Mempolicy.refcnt)
}

/** A reference to a policy that may be on its way out, in an RCU section that found it. Returns 1, or 0 if it is. */
export function mpolGetNotZero(policy: number): number {
  return refcountIncNotZero(policy + Mempolicy.refcnt)
}

/**
 * mpol_put, also of none (0). The last one frees it, after a grace period: faults that hold no lock look at the policy of a VMA that may
 * be getting another (CVE-2026-23415: it was freed at once).
 */
export function mpolPut(policy: number): void {
  if (policy !== 0 && refcountDecAndTest(policy + Mempolicy.refcnt) !== 0) callRcu(policy + Mempolicy.rcuHead, RcuFunc.mempolicy)
}

/** RCU callback of a policy. */
export function mempolicyFreeRcu(head: number): void {
  kmemCacheFree(Cache.mempolicy, head - Mempolicy.rcuHead)
}

/** alloc_pages_mpol: a frame as `policy` would have it if there is one. The caller's reference, lock or RCU section keeps the policy. */
export function allocPageMpol(policy: number): number {
  return allocPageNode(0, readOnce(policy + Mempolicy.node))
}
