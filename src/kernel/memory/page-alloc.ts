// The page allocator: a buddy system under one zone lock, with a list of single frames per CPU in front of it. The limit
// is hard: when no frame is left the answer is 0, and the caller turns that into ENOMEM or an out-of-memory fault.
import { PAGE_WORDS, PCP_BATCH } from '../arch/arch.ts'
import { allocated, freed, Kind } from '../machine/annotations.ts'
import { Global, MAX_ORDER } from '../machine/globals.ts'
import { load, store, thisCpu } from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { spinLockIrqsave, spinUnlockIrqrestore } from '../sync/spinlock.ts'
import { Page, PageFlag, pageToNid, pageToPfn, pageToVirt, pfnToPage, prepNewPage } from './page.ts'

/** Frames that a CPU's list holds at most. */
const PCP_HIGH = 96
/** What a freed frame is filled with when poisoning is on. */
export const POISON = 0x6b6b6b6b

/** Allocates one frame. Returns its struct page with a reference count of one, or 0 when memory is exhausted. */
export function allocPage(flags: number): number {
  const cpu = thisCpu()
  let page = load(cpu + Cpu.pcpHead)
  if (page === 0) {
    if (refillPcp(cpu) === 0) return 0
    page = load(cpu + Cpu.pcpHead)
  }
  store(cpu + Cpu.pcpHead, load(page + Page.next))
  store(cpu + Cpu.pcpCount, load(cpu + Cpu.pcpCount) - 1)
  prepNewPage(page, flags)
  allocated(pageToVirt(page), PAGE_WORDS, (flags & PageFlag.table) !== 0 ? Kind.table : Kind.page)
  return page
}

/** As `allocPage`, a frame of node `nid` if the CPU's list has one: a preference, no promise. */
export function allocPageNode(flags: number, nid: number): number {
  const cpu = thisCpu()
  let before = 0
  let page = load(cpu + Cpu.pcpHead)
  while (page !== 0 && pageToNid(page) !== nid) {
    before = page
    page = load(page + Page.next)
  }
  if (page !== 0 && before !== 0) {
    store(before + Page.next, load(page + Page.next))
    store(page + Page.next, load(cpu + Cpu.pcpHead))
    store(cpu + Cpu.pcpHead, page)
  }
  return allocPage(flags)
}

/** Frees one frame, of which the caller holds the last reference. */
export function freePage(page: number): void {
  const cpu = thisCpu()
  if (load(Global.poison) !== 0) poisonFrame(page)
  freed(pageToVirt(page), PAGE_WORDS, (load(page + Page.flags) & PageFlag.table) !== 0 ? Kind.table : Kind.page)
  store(page + Page.flags, 0)
  store(page + Page.refcount, 0)
  store(page + Page.next, load(cpu + Cpu.pcpHead))
  store(cpu + Cpu.pcpHead, page)
  const count = load(cpu + Cpu.pcpCount) + 1
  store(cpu + Cpu.pcpCount, count)
  if (count > PCP_HIGH) drainPcp(cpu, PCP_BATCH)
}

function poisonFrame(page: number): void {
  const start = pageToVirt(page)
  for (let p = start; p < start + PAGE_WORDS; p++) store(p, POISON)
}

/** Moves a batch of frames from the zone to the CPU's list. Returns how many. */
function refillPcp(cpu: number): number {
  let got = 0
  spinLockIrqsave(Global.zoneLock)
  while (got < PCP_BATCH) {
    const page = removeFromZone(0)
    if (page === 0) break
    store(page + Page.next, load(cpu + Cpu.pcpHead))
    store(cpu + Cpu.pcpHead, page)
    got++
  }
  spinUnlockIrqrestore(Global.zoneLock)
  store(cpu + Cpu.pcpCount, load(cpu + Cpu.pcpCount) + got)
  return got
}

