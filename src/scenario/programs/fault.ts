// A page fault by itself, without the access that raised it.
import { design } from '../../kernel/design/design.ts'
import { Access } from '../../kernel/pagetable/tlb.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'

/** The fault of a write to page `vpn` of `mm`, which no CPU needs to have loaded. Returns what `Design.handleFault` does. */
export function faultForWrite(mm: number, vpn: number): number {
  enterKernel()
  const result = design.handleFault(mm, vpn, Access.write)
  exitKernel()
  return result
}
