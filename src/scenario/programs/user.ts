// User code: one access to one page.
import { userLoad, userStore } from '../../kernel/fault/user-access.ts'
import { load, thisCpu } from '../../kernel/machine/instructions.ts'
import { Cpu } from '../../kernel/machine/percpu.ts'

/** Reads word 0 of page `vpn`. Returns its value (0 or more), or the `VmFault` bits of the signal, negated. */
export function readPage(vpn: number): number {
  const failed = userLoad(vpn, 0)
  return failed !== 0 ? failed : load(thisCpu() + Cpu.out0)
}

/** Writes `value` into word 0 of page `vpn`. Returns 0, or the `VmFault` bits of the signal, negated. */
export function writePage(vpn: number, value: number): number {
  return userStore(vpn, 0, value)
}