/** Gives `count` frames of the CPU's list back to the zone. */
export function drainPcp(cpu: number, count: number): void {
  spinLockIrqsave(Global.zoneLock)
  for (let i = 0; i < count; i++) {
    const page = load(cpu + Cpu.pcpHead)
    if (page === 0) break
    store(cpu + Cpu.pcpHead, load(page + Page.next))
    store(cpu + Cpu.pcpCount, load(cpu + Cpu.pcpCount) - 1)
    addToZone(page, 0)
  }
  spinUnlockIrqrestore(Global.zoneLock)
}

/** Allocates 2^order frames, naturally aligned. Returns the first one's struct page, or 0. */
export function allocPages(order: number, flags: number): number {
  spinLockIrqsave(Global.zoneLock)
  const page = removeFromZone(order)
  spinUnlockIrqrestore(Global.zoneLock)
  if (page === 0) return 0
  for (let i = 0; i < 1 << order; i++) prepNewPage(page + i * Page.size, flags)
  allocated(pageToVirt(page), PAGE_WORDS << order, (flags & PageFlag.table) !== 0 ? Kind.table : Kind.page)
  return page
}

/** Frees 2^order frames that were allocated together. */
export function freePages(page: number, order: number): void {
  freed(pageToVirt(page), PAGE_WORDS << order, (load(page + Page.flags) & PageFlag.table) !== 0 ? Kind.table : Kind.page)
  for (let i = 0; i < 1 << order; i++) {
    if (load(Global.poison) !== 0) poisonFrame(page + i * Page.size)
    store(page + i * Page.size + Page.flags, 0)
    store(page + i * Page.size + Page.refcount, 0)
  }
  spinLockIrqsave(Global.zoneLock)
  addToZone(page, order)
  spinUnlockIrqrestore(Global.zoneLock)
}

/** Takes a block out of the zone, splitting a larger one if need be. The caller holds `zoneLock`. */
function removeFromZone(order: number): number {
  let have = order
  while (have < MAX_ORDER && load(Global.freeHeads + have) === 0) have++
  if (have === MAX_ORDER) return 0
  const page = load(Global.freeHeads + have)
  unlinkFree(page, have)
  while (have > order) {
    have--
    linkFree(page + (Page.size << have), have)
  }
  store(Global.freePages, load(Global.freePages) - (1 << order))
  return page
}

/** Puts a block into the zone, joining it with its buddies. The caller holds `zoneLock`. */
export function addToZone(page: number, order: number): void {
  store(Global.freePages, load(Global.freePages) + (1 << order))
  let pfn = pageToPfn(page)
  let at = order
  while (at < MAX_ORDER - 1) {
    const buddy = pfn ^ (1 << at)
    if (buddy + (1 << at) > load(Global.nrFrames)) break
    if (load(buddyOrder(buddy)) !== at + 1) break
    unlinkFree(pfnToPage(buddy), at)
    pfn &= ~(1 << at)
    at++
  }
  linkFree(pfnToPage(pfn), at)
}

/**
 * The word of frame `pfn` that says whether a free block begins there: its order + 1, or 0. It lies outside `struct page`,
 * because the look at a buddy must not touch words that whoever has allocated that frame changes without the zone's lock.
 */
function buddyOrder(pfn: number): number {
  return load(Global.buddyOrders) + pfn
}

function linkFree(page: number, order: number): void {
  const head = load(Global.freeHeads + order)
  store(buddyOrder(pageToPfn(page)), order + 1)
  store(page + Page.next, head)
  store(page + Page.prev, 0)
  if (head !== 0) store(head + Page.prev, page)
  store(Global.freeHeads + order, page)
}

function unlinkFree(page: number, order: number): void {
  const next = load(page + Page.next)
  const prev = load(page + Page.prev)
  if (prev === 0) store(Global.freeHeads + order, next)
  else store(prev + Page.next, next)
  if (next !== 0) store(next + Page.prev, prev)
  store(buddyOrder(pageToPfn(page)), 0)
}
