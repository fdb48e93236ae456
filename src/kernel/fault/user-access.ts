// One access of user code to one page: TLB, hardware walk, page fault, again. While `beginAccess` has succeeded and
// `endAccess` was not yet called the CPU is in user mode, the frame is the page's, and whoever takes it away waits.
import { design } from '../design/design.ts'
import { Mode, setContext } from '../machine/entry.ts'
import { load, readOnce, store, thisCpu, writeOnce } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { Access, enterUser, hardwareWalk, tlbLookup } from '../pagetable/tlb.ts'
import { rcuBarrier, rcuSoftirq } from '../softirq.ts'
import { VmFault } from './fault.ts'

/** Attempts to free deferred memory before a fault without memory is final. */
const OOM_RETRIES = 2

/**
 * Begins an access of kind `access` (see `Access`) to page `vpn` of the CPU's current mm. The CPU is outside the kernel.
 * Returns the first word of the page's frame, with the CPU in user mode until `endAccess`; or, negated, the `VmFault` bits of
 * the signal that the access raises (SIGSEGV, SIGBUS, or out of memory), with the CPU outside.
 */
export function beginAccess(vpn: number, access: number): number {
  let oom = 0
  for (;;) {
    enterUser()
    let frame = tlbLookup(vpn, access)
    if (frame !== 0) return frame
    const mm = load(thisCpu() + Cpu.currentMm)
    frame = hardwareWalk(mm, vpn, access)
    if (frame !== 0) return frame
    setContext(Mode.kernel)
    const cpu = thisCpu()
    store(cpu + Cpu.statFaults, load(cpu + Cpu.statFaults) + 1)
    let result = design.handleFault(mm, vpn, access)
    if ((result & VmFault.oom) !== 0 && oom < OOM_RETRIES) {
      // Memory may be waiting for a grace period only.
      rcuBarrier()
      oom++
      result = 0
    }
    rcuSoftirq()
    if ((result & VmFault.error) !== 0) {
      setContext(Mode.outside)
      store(thisCpu() + Cpu.faultAddress, vpn)
      return -(result & VmFault.error)
    }
  }
}

/** Ends the access that `beginAccess` began. */
export function endAccess(): void {
  setContext(Mode.outside)
}

/**
 * A whole access: reads word `word` (from 0) of page `vpn`. Returns 0, the value in the CPU's `out0`; or as `beginAccess` the
 * negated `VmFault` bits. Contract otherwise as `beginAccess`.
 */
export function userLoad(vpn: number, word: number): number {
  const frame = beginAccess(vpn, Access.read)
  if (frame < 0) return frame
  const value = readOnce(frame + word)
  endAccess()
  store(thisCpu() + Cpu.out0, value)
  return 0
}

/** A whole access: writes `value` into word `word` of page `vpn`. Returns 0, or as `beginAccess` the negated `VmFault` bits. */
export function userStore(vpn: number, word: number, value: number): number {
  const frame = beginAccess(vpn, Access.write)
  if (frame < 0) return frame
  writeOnce(frame + word, value)
  endAccess()
  return 0
}
