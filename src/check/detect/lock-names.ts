// Names and classes of locks, from where their words lie: a lock's class is the structure and the field.
import { ROW_SHIFT, type Row } from '../../compile/stepped/announce.ts'
import { Global, SlabCache } from '../../kernel/machine/globals.ts'
import { MAX_SLAB_CACHES } from '../../kernel/machine/percpu.ts'
import { Mm } from '../../kernel/memory/mm.ts'
import { PAGE_STRUCT_SHIFT, Page } from '../../kernel/memory/page.ts'
import { Cache } from '../../kernel/memory/slab.ts'
import { Rwsem } from '../../kernel/sync/rwsem.ts'
import { Srcu } from '../../kernel/sync/srcu.ts'
import { AnonVma } from '../../kernel/vma/anon-vma.ts'
import { Vma } from '../../kernel/vma/vma.ts'
import type { Objects } from './objects.ts'
import { hex, type Scene } from './scene.ts'

/** Where classes of each region begin; behind `word` each address is a class of its own. */
const Region = Object.freeze({ slab: 1 << 16, cpu: 2 << 16, page: 3 << 16, bucket: 4 << 16, object: 5 << 16, word: 1 << 24 })

/** The class of page-table locks inside `struct page`. */
export const PTL_CLASS = Region.page + Page.ptl
/** The class of the semaphores of address spaces. */
export const MMAP_LOCK_CLASS = Region.object + (Cache.mm << 8) + Mm.mmapLock
/** The class that stands for an IPI and its acknowledgement. */
export const IPI_CLASS = 0

/** The class of the lock at `lock`. */
export function lockClass(scene: Scene, objects: Objects, lock: number): number {
  const { words, pages, nrFrames, machine } = scene
  if (lock >= Global.slabs && lock < Global.slabs + MAX_SLAB_CACHES * SlabCache.size)
    return Region.slab + ((lock - Global.slabs) % SlabCache.size)
  if (lock < Global.size + 16 && lock >= 16 && scene.nrFrames > 0) return lock
  const { CPU_STRIDE } = machine.tree.percpu
  const offset = lock - machine.areas
  if (offset >= 0 && offset < machine.cpus * CPU_STRIDE) return Region.cpu + (offset % CPU_STRIDE)
  if (nrFrames > 0) {
    if (lock >= pages && lock < pages + (nrFrames << PAGE_STRUCT_SHIFT)) return Region.page + ((lock - pages) & (Page.size - 1))
    const buckets = words[Global.pageCacheBuckets] as number
    if (buckets > 0 && lock >= buckets && lock < buckets + 2 * ((words[Global.pageCacheMask] as number) + 1)) return Region.bucket
    const object = objects.at(lock)
    const cache = object === 0 ? -1 : objects.cache(object)
    if (cache >= 0) return Region.object + (cache << 8) + ((lock - objects.first(object)) & 255)
  }
  return Region.word + lock
}

const NAMES: Readonly<Record<number, string>> = {
  [IPI_CLASS]: 'an IPI acknowledgement',
  [Global.zoneLock]: 'zone->lock',
  [Global.rcuLock]: 'rcu_state.lock',
  [Global.srcuDomain + Srcu.gpLock]: 'srcu gp lock',
  [Global.srcuDomain + Srcu.listLock]: 'srcu list lock',
  [Region.slab + SlabCache.lock]: "a slab cache's lock",
  [PTL_CLASS]: 'page->ptl',
  [Region.bucket]: 'page-cache bucket lock',
  [MMAP_LOCK_CLASS]: 'mm->mmap_lock',
  [MMAP_LOCK_CLASS + Rwsem.waitLock]: 'mm->mmap_lock.wait_lock',
  [Region.object + (Cache.mm << 8) + Mm.pageTableLock]: 'mm->page_table_lock',
  [Region.object + (Cache.vma << 8) + Vma.lock]: 'vma->vm_lock',
  [Region.object + (Cache.vma << 8) + Vma.lock + Rwsem.waitLock]: 'vma->vm_lock.wait_lock',
  [Region.object + (Cache.anonVma << 8) + AnonVma.lock]: 'anon_vma->lock',
}

/** The name of a class. */
export function className(scene: Scene, key: number): string {
  const known = NAMES[key]
  if (known !== undefined) return known
  if (key >= Region.word) return `lock ${hex(key - Region.word)}`
  if (key >= Region.cpu && key < Region.page) {
    const field = Object.entries(scene.machine.tree.percpu.Cpu).find(([, at]) => at === key - Region.cpu)
    return `cpu->${field?.[0] ?? `word ${key - Region.cpu}`}`
  }
  return `lock of class ${hex(key)}`
}

/** `page->ptl (0x…)`. */
export function lockName(scene: Scene, objects: Objects, lock: number): string {
  const name = className(scene, lockClass(scene, objects, lock))
  return name.includes(hex(lock)) ? name : `${name} (${hex(lock)})`
}

/** What `agent` has announced as its next step: a field of `Row`. */
export function announced(scene: Scene, agent: number, field: (typeof Row)[keyof typeof Row]): number {
  const { cpus, machine } = scene
  const frame = agent < cpus ? agent * 2 : (agent - cpus) * 2 + 1
  return machine.tree.announce.rows[(frame << ROW_SHIFT) + field] as number
}
