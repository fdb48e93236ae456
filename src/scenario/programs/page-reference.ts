// Who has a reference to a page that is mapped, as readahead, reclaim or migration have one for a while.
import { load, thisCpu } from '../../kernel/machine/instructions.ts'
import { Cpu } from '../../kernel/machine/percpu.ts'
import { pfnToPage } from '../../kernel/memory/page.ts'
import { getPage, putPage } from '../../kernel/memory/rmap.ts'
import { ptePfn, ptepGet } from '../../kernel/pagetable/entries.ts'
import { findPmd } from '../../kernel/pagetable/levels.ts'
import { pteOffsetMapLock, pteUnmapUnlock } from '../../kernel/pagetable/pte-offset-map.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'

/** Takes a reference to the page that is mapped at page `vpn`. Returns its struct page. */
export function holdPage(mm: number, vpn: number): number {
  enterKernel()
  const ptep = pteOffsetMapLock(findPmd(mm, vpn), vpn)
  const ptl = load(thisCpu() + Cpu.out1)
  const page = pfnToPage(ptePfn(ptepGet(ptep)))
  getPage(page)
  pteUnmapUnlock(ptep, ptl)
  exitKernel()
  return page
}

/** Gives the reference to `page` back. */
export function letGo(page: number): number {
  enterKernel()
  putPage(page)
  exitKernel()
  return 0
}
