// A walker that takes the lock of a page table with interrupts off all the while.
import { irqRestore, irqSave, load, thisCpu } from '../../kernel/machine/instructions.ts'
import { Cpu } from '../../kernel/machine/percpu.ts'
import { ptePresent, ptepGet } from '../../kernel/pagetable/entries.ts'
import { findPmd } from '../../kernel/pagetable/levels.ts'
import { pteOffsetMapLock, pteUnmapUnlock } from '../../kernel/pagetable/pte-offset-map.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'

/** Whether page `vpn` of `mm`, whose upper tables somebody keeps, is present: 1 or 0. */
export function isPresent(mm: number, vpn: number): number {
  enterKernel()
  let present = 0
  irqSave()
  const ptep = pteOffsetMapLock(findPmd(mm, vpn), vpn)
  if (ptep !== 0) {
    const ptl = load(thisCpu() + Cpu.out1)
    present = ptePresent(ptepGet(ptep)) ? 1 : 0
    pteUnmapUnlock(ptep, ptl)
  }
  irqRestore()
  exitKernel()
  return present
}
