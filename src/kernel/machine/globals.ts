// The machine's global variables: one structure at a fixed word, written at boot or guarded by the lock that is named.
import { MAX_SLAB_CACHES } from './percpu.ts'
import { struct } from './struct.ts'

/** Windows of 2^27 pages that an address space may use (see `arch/windows.ts`). */
export const MAX_WINDOWS = 15
/** Orders of the buddy allocator: blocks of 1 to 2^10 frames. */
export const MAX_ORDER = 11

export const SlabCache = struct({ lock: 1, objectWords: 1, headerWords: 1, kind: 1, free: 1, objects: 1, inUse: 1, pages: 1 })

const fields = struct({
  magic: 1,
  nrCpus: 1,
  archId: 1,
  geometryId: 1, // see `GeometryId`
  freeingId: 1, // how page tables are freed: see `pagetable/freeing.ts`
  fragmentMaps: 1, // whether pages of fragments have bitmaps beside them: `pagetable/fragment-maps.ts`
  headBits: 1, // which form of the head bits of s390's halves, 0 for none: `HeadBits` in `pagetable/pgtable-list.ts`
  pgtableListLock: 1, // the one lock of all lists in one of those forms
  designId: 1,
  indexId: 1, // these three: see `machine/axes.ts`
  rcuId: 1,
  tablesId: 1,
  lockStatistics: 1,
  diskLatency: 1, // microseconds
  poison: 1, // fill freed frames with junk
  // layout, in words unless said
  perCpuAreas: 1,
  pages: 1, // struct page of frame 0
  frames: 1, // first word of frame 0
  nrFrames: 1,
  rcuSnapshots: 1, // one word per CPU
  zeroPfn: 1,
  windowCount: 1,
  windows: MAX_WINDOWS, // the top bits of each window's real page numbers
  mmapBase: 1, // top-down placement starts below this page
  mmapMinPage: 1,
  maxMapCount: 1,
  taskSize: 1, // first page behind user space
  // page allocator; zoneLock
  zoneLock: 1,
  freePages: 1,
  freeHeads: MAX_ORDER,
  managedPages: 1,
  buddyOrders: 1, // one word per frame
  // RCU; rcuLock
  rcuLock: 1,
  rcuGpSeq: 1, // odd while a grace period runs
  // slab caches
  slabs: MAX_SLAB_CACHES * SlabCache.size,
  // identities
  nextMmId: 1,
  nextFileId: 1,
  pageCacheBuckets: 1,
  pageCacheMask: 1,
  srcuDomain: 13, // struct Srcu: the one domain of the machine (DEFINE_SRCU(vma_srcu))
})

/** Where the globals begin: the words below are nobody's, so that neither NULL nor a field of NULL is ever an object's. */
export const GLOBALS = 64

type Address = { readonly [K in keyof typeof fields]: number }
/** The word of each global variable. */
export const Global: Address = Object.freeze(
  Object.fromEntries(Object.entries(fields).map(([name, offset]) => [name, name === 'size' ? offset : GLOBALS + offset])),
) as Address
