// The way into the kernel and out of it, around every system call and every fault.
import { Mode, setContext } from '../machine/entry.ts'
import { rcuSoftirq } from '../softirq.ts'

/** The executing CPU enters the kernel from outside. */
export function enterKernel(): void {
  setContext(Mode.kernel)
}

/** It leaves: deferred work that is due is done first; from then on it stalls nobody. */
export function exitKernel(): void {
  rcuSoftirq()
  setContext(Mode.outside)
}
