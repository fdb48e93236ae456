// What was allocated: page frames, tables and slab objects, each with a generation that every allocation and every freeing
// raises, and who did it where. An execution changes few of them, so that beginning the next one costs what it changed.
// A table that is less than a page and announced by itself (a half of s390) is an object inside the page's, for as long as the page
// is what it is: whatever else becomes of the page, its halves are no more.
import { Op } from '../../compile/stepped/ops.ts'
import { Kind } from '../../kernel/machine/annotations.ts'
import { Global, SlabCache } from '../../kernel/machine/globals.ts'
import { MAX_SLAB_CACHES } from '../../kernel/machine/percpu.ts'
import { PAGE_STRUCT_SHIFT } from '../../kernel/memory/page.ts'
import { Cache } from '../../kernel/memory/slab.ts'
import { createUndo, forgetUndo, momentOf, noteOld, takeBack } from '../undo.ts'
import type { RelatedEvent } from '../violation.ts'
import { sizesOf } from './address-space.ts'
import { type Detector, hex, type Scene } from './scene.ts'

/** Fields of an object, as a row of numbers. `state`: 0 never allocated, 1 in use, 2 free. */
const Field = Object.freeze({
  state: 0,
  generation: 1,
  kind: 2,
  cache: 3,
  allocAgent: 4,
  allocSite: 5,
  allocEvent: 6,
  freeAgent: 7,
  freeSite: 8,
  freeEvent: 9,
})
const FIELDS = 10

/** States of an object. */
export const State = Object.freeze({ never: 0, used: 1, free: 2 })

const CACHES: readonly string[] = Object.entries(Cache)
  .sort(([, a], [, b]) => a - b)
  .map(([name]) => name)
const CACHE_NAMES: Readonly<Record<string, string>> = {
  mm: 'mm_struct',
  vma: 'VMA',
  mapleNode: 'maple node',
  anonVma: 'anon_vma',
  anonVmaChain: 'anon_vma_chain',
  gatherBatch: 'mmu_gather batch',
  tablePmd: 'PMD table',
  tablePud: 'PUD table',
  tablePgd: 'PGD table',
}

/** Told when an object has been allocated (`fresh`) or freed; `before` is its state until then. */
export type ObjectWatcher = (object: number, agent: number, fresh: boolean, before: number, site: number) => void

/** All objects, by number. 0 is none. */
export interface Objects extends Detector {
  /** One more than the highest number. */
  count: number
  readonly watchers: ObjectWatcher[]
  /** For each place whether it is the allocators' own code, which handles free objects by right. */
  isAllocator(site: number): boolean
  /** The object in which word `p` lies, or 0. */
  at(p: number): number
  /** The page in which `object` is a part that is announced by itself, or 0. */
  pageOf(object: number): number
  /** The object whose frame `page` is the struct page of, or 0. */
  ofStructPage(page: number): number
  ofFrame(pfn: number): number
  first(object: number): number
  words(object: number): number
  state(object: number): number
  generation(object: number): number
  kind(object: number): number
  /** The slab cache (see `Cache`), or -1. */
  cache(object: number): number
  isTable(object: number): boolean
  name(object: number): string
  allocation(object: number): RelatedEvent
  freeing(object: number): RelatedEvent
  /** Whether the object has been allocated since `snapshot`. */
  isNew(object: number): boolean
}

