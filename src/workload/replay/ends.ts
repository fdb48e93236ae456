// Before and after a replay, on CPU 0 alone: files and first address spaces are made; what is still alive is ended, and the
// machine's books are balanced.

import { enterKernel, exitKernel, fileOpen, inodeCreate, iput, putFile, rcuBarrier } from '../../kernel/kernel.ts'
import { Global, SlabCache } from '../../kernel/machine/globals.ts'
import { load, perCpu } from '../../kernel/machine/instructions.ts'
import { Cpu, MAX_SLAB_CACHES } from '../../kernel/machine/percpu.ts'
import { Inode } from '../../kernel/memory/inode.ts'
import { pageToVirt } from '../../kernel/memory/page.ts'
import { filemapAddPage, filemapGetPage, pageUptodate, readPage } from '../../kernel/memory/page-cache.ts'
import { putPage } from '../../kernel/memory/rmap.ts'
import { Cache, slabObjectsInUse } from '../../kernel/memory/slab.ts'
import { rcuPending } from '../../kernel/softirq.ts'
import { FileEntry, type Shared, Space } from './layout.ts'
import { newSpace, notePeak } from './perform.ts'
import { endSpace, type SpaceEnd } from './snapshot.ts'

/** What CPU 0 is told before and after. */
export interface EndOrders {
  readonly shared: Shared
  /** Spaces that are there from the beginning. */
  readonly roots: readonly number[]
  /** Whether the page cache holds the program's file pages already. */
  readonly warm: boolean
  readonly contents: boolean
}

/** The machine's books when everything has been given back. All must be balanced. */
export interface Balance {
  readonly managedFrames: number
  /** Free in the zone and on CPUs' lists, and those that slabs keep for good. */
  readonly freeFrames: number
  readonly slabFrames: number
  /** Objects still in use, by cache. */
  readonly objects: Readonly<Record<string, number>>
  readonly rcuCallbacks: number
}

/** What CPU 0 reports at the end. */
export interface RunEnd {
  readonly ends: SpaceEnd[]
  /** File, page index and first word of each page in the page cache; empty without contents. */
  readonly cached: number[]
  readonly balance: Balance
}

/** Makes files and first address spaces. Returns how many of them memory was too short for. */
export function setUp(_cpu: number, orders: EndOrders): number {
  const { shared } = orders
  const { files, spaces, warm } = shared
  let missing = 0
  for (let index = 0; index * FileEntry.size + FileEntry.pages < files.length; index++) {
    const at = index * FileEntry.size
    const inode = inodeCreate(files[at + FileEntry.pages]!, 1, 0, index)
    const file = inode === 0 ? 0 : fileOpen(inode)
    if (file === 0) missing++
    files[at + FileEntry.inode] = inode
    files[at + FileEntry.file] = file
  }
  if (orders.warm) {
    enterKernel()
    for (let at = 0; at + 1 < warm.length; at += 2) {
      const inode = files[warm[at]! * FileEntry.size + FileEntry.inode]!
      if (inode === 0 || warm[at + 1]! >= load(inode + Inode.pages)) continue
      const page = filemapAddPage(inode, warm[at + 1]!)
      if (page === 0) missing++
      else {
        if (!pageUptodate(page)) readPage(inode, page)
        putPage(page)
      }
    }
    exitKernel()
  }
  for (const root of orders.roots) {
    const mm = newSpace(spaces, root)
    if (mm === 0) missing++
    spaces[root * Space.size + Space.mm] = mm
  }
  return missing
}

/** Ends what is still alive, closes the files and balances the books. */
export function finish(_cpu: number, orders: EndOrders): RunEnd {
  const { shared } = orders
  const { files, spaces } = shared
  const ends: SpaceEnd[] = []
  for (let space = 0; (space + 1) * Space.size <= spaces.length; space++) {
    const at = space * Space.size
    const mm = spaces[at + Space.mm]!
    if (mm === 0) continue
    notePeak({ shared }, space, mm)
    const end = endSpace(space, mm, orders.contents)
    ends.push(end)
    spaces[at + Space.mm] = 0
    spaces[at + Space.tablePeak] = end.tablePeak
    spaces[at + Space.dead] = 0x7fff_ffff
  }
  const cached: number[] = []
  enterKernel()
  for (let index = 0; (index + 1) * FileEntry.size <= files.length; index++) {
    const inode = files[index * FileEntry.size + FileEntry.inode]!
    if (inode !== 0 && orders.contents) describeCache(index, inode, cached)
    if (files[index * FileEntry.size + FileEntry.file] !== 0) putFile(files[index * FileEntry.size + FileEntry.file]!)
    if (inode !== 0) iput(inode)
  }
  rcuBarrier()
  exitKernel()
  return { ends, cached, balance: balance() }
}

function describeCache(file: number, inode: number, to: number[]): void {
  let left = load(inode + Inode.cached)
  for (let index = 0; left > 0 && index < load(inode + Inode.pages); index++) {
    const page = filemapGetPage(inode, index)
    if (page === 0) continue
    to.push(file, index, load(pageToVirt(page)))
    putPage(page)
    left--
  }
}

/** The books as they stand; every CPU is outside the kernel. */
function balance(): Balance {
  let freeFrames = load(Global.freePages)
  for (let cpu = 0; cpu < load(Global.nrCpus); cpu++) freeFrames += load(perCpu(cpu) + Cpu.pcpCount)
  let slabFrames = 0
  for (let cache = 0; cache < MAX_SLAB_CACHES; cache++) slabFrames += load(Global.slabs + cache * SlabCache.size + SlabCache.pages)
  const objects = Object.fromEntries(Object.entries(Cache).map(([name, cache]) => [name, slabObjectsInUse(cache)]))
  return { managedFrames: load(Global.managedPages), freeFrames, slabFrames, objects, rcuCallbacks: rcuPending() }
}
