// Shared anonymous memory is a file that only its mappings know. Fork copies no entries of it: parent and child find its pages in
// the page cache, each by a fault of its own.
import { SHARED } from './runner/calls.ts'
import { scenario } from './scenario.ts'

/** Parent and child touch a page of shared memory that neither has touched before. */
export const sharedMemoryOfAFamily = scenario({
  name: 'shared-memory-of-a-family',
  question: 'Do parent and child get the same page of shared memory when both touch it first at the same time?',
  asked: 'field: shmem_get_folio, filemap_add_folio: whoever comes second takes the page of the first',
  cpus: 2,
  archs: ['x86_64'],
  setUp: (stage) => {
    const parent = stage.newMm([0])
    const page = stage.table(4)
    stage.now(0, parent.mmap(page, 2, SHARED))
    const child = stage.callsOn(stage.now(0, parent.fork()), [1])
    stage.now(0, parent.read(page + 1))
    stage.now(1, child.read(page + 1))
    return { calls: [[parent.write(page, 7)], [child.write(page, 8)]] }
  },
  expect: 'safe',
  variants: [
    {
      name: 'own-pages',
      wrong: 'who comes second keeps its own page, beside the one that is in the cache',
      edits: [
        {
          file: 'memory/page-cache.ts',
          from: '  let page = searchBucket(bucket, inode, index)\n  if (page === 0) {\n    page = fresh',
          to: '  let page = 0\n  if (page === 0) {\n    page = fresh',
        },
      ],
      unsafe: /no order of the calls|leak|map count/,
    },
    {
      name: 'bucket-not-locked',
      wrong: 'a page is put into the cache without the lock of its bucket',
      edits: [
        {
          file: 'memory/page-cache.ts',
          from: '  spinLock(bucket + Bucket.lock)\n  let page = searchBucket(bucket, inode, index)\n  if (page === 0) {\n    page = fresh',
          to: '  let page = searchBucket(bucket, inode, index)\n  if (page === 0) {\n    page = fresh',
        },
        {
          file: 'memory/page-cache.ts',
          from: '  getPage(page)\n  spinUnlock(bucket + Bucket.lock)\n  store(thisCpu()',
          to: '  getPage(page)\n  store(thisCpu()',
        },
      ],
      unsafe: /data race|leak|no order/,
    },
  ],
})
