// Bitmaps beside a page of fragments, where the machine's policy of freeing tables keeps some: for each sixteen fragments a
// word of bits and an rcu_head of its own, in a slab object that the page names and that lives as long as the page does.
import { PTE_FRAGMENTS, PTE_TABLE_WORDS } from '../arch/arch.ts'
import { load, store } from '../machine/instructions.ts'
import { struct } from '../machine/struct.ts'
import { Page, pageToVirt, virtToPage } from '../memory/page.ts'
import { Cache, kmemCacheAlloc, kmemCacheFree } from '../memory/slab.ts'
import { RcuHead } from '../sync/rcu.ts'

/** Fragments for which one map stands. */
const FRAGMENTS_PER_MAP = 16

/** `pending`: bits of deferred fragments. `due`: those of them that the queued `rcuHead` is for. `page`: whose fragments they are. */
export const FragmentMap = struct({ rcuHead: RcuHead.size, pending: 1, due: 1, page: 1 })

/**
 * Words of the maps of one page: with the slab's header 64 bytes beside 64 KiB of sixteen fragments, 352 bytes beside 256
 * fragments.
 */
export function fragmentMapsWords(): number {
  return Math.ceil(PTE_FRAGMENTS / FRAGMENTS_PER_MAP) * FragmentMap.size
}

/** Gives the fresh page its maps, empty. Returns 0, or 1 without memory. Deferring itself may then do without any. */
export function fragmentMapsAlloc(page: number): number {
  const maps = kmemCacheAlloc(Cache.fragmentMaps)
  if (maps === 0) return 1
  for (let map = maps; map < maps + fragmentMapsWords(); map += FragmentMap.size) {
    store(map + FragmentMap.pending, 0)
    store(map + FragmentMap.page, page)
  }
  store(page + Page.fragmentMaps, maps)
  return 0
}

/** Frees the maps of a page that has no fragment left: none of their rcu_heads is queued. */
export function fragmentMapsFree(page: number): void {
  kmemCacheFree(Cache.fragmentMaps, load(page + Page.fragmentMaps))
}

function fragmentNumber(table: number): number {
  return (table - pageToVirt(virtToPage(table))) / PTE_TABLE_WORDS
}

/** The map in which the fragment `table`, which is in use, has its bit. */
export function fragmentMap(table: number): number {
  return load(virtToPage(table) + Page.fragmentMaps) + Math.floor(fragmentNumber(table) / FRAGMENTS_PER_MAP) * FragmentMap.size
}

/** Its bit there. */
export function fragmentBit(table: number): number {
  return 1 << (fragmentNumber(table) % FRAGMENTS_PER_MAP)
}
