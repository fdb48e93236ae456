// Device memory: pages that a driver owns. They are mapped without being counted (VM_PFNMAP): no mapping has a reference to them, none of
// them is in the page cache, and whoever unmaps one must leave it alone. The driver takes them back when it likes (`syscall/device.ts`).
import { PAGE_WORDS } from '../arch/arch.ts'
import { load, store, writeOnce, zeroPage } from '../machine/instructions.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { Inode, inodeCreate } from './inode.ts'
import { Page, PageFlag, pageToVirt } from './page.ts'
import { allocPages, freePages } from './page-alloc.ts'
import { Cache, kmemCacheFree } from './slab.ts'

/** The inode of a device of 2^`order` pages of memory, zeroed, with one reference; or 0 without memory. */
export function deviceCreate(order: number, id: number): number {
  const pages = allocPages(order, PageFlag.reserved | PageFlag.uptodate)
  if (pages === 0) return 0
  const inode = inodeCreate(1 << order, 0, 0, id)
  if (inode === 0) {
    freePages(pages, order)
    return 0
  }
  store(inode + Inode.device, pages)
  for (let i = 0; i < 1 << order; i++) {
    const page = pages + i * Page.size
    store(page + Page.mapping, inode)
    store(page + Page.index, i)
    zeroPage(pageToVirt(page), PAGE_WORDS)
  }
  return inode
}

/** Whether `inode` is a device's: its mappings are VM_PFNMAP. */
export function isDevice(inode: number): boolean {
  return load(inode + Inode.device) !== 0
}

/** From here on nobody maps a page of the device. Returns how many it had, which the caller unmaps and gives to `deviceFreePages`. */
export function deviceClose(inode: number): number {
  spinLock(inode + Inode.deviceLock)
  const pages = load(inode + Inode.pages)
  writeOnce(inode + Inode.pages, 0)
  spinUnlock(inode + Inode.deviceLock)
  return pages
}

/** The device's `count` pages go back to the page allocator. Nobody has them mapped. */
export function deviceFreePages(inode: number, count: number): void {
  if (count !== 0) freePages(load(inode + Inode.device), 31 - Math.clz32(count))
}

/** The device's last reference is gone, and with it every mapping. */
export function deviceDestroy(inode: number): void {
  deviceFreePages(inode, load(inode + Inode.pages))
  kmemCacheFree(Cache.inode, inode)
}
