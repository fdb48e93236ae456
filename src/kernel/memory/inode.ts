// Inodes: what a file's pages belong to. Shared anonymous memory is an inode without a disk (shmem).
import { store } from '../machine/instructions.ts'
import { struct } from '../machine/struct.ts'
import { refcountInc } from '../sync/refcount.ts'
import { Cache, kmemCacheAlloc } from './slab.ts'

/**
 * `pages`: its length in pages, beyond which an access is SIGBUS. `disk` 1: the first read of a page waits for I/O.
 * `cached`: pages in the page cache.
 */
export const Inode = struct({ refcount: 1, id: 1, pages: 1, disk: 1, cached: 1, shmem: 1 })

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
  return inode
}

/** ihold: the caller has a reference already. */
export function ihold(inode: number): void {
  refcountInc(inode + Inode.refcount)
}
