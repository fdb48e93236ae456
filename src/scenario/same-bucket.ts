// Pages of different files lie in one bucket of the page cache: who takes his out must not disturb who looks for another one.
import { Global } from '../kernel/machine/globals.ts'
import { Page } from '../kernel/memory/page.ts'
import { SHARED } from './runner/calls.ts'
import { cachedFrame, pageOf } from './runner/space-lines.ts'
import { scenario } from './scenario.ts'

/** Pages of the larger file: more than there are buckets on a small machine. */
const MANY = 40

/** The first word of the bucket in whose list struct page `page` is. */
function bucketOf(words: Int32Array, page: number): number {
  const first = words[Global.pageCacheBuckets] as number
  for (let bucket = first; bucket <= first + 2 * (words[Global.pageCacheMask] as number); bucket += 2) {
    for (let at = words[bucket + 1] as number; at !== 0; at = words[at + Page.next] as number) if (at === page) return bucket
  }
  return 0
}

/** CPU 0 faults on a page that is in the cache; CPU 1 unmaps the last mapping of a file that has a page in the same bucket. */
export const sameBucket = scenario({
  name: 'same-bucket',
  question: 'May a file leave the page cache while a page of another one is looked for in the same bucket?',
  asked: 'field: filemap_remove_folio under the lock of the mapping; here a lock for each bucket of a hash table',
  cpus: 2,
  archs: ['x86_64'],
  designs: ['vma-lock'],
  setUp: (stage) => {
    const mm = stage.newMm()
    const { words } = stage.machine
    const pages = stage.table(4)
    const single = stage.table(16)
    const large = stage.file(MANY)
    const small = stage.file(1)
    stage.now(0, mm.mmap(single, 1, SHARED, small))
    stage.now(0, mm.read(single))
    const bucket = bucketOf(words, pageOf(words, cachedFrame(words, small.inode, 0)))
    stage.now(1, mm.mmap(pages, MANY, SHARED, large))
    stage.now(1, large.close)
    // What comes later lies in front.
    let page = pages
    while (stage.now(1, mm.read(page)) === 0 && bucketOf(words, pageOf(words, cachedFrame(words, large.inode, page - pages))) !== bucket)
      page++
    stage.now(1, mm.munmap(pages + 1, MANY - 1))
    // Keeps both tables.
    for (const one of [single, pages]) {
      stage.now(1, mm.mmap(one + 1, 1))
      stage.now(1, mm.read(one + 1))
    }
    stage.now(0, mm.dontneed(single, 1))
    return { calls: [[mm.read(single)], [mm.munmap(pages, 1)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'taken-out-unlocked',
      wrong: 'a page is taken out of the cache without the lock of its bucket',
      edits: [
        {
          file: 'memory/page-cache.ts',
          from: '  spinLock(bucket + Bucket.lock)\n  const page = searchBucket(bucket, inode, index)\n  if (page !== 0) {\n    let link',
          to: '  const page = searchBucket(bucket, inode, index)\n  if (page !== 0) {\n    let link',
        },
        {
          file: 'memory/page-cache.ts',
          from: '    store(page + Page.mapping, 0)\n  }\n  spinUnlock(bucket + Bucket.lock)\n',
          to: '    store(page + Page.mapping, 0)\n  }\n',
        },
      ],
      unsafe: /data race|is not ordered with/,
    },
    {
      name: 'looked-for-unlocked',
      wrong: 'a page is looked for in the cache without the lock of its bucket',
      edits: [
        {
          file: 'memory/page-cache.ts',
          from: '  spinLock(bucket + Bucket.lock)\n  const page = searchBucket(bucket, inode, index)\n  if (page !== 0) getPage(page)\n  spinUnlock(bucket + Bucket.lock)\n',
          to: '  const page = searchBucket(bucket, inode, index)\n  if (page !== 0) getPage(page)\n',
        },
      ],
      unsafe: /data race|is not ordered with/,
    },
  ],
})