/** Follows allocations. */
export function createObjects(scene: Scene): Objects {
  const { words, frames, nrFrames, pages, sites } = scene
  const pageShift = nrFrames > 0 ? sizesOf(words).pageShift - 2 : 0
  const owner = new Int32Array(words.length)
  let capacity = nrFrames + 1 + 1024
  let rows: Int32Array = new Int32Array(capacity * FIELDS)
  let saved = new Int32Array(0)
  let start: Int32Array = new Int32Array(capacity)
  let length: Int32Array = new Int32Array(capacity)
  const ownersUndo = createUndo()
  const rowsUndo = createUndo()
  let savedCount = 0
  let lastLoad = 0
  let allocator = new Uint8Array(0)
  const get = (object: number, field: number): number => rows[object * FIELDS + field] as number
  const grow = (): void => {
    capacity *= 2
    const copy = (to: Int32Array, from: Int32Array): Int32Array => {
      to.set(from)
      return to
    }
    rows = copy(new Int32Array(capacity * FIELDS), rows)
    start = copy(new Int32Array(capacity), start)
    length = copy(new Int32Array(capacity), length)
  }
  for (let pfn = 0; pfn < nrFrames; pfn++) {
    start[pfn + 1] = frames + (pfn << pageShift)
    length[pfn + 1] = 1 << pageShift
  }
  const put = (at: number, value: number): void => {
    noteOld(rowsUndo, at, rows[at] as number)
    rows[at] = value
  }
  const isPart = (object: number): boolean => get(object, Field.kind) === Kind.tablePart
  /** The parts of a page that changes hands are no more; their generations stay, so that who comes later has another one. */
  const dissolve = (page: number): void => {
    const behind = (start[page] as number) + (length[page] as number)
    // The first part begins with the page, or there is none.
    for (let p = start[page] as number; p < behind && isPart(owner[p] as number); p += length[owner[p] as number] as number) {
      put((owner[p] as number) * FIELDS + Field.state, State.never)
    }
  }
  /** The number of the object of `count` words at `p`, new if nobody has seen it before. */
  const objectAt = (p: number, count: number, kind: number): number => {
    if (nrFrames > 0 && p >= frames && (kind === Kind.page || kind === Kind.table)) return 1 + ((p - frames) >> pageShift)
    const known = owner[p] as number
    if (known !== 0 && start[known] === p) return known
    if (objects.count === capacity) grow()
    const object = objects.count++
    start[object] = p
    length[object] = count
    rows.fill(0, object * FIELDS, object * FIELDS + FIELDS)
    for (let at = p; at < p + count; at++) noteOld(ownersUndo, at, owner[at] as number)
    owner.fill(object, p, p + count)
    return object
  }
  const cacheLoaded = (): number => {
    const offset = lastLoad - Global.slabs
    const cache = Math.floor(offset / SlabCache.size)
    return offset >= 0 && cache < MAX_SLAB_CACHES && offset % SlabCache.size === SlabCache.kind ? cache : -1
  }
  const set = (object: number, agent: number, kind: number, site: number, fresh: boolean): void => {
    const before = get(object, Field.state)
    const at = object * FIELDS
    put(at + Field.state, fresh ? State.used : State.free)
    put(at + Field.generation, (rows[at + Field.generation] as number) + 1)
    put(at + Field.kind, kind)
    const who = at + (fresh ? Field.allocAgent : Field.freeAgent)
    put(who, agent)
    put(who + 1, site)
    put(who + 2, scene.event)
    for (const watcher of objects.watchers) watcher(object, agent, fresh, before, site)
  }
  const event = (object: number, text: string, field: number): RelatedEvent => ({
    text,
    agent: get(object, field),
    site: get(object, field + 1),
    event: get(object, field + 2),
  })
  const objects: Objects = {
    count: nrFrames + 1,
    watchers: [],
    isAllocator: (site) => {
      if (site >= allocator.length) {
        allocator = Uint8Array.from(sites, ({ file, function: name }) =>
          file === 'memory/page-alloc.ts' || file === 'memory/slab.ts' || name === 'prepNewPage' ? 1 : 0,
        )
      }
      return allocator[site] === 1
    },
    at: (p) => {
      const object = owner[p] ?? 0
      if (object !== 0 && (get(object, Field.state) !== State.never || !isPart(object))) return object
      return nrFrames > 0 && p >= frames ? 1 + ((p - frames) >> pageShift) : 0
    },
    pageOf: (object) => (isPart(object) ? 1 + (((start[object] as number) - frames) >> pageShift) : 0),
    ofStructPage: (page) =>
      nrFrames > 0 && page >= pages && page < pages + (nrFrames << PAGE_STRUCT_SHIFT) ? 1 + ((page - pages) >> PAGE_STRUCT_SHIFT) : 0,
    ofFrame: (pfn) => (pfn >= 0 && pfn < nrFrames ? pfn + 1 : 0),
    first: (object) => start[object] as number,
    words: (object) => length[object] as number,
    state: (object) => get(object, Field.state),
    generation: (object) => get(object, Field.generation),
    kind: (object) => get(object, Field.kind),
    cache: (object) => (object <= nrFrames ? -1 : get(object, Field.cache) - 1),
    isTable: (object) => {
      if (get(object, Field.kind) === Kind.table || isPart(object)) return true
      const cache = object <= nrFrames ? -1 : get(object, Field.cache) - 1
      return cache === Cache.tablePmd || cache === Cache.tablePud || cache === Cache.tablePgd
    },
    name: (object) => {
      const p = hex(start[object] as number)
      if (object <= nrFrames) return `${get(object, Field.kind) === Kind.table ? 'page-table page' : 'page frame'} ${object - 1} (${p})`
      const cache = CACHES[get(object, Field.cache) - 1]
      const kind = get(object, Field.kind)
      const plain = kind === Kind.table || kind === Kind.tablePart ? 'page table' : kind === Kind.page ? 'page' : 'slab object'
      return `${cache === undefined ? plain : (CACHE_NAMES[cache] ?? cache)} ${p}`
    },
    allocation: (object) => event(object, 'allocated', Field.allocAgent),
    freeing: (object) => event(object, 'freed', Field.freeAgent),
    isNew: (object) => object >= savedCount || saved[object * FIELDS + Field.state] !== State.used,
    snapshot: () => {
      for (let object = 1; object < objects.count; object++) {
        if (get(object, Field.state) === State.never) continue
        rows[object * FIELDS + Field.allocEvent] = -1
        rows[object * FIELDS + Field.freeEvent] = -1
      }
      saved = rows.slice(0, objects.count * FIELDS)
      savedCount = objects.count
      forgetUndo(ownersUndo)
      forgetUndo(rowsUndo)
    },
    reset: () => {
      if (savedCount === 0) return
      takeBack(ownersUndo, 0, owner)
      takeBack(rowsUndo, 0, rows)
      objects.count = savedCount
    },
    save: () => {
      const moments = [momentOf(ownersUndo), momentOf(rowsUndo)] as const
      const { count } = objects
      const load = lastLoad
      return () => {
        takeBack(ownersUndo, moments[0], owner)
        takeBack(rowsUndo, moments[1], rows)
        objects.count = count
        lastLoad = load
      }
    },
    plain: (_agent, op, a) => {
      if (op === Op.load) lastLoad = a
    },
    note: (agent, op, a, b, c, site) => {
      if (op !== Op.allocated && op !== Op.freed) return
      const cache = c === Kind.slab || c === Kind.typesafeSlab ? cacheLoaded() : -1
      const whole = nrFrames > 0 && (c === Kind.page || c === Kind.table) && a >= frames
      for (let p = a; p < a + b; p += whole ? 1 << pageShift : b) {
        const object = objectAt(p, b, c)
        if (whole) dissolve(object)
        if (object > nrFrames) put(object * FIELDS + Field.cache, cache + 1)
        set(object, agent, c, site, op === Op.allocated)
      }
    },
  }
  return objects
}
