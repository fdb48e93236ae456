// Waiting until what the calling CPU deferred has been freed, as anything in the kernel may at any time.
import { rcuBarrier } from '../../kernel/softirq.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'

/** Enters the kernel, waits for a grace period and the CPU's callbacks, and leaves. */
export function waitForCallbacks(): number {
  enterKernel()
  rcuBarrier()
  exitKernel()
  return 0
}
