// What a driver does with the memory of its device.
import { deviceClose, deviceFreePages } from '../memory/device.ts'
import { unmapMapping } from '../vma/i-mmap.ts'
import { enterKernel, exitKernel } from './entry.ts'

/**
 * The driver takes the pages of the device `inode` back from all who have them mapped, and gives them to the page allocator: later accesses
 * are SIGBUS. The caller has a reference to the inode. Returns 0.
 */
export function sysDeviceRevoke(inode: number): number {
  enterKernel()
  const pages = deviceClose(inode)
  unmapMapping(inode)
  deviceFreePages(inode, pages)
  exitKernel()
  return 0
}
