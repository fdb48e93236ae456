// A driver that keeps a page at a kernel address: it maps it, finds it again by its address, and unmaps it.
import { allocPage, freePage } from '../../kernel/memory/page-alloc.ts'
import { vmallocToPage, vmapPage, vunmapPage } from '../../kernel/pagetable/vmalloc.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'

/** Maps a fresh page at page `vpn` of `initMm` and looks it up. Returns 0, -ENOMEM, or 1 if another page was found there. */
export function mapKernelPage(initMm: number, vpn: number): number {
  enterKernel()
  const page = allocPage(0)
  let result = vmapPage(initMm, vpn, page)
  if (result === 0 && vmallocToPage(initMm, vpn) !== page) result = 1
  exitKernel()
  return result
}

/** Unmaps and frees what `mapKernelPage` has mapped. Returns 0. */
export function unmapKernelPage(initMm: number, vpn: number): number {
  enterKernel()
  freePage(vunmapPage(initMm, vpn))
  exitKernel()
  return 0
}
