// Warm pools: frames and objects on a CPU's own lists, so that during a check no two CPUs meet by accident in an allocator. It
// runs natively, before stepped CPUs take the machine over.
import { Global } from '../kernel/machine/globals.ts'
import { load } from '../kernel/machine/instructions.ts'
import { allocPage, freePage } from '../kernel/memory/page-alloc.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree } from '../kernel/memory/slab.ts'
import { HeadBits } from '../kernel/pagetable/pgtable-list.ts'
import { Level, tableIsPage } from '../kernel/pagetable/table-alloc.ts'

/** How much a CPU gets. */
export interface Warmth {
  /** Frames. Default 12; at most 64, lest the list overflows into the zone. */
  readonly pages?: number
  /** Objects of each slab cache but the two large ones, of which one mm and two gather batches do. Default 6; at most 32. */
  readonly objects?: number
}

/** Levels of the caches that tables come from. */
const TABLES: ReadonlyMap<number, number> = new Map([
  [Cache.tablePmd, Level.pmd],
  [Cache.tablePud, Level.pud],
  [Cache.tablePgd, Level.pgd],
])

/**
 * Fills the lists of the CPU that this thread is, by allocating and freeing. Throws `RangeError` where more is asked for than
 * lists hold, `Error` where memory does not suffice.
 */
export function fillLists(warmth: Warmth): void {
  const pages = within('pages', warmth.pages ?? 12, 64)
  const objects = within('objects', warmth.objects ?? 6, 32)
  for (const cache of Object.values(Cache)) {
    const level = TABLES.get(cache)
    if (level !== undefined && tableIsPage(level)) continue
    if (cache === Cache.fragmentMaps && load(Global.fragmentMaps) === 0) continue
    if (cache === Cache.pgtableList && load(Global.headBits) !== HeadBits.typesafe) continue
    const count = cache === Cache.mm ? 1 : cache === Cache.gatherBatch ? 2 : objects
    fill(
      count,
      () => kmemCacheAlloc(cache),
      (object) => kmemCacheFree(cache, object),
    )
  }
  // Last, because slabs take their frames from the same list.
  fill(pages, () => allocPage(0), freePage)
}

function within(name: string, count: number, most: number): number {
  if (!Number.isInteger(count) || count < 0 || count > most) throw new RangeError(`${name} must be from 0 to ${most}, not ${count}`)
  return count
}

function fill(count: number, take: () => number, give: (taken: number) => void): void {
  const taken: number[] = []
  for (let i = 0; i < count; i++) {
    const got = take()
    if (got === 0) throw new Error('the machine has too little memory to fill the lists of its CPUs')
    taken.push(got)
  }
  for (const one of taken.reverse()) give(one)
}
