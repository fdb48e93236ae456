// The page cache: pages of files by file and page offset, in a hash table with a lock per bucket. A page in the cache has
// one reference from it. Shared anonymous memory is a file without a disk (shmem).
import { PAGE_WORDS } from '../arch/arch.ts'
import { mightSleep } from '../machine/annotations.ts'
import { Mode, setContext } from '../machine/entry.ts'
import { Global } from '../machine/globals.ts'
import { atomicAnd, atomicOr, blockOnIo, futexWait, futexWake, load, readOnce, store, thisCpu, zeroPage } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { struct } from '../machine/struct.ts'
import { refcountInc } from '../sync/refcount.ts'
import { spinLock, spinUnlock } from '../sync/spinlock.ts'
import { Inode } from './inode.ts'
import { Rss } from './mm.ts'
import { Page, PageFlag, pageToVirt } from './page.ts'
import { allocPage } from './page-alloc.ts'
import { getPage, putPage } from './rmap.ts'

const Bucket = struct({ lock: 1, head: 1 })

/** Words of the table of buckets for `buckets` buckets. */
export function pageCacheWords(buckets: number): number {
  return buckets * Bucket.size
}

/** The rss counter that pages of `inode` count for. */
export function inodeRss(inode: number): number {
  return load(inode + Inode.shmem) !== 0 ? Rss.shmem : Rss.file
}

function bucketOf(inode: number, index: number): number {
  const hash = Math.imul(inode ^ Math.imul(index, 0x9e3779b1), 0x85ebca6b)
  return load(Global.pageCacheBuckets) + ((hash >>> 12) & load(Global.pageCacheMask)) * Bucket.size
}

function searchBucket(bucket: number, inode: number, index: number): number {
  let page = load(bucket + Bucket.head)
  while (page !== 0 && (load(page + Page.mapping) !== inode || load(page + Page.index) !== index)) page = load(page + Page.next)
  return page
}

/** filemap_get_folio: the page of `inode` at page offset `index` with a reference for the caller, or 0. */
export function filemapGetPage(inode: number, index: number): number {
  const bucket = bucketOf(inode, index)
  spinLock(bucket + Bucket.lock)
  const page = searchBucket(bucket, inode, index)
  if (page !== 0) getPage(page)
  spinUnlock(bucket + Bucket.lock)
  return page
}

/**
 * filemap_add_folio: puts a fresh page, locked and not yet up to date, into the cache unless there is one already.
 * Returns the page that is there now, with a reference for the caller, or 0 without memory; whether it is the fresh one
 * (1, which the caller must then read) goes to the CPU's `out0`.
 */
export function filemapAddPage(inode: number, index: number): number {
  const fresh = allocPage(PageFlag.locked)
  store(thisCpu() + Cpu.out0, 0)
  if (fresh === 0) return 0
  store(fresh + Page.mapping, inode)
  store(fresh + Page.index, index)
  const bucket = bucketOf(inode, index)
  spinLock(bucket + Bucket.lock)
  let page = searchBucket(bucket, inode, index)
  if (page === 0) {
    page = fresh
    store(page + Page.next, load(bucket + Bucket.head))
    store(bucket + Bucket.head, page)
    refcountInc(inode + Inode.cached)
  }
  getPage(page)
  spinUnlock(bucket + Bucket.lock)
  store(thisCpu() + Cpu.out0, page === fresh ? 1 : 0)
  if (page !== fresh) {
    store(fresh + Page.mapping, 0)
    putPage(fresh)
  }
  return page
}

/** Takes the page at `index` out of the cache, which no file maps any more. Returns it with the cache's reference, or 0. */
export function removeFromCache(inode: number, index: number): number {
  const bucket = bucketOf(inode, index)
  spinLock(bucket + Bucket.lock)
  const page = searchBucket(bucket, inode, index)
  if (page !== 0) {
    let link = bucket + Bucket.head
    while (load(link) !== page) link = load(link) + Page.next
    store(link, load(page + Page.next))
    store(page + Page.mapping, 0)
  }
  spinUnlock(bucket + Bucket.lock)
  return page
}

/** Whether the page's contents are there. */
export function pageUptodate(page: number): boolean {
  return (readOnce(page + Page.flags) & PageFlag.uptodate) !== 0
}

/**
 * Reads the page from its file's disk, or zeroes it if there is none: the caller added it to the cache, so it is locked by the
 * caller. May sleep, for a disk alone.
 */
export function readPage(inode: number, page: number): void {
  const frame = pageToVirt(page)
  zeroPage(frame, PAGE_WORDS)
  if (load(inode + Inode.disk) !== 0) {
    mightSleep()
    setContext(Mode.outside)
    blockOnIo(load(Global.diskLatency))
    setContext(Mode.kernel)
    store(frame, fileStamp(load(inode + Inode.id), load(page + Page.index)))
  }
  unlockPage(page, PageFlag.uptodate)
}

/** What the first word of an unwritten page of a disk file holds: never 0, and different for each page of each file. */
export function fileStamp(id: number, index: number): number {
  return Math.imul(id + 1, 0x01000193) ^ (Math.imul(index + 1, 0x9e3779b1) | 1)
}

function unlockPage(page: number, set: number): void {
  atomicOr(page + Page.flags, set)
  const old = atomicAnd(page + Page.flags, ~(PageFlag.locked | PageFlag.waiters))
  if ((old & PageFlag.waiters) !== 0) futexWake(page + Page.flags, 0x7fffffff)
}

/** folio_wait_locked: sleeps until the page's reader is done. The caller has a reference and no lock that a fault needs. */
export function waitOnPageLocked(page: number): void {
  mightSleep()
  for (;;) {
    const flags = atomicOr(page + Page.flags, PageFlag.waiters)
    if ((flags & PageFlag.locked) === 0) {
      atomicAnd(page + Page.flags, ~PageFlag.waiters)
      return
    }
    setContext(Mode.outside)
    futexWait(page + Page.flags, flags | PageFlag.waiters)
    setContext(Mode.kernel)
  }
}
