// The software TLB of each CPU: direct mapped, touched by its CPU alone; and the hardware that fills it, itself a lockless
// page-table walker. It runs in `Mode.user`: whoever invalidates waits until a CPU in that mode has left it.
import { ENTRY_WORDS, P4D_SHIFT, PMD_SHIFT, PTRS_PER_P4D, PTRS_PER_PMD, PTRS_PER_PUD, PUD_SHIFT, TLB_MASK } from '../arch/arch.ts'
import { Mode, setContext } from '../machine/entry.ts'
import { load, readOnce, store, thisCpu, writeOnce } from '../machine/instructions.ts'
import { Cpu, TLB_ENTRY_WORDS } from '../machine/percpu.ts'
import { struct } from '../machine/struct.ts'
import { pfnToVirt } from '../memory/page.ts'
import { spinLockIrqsave, spinUnlockIrqrestore } from '../sync/spinlock.ts'
import { hardwareGet, hardwareSet, Pte, ptePfn, upperIsTable, upperTable } from './entries.ts'
import { pgdOffset, pteIndex, slotIn } from './levels.ts'

/** What an access wants to do. */
export const Access = Object.freeze({ read: 0, write: 1, exec: 2 })

/** A TLB entry: the page + 1 for which reads, writes, fetches hit (0: none), and the first word of the frame. */
export const TlbEntry = struct({ read: 1, write: 1, exec: 1, frame: 1 })

/** More pages than this and a flush forgets everything (x86's tlb_single_page_flush_ceiling). */
export const FLUSH_CEILING = 33

/** Looks page `vpn` up for `access` in the executing CPU's TLB. Returns the first word of its frame, or 0. */
export function tlbLookup(vpn: number, access: number): number {
  const entry = thisCpu() + Cpu.tlb + (vpn & TLB_MASK) * TLB_ENTRY_WORDS
  return load(entry + access) === vpn + 1 ? load(entry + TlbEntry.frame) : 0
}

/**
 * The hardware walker: walks the tables of `mm`, sets accessed (and dirty) in the entry and fills the TLB. The CPU is in
 * `Mode.user`. Returns the first word of the frame, or 0: a page fault.
 */
export function hardwareWalk(mm: number, vpn: number, access: number): number {
  let slot = pgdOffset(mm, vpn)
  if (PTRS_PER_P4D !== 1) slot = slotIn(hardwareGet(slot), vpn, P4D_SHIFT, PTRS_PER_P4D)
  if (slot !== 0 && PTRS_PER_PUD !== 1) slot = slotIn(hardwareGet(slot), vpn, PUD_SHIFT, PTRS_PER_PUD)
  if (slot !== 0 && PTRS_PER_PMD !== 1) slot = slotIn(hardwareGet(slot), vpn, PMD_SHIFT, PTRS_PER_PMD)
  if (slot === 0) return 0
  const pmdval = hardwareGet(slot)
  if (!upperIsTable(pmdval)) return 0
  const ptep = upperTable(pmdval) + pteIndex(vpn) * ENTRY_WORDS
  for (;;) {
    const pte = hardwareGet(ptep)
    if ((pte & Pte.present) === 0) return 0
    if (access === Access.write && (pte & Pte.write) === 0) return 0
    if (access === Access.exec && (pte & Pte.exec) === 0) return 0
    const want = pte | Pte.accessed | (access === Access.write ? Pte.dirty : 0)
    if (want !== pte && !hardwareSet(ptep, pte, want ^ pte)) continue
    return tlbFill(vpn, want)
  }
}

function tlbFill(vpn: number, pte: number): number {
  const cpu = thisCpu()
  const entry = cpu + Cpu.tlb + (vpn & TLB_MASK) * TLB_ENTRY_WORDS
  const frame = pfnToVirt(ptePfn(pte))
  store(entry + TlbEntry.read, vpn + 1)
  // A write must find the dirty bit set, or walk again to set it.
  store(entry + TlbEntry.write, (pte & (Pte.write | Pte.dirty)) === (Pte.write | Pte.dirty) ? vpn + 1 : 0)
  store(entry + TlbEntry.exec, (pte & Pte.exec) !== 0 ? vpn + 1 : 0)
  store(entry + TlbEntry.frame, frame)
  store(cpu + Cpu.statTlbMisses, load(cpu + Cpu.statTlbMisses) + 1)
  return frame
}

/** Forgets the pages from `start` to `end` (exclusive) in the executing CPU's TLB, or all if they are many. */
export function localFlush(start: number, end: number): void {
  const cpu = thisCpu()
  if (end - start > FLUSH_CEILING) {
    for (let i = 0; i <= TLB_MASK; i++) forget(cpu + Cpu.tlb + i * TLB_ENTRY_WORDS)
    store(cpu + Cpu.statTlbFullFlushes, load(cpu + Cpu.statTlbFullFlushes) + 1)
    return
  }
  for (let vpn = start; vpn < end; vpn++) {
    const entry = cpu + Cpu.tlb + (vpn & TLB_MASK) * TLB_ENTRY_WORDS
    if (load(entry + TlbEntry.read) === vpn + 1) forget(entry)
  }
}

function forget(entry: number): void {
  store(entry + TlbEntry.read, 0)
  store(entry + TlbEntry.write, 0)
  store(entry + TlbEntry.exec, 0)
}

/** Does to the executing CPU's TLB what others asked for since it last looked. */
export function tlbCatchUp(): void {
  const cpu = thisCpu()
  spinLockIrqsave(cpu + Cpu.flushLock)
  const start = load(cpu + Cpu.flushStart)
  const end = load(cpu + Cpu.flushEnd)
  store(cpu + Cpu.flushStart, 0)
  store(cpu + Cpu.flushEnd, 0)
  store(cpu + Cpu.tlbSeen, readOnce(cpu + Cpu.tlbStale))
  spinUnlockIrqrestore(cpu + Cpu.flushLock)
  if (end !== 0) localFlush(start, end)
}

/** The interrupt handler of every CPU: answers the IPIs that were sent to it. */
export function interrupt(): void {
  const cpu = thisCpu()
  const requests = readOnce(cpu + Cpu.ipiRequests)
  if (readOnce(cpu + Cpu.tlbStale) !== load(cpu + Cpu.tlbSeen)) tlbCatchUp()
  store(cpu + Cpu.statIpisReceived, load(cpu + Cpu.statIpisReceived) + 1)
  writeOnce(cpu + Cpu.ipiAcks, requests)
}

/** The executing CPU begins one user access: publishes that, then looks whether its TLB is out of date. */
export function enterUser(): void {
  setContext(Mode.user)
  const cpu = thisCpu()
  if (readOnce(cpu + Cpu.tlbStale) !== load(cpu + Cpu.tlbSeen)) tlbCatchUp()
}
