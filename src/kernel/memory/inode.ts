// Inodes: what a file's pages belong to. Shared anonymous memory is an inode without a disk (shmem).
import { store } from '../machine/instructions.ts'
import { initListHead, ListHead } from '../machine/list.ts'
import { struct } from '../machine/struct.ts'
import { refcountInc } from '../sync/refcount.ts'
import { Cache, kmemCacheAlloc } from './slab.ts'

/**
 * `pages`: its length in pages, beyond which an access is SIGBUS. `disk` 1: the first read of a page waits for I/O.
 * `cached`: pages in the page cache. `device`: the struct page of the first of a device's own pages, 0 for a file; `deviceLock`, its driver's: whoever
 * maps one of them, and the driver who takes them away, which changes `pages`. `iMmap`: the VMAs of a device; see `vma/i-mmap.ts`.
 */
export const Inode = struct({
  refcount: 1,
  id: 1,
  pages: 1,
  disk: 1,
  cached: 1,
  shmem: 1,
  device: 1,
  deviceLock: 1,
  iMmapLock: 1,
  iMmap: ListHead.size,
})

/** Creates an inode of `pages` pages with one reference. Returns 0 without memory. */
export function inodeCreate(pages: number, disk: number, shmem: number, id: number): number {
  const inode = kmemCacheAlloc(Cache.inode)
  if (inode === 0) return 0
  store(inode + Inode.refcount, 1)
  store(inode + Inode.id, id)
  store(inode + Inode.pages, pages)
  store(inode + Inode.disk, disk)
  store(inode + Inode.cached, 0)
  store(inode + Inode.shmem, shmem)
  store(inode + Inode.device, 0)
  store(inode + Inode.deviceLock, 0)
  store(inode + Inode.iMmapLock, 0)
  initListHead(inode + Inode.iMmap)
  return inode
}

/** ihold: the caller has a reference already. */
export function ihold(inode: number): void {
  refcountInc(inode + Inode.refcount)
}
