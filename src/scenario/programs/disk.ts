// Looks whether a page of a file is being read from its disk.
import { filemapGetPage, pageUptodate } from '../../kernel/memory/page-cache.ts'
import { putPage } from '../../kernel/memory/rmap.ts'
import { enterKernel, exitKernel } from '../../kernel/syscall/entry.ts'

/** Returns 1 if page `index` of `inode` is in the cache and its contents are not there yet, else 0. */
export function isBeingRead(inode: number, index: number): number {
  enterKernel()
  const page = filemapGetPage(inode, index)
  const there = page === 0 || pageUptodate(page)
  if (page !== 0) putPage(page)
  exitKernel()
  return there ? 0 : 1
}
