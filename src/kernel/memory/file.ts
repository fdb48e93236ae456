// struct file: one opening of an inode. VMAs of different openings never merge, although they map the same pages.
import { load, smpStoreRelease, store } from '../machine/instructions.ts'
import { struct } from '../machine/struct.ts'
import { refcountDecAndTest, refcountInc, refcountIncNotZero } from '../sync/refcount.ts'
import { deviceDestroy, isDevice } from './device.ts'
import { Inode, ihold, inodeCreate } from './inode.ts'
import { removeFromCache } from './page-cache.ts'
import { putPage } from './rmap.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree } from './slab.ts'

/** `refcount`: one for each VMA that maps it, and for whoever opened it. */
export const File = struct({ refcount: 1, inode: 1 })

/** Opens `inode` (taking a reference to it). Returns the file with one reference, or 0 without memory. */
export function fileOpen(inode: number): number {
  const file = kmemCacheAlloc(Cache.file)
  if (file === 0) return 0
  ihold(inode)
  store(file + File.inode, inode)
  // From here on whoever found this memory when it was another file may get a reference.
  smpStoreRelease(file + File.refcount, 1)
  return file
}

/** shmem_file_setup: a file of `pages` pages of memory, of which the caller has the only reference; or 0. */
export function shmemFileSetup(pages: number, id: number): number {
  const inode = inodeCreate(pages, 0, 1, id)
  if (inode === 0) return 0
  const file = fileOpen(inode)
  iput(inode)
  return file
}

/** The inode of a file. */
export function fileInode(file: number): number {
  return load(file + File.inode)
}

/** get_file. */
export function getFile(file: number): void {
  refcountInc(file + File.refcount)
}

/**
 * get_file_rcu: a reference to a file that may be on its way out, or be another by now, in an RCU section: memory of files is
 * type-safe. Returns 1, or 0 if it has gone.
 */
export function getFileNotZero(file: number): number {
  return refcountIncNotZero(file + File.refcount)
}

/** fput. */
export function putFile(file: number): void {
  if (refcountDecAndTest(file + File.refcount) === 0) return
  const inode = load(file + File.inode)
  kmemCacheFree(Cache.file, file)
  iput(inode)
}

/** iput: the last reference empties the inode's page cache and frees it. */
export function iput(inode: number): void {
  if (refcountDecAndTest(inode + Inode.refcount) === 0) return
  if (isDevice(inode)) {
    deviceDestroy(inode)
    return
  }
  let left = load(inode + Inode.cached)
  for (let index = 0; left > 0 && index < load(inode + Inode.pages); index++) {
    const page = removeFromCache(inode, index)
    if (page === 0) continue
    putPage(page)
    left--
  }
  kmemCacheFree(Cache.inode, inode)
}
