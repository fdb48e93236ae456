// The first half of what a CPU does with deferred objects on its way out of the kernel: it asks for a grace period.
import { rcuAdvance } from '../../kernel/sync/rcu.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'

/** Enters the kernel, begins a grace period for what the CPU has deferred since the last one, and leaves. Returns what was due: 0. */
export function beginGracePeriod(): number {
  enterKernel()
  const due = rcuAdvance()
  exitKernel()
  return due
}
