// Shoot-down: making every CPU that runs an address space forget a range. The request is left with the target first, then
// its mode is read. Outside the kernel it will look before its next access and is not waited for; in the middle of a user
// access that access is waited for; in the kernel it gets an IPI and is waited for, unless the architecture broadcasts
// invalidations, which need no help from the target.
import { ENTRY_READ, EntryRead, INVALIDATE, Invalidate } from '../arch/arch.ts'
import { contextMode, Mode, readContext } from '../machine/entry.ts'
import { Global } from '../machine/globals.ts'
import {
  atomicAnd,
  atomicOr,
  load,
  perCpu,
  readOnce,
  relax,
  sendIpi,
  smpProcessorId,
  store,
  thisCpu,
  writeOnce,
} from '../machine/instructions.ts'
import { Cpu } from '../machine/percpu.ts'
import { CPUMASK_WORDS, Mm } from '../memory/mm.ts'
import { spinLockIrqsave, spinUnlockIrqrestore } from '../sync/spinlock.ts'
import { FLUSH_CEILING, localFlush } from './tlb.ts'

const EVERYTHING = 0x7fffffff

/** switch_mm: the executing CPU uses the page tables of `mm` (or of none, 0) from now on. In the kernel. */
export function switchMm(mm: number): void {
  const cpu = thisCpu()
  const old = load(cpu + Cpu.currentMm)
  if (old === mm) return
  const id = smpProcessorId()
  localFlush(0, EVERYTHING)
  store(cpu + Cpu.currentMm, mm)
  if (mm !== 0) atomicOr(mm + Mm.cpuMask + (id >> 5), 1 << (id & 31))
  if (old !== 0) atomicAnd(old + Mm.cpuMask + (id >> 5), ~(1 << (id & 31)))
}

/**
 * flush_tlb_mm_range: when it returns, no CPU can reach a page of `mm` from `start` to `end` (exclusive) through what its
 * TLB held before. More than 33 pages flush everything. Interrupts are on; no page-table lock needs to be held.
 */
export function flushTlbMmRange(mm: number, start: number, end: number): void {
  flush(mm, start, end, INVALIDATE)
}

/** The same by a broadcast whatever the architecture (x86 has INVLPGB): nobody in the kernel is waited for. */
export function flushTlbMmRangeBroadcast(mm: number, start: number, end: number): void {
  flush(mm, start, end, Invalidate.broadcast)
}

function flush(mm: number, start: number, end: number, invalidate: number): void {
  const last = end - start > FLUSH_CEILING ? EVERYTHING : end
  const first = last === EVERYTHING ? 0 : start
  const me = smpProcessorId()
  if (load(thisCpu() + Cpu.currentMm) === mm) localFlush(first, last)
  let shot = 0
  const words = (load(Global.nrCpus) + 31) >> 5
  for (let w = 0; w < words && w < CPUMASK_WORDS; w++) {
    let bits = readOnce(mm + Mm.cpuMask + w)
    if (me >> 5 === w) bits &= ~(1 << (me & 31))
    while (bits !== 0) {
      const bit = 31 - Math.clz32(bits & -bits)
      bits &= bits - 1
      shootDown(w * 32 + bit, first, last, invalidate)
      shot = 1
    }
  }
  if (shot !== 0) store(thisCpu() + Cpu.statShootdowns, load(thisCpu() + Cpu.statShootdowns) + 1)
}

function shootDown(target: number, start: number, end: number, invalidate: number): void {
  const cpu = perCpu(target)
  spinLockIrqsave(cpu + Cpu.flushLock)
  if (load(cpu + Cpu.flushEnd) === 0) {
    store(cpu + Cpu.flushStart, start)
    store(cpu + Cpu.flushEnd, end)
  } else {
    if (start < load(cpu + Cpu.flushStart)) store(cpu + Cpu.flushStart, start)
    if (end > load(cpu + Cpu.flushEnd)) store(cpu + Cpu.flushEnd, end)
  }
  writeOnce(cpu + Cpu.tlbStale, (readOnce(cpu + Cpu.tlbStale) + 1) | 0)
  spinUnlockIrqrestore(cpu + Cpu.flushLock)
  const context = readContext(cpu)
  const mode = contextMode(context)
  if (mode === Mode.user) while (readContext(cpu) === context) relax()
  else if (mode === Mode.kernel && invalidate === Invalidate.ipi) ipiAndWait(target, cpu, context)
}

/**
 * tlb_remove_table_sync_one: an IPI to every other CPU in the kernel, whatever it runs. When it returns, whoever walked page
 * tables with interrupts off when it began is done; not so who holds RCU alone. Interrupts are on.
 */
export function tlbRemoveTableSyncOne(): void {
  const me = smpProcessorId()
  const cpus = load(Global.nrCpus)
  for (let target = 0; target < cpus; target++) {
    if (target === me) continue
    const cpu = perCpu(target)
    const context = readContext(cpu)
    if (contextMode(context) === Mode.kernel) ipiAndWait(target, cpu, context)
  }
}

/**
 * pmdp_get_lockless_sync: after an entry was cleared, and before another is put there: whoever was reading it is done. Only
 * where entries have two halves.
 */
export function pmdpGetLocklessSync(): void {
  if (ENTRY_READ >= EntryRead.irqOff) tlbRemoveTableSyncOne()
}

/** Sends an IPI and waits until it is answered or the target has left the kernel, upon which it looks by itself. */
function ipiAndWait(target: number, cpu: number, context: number): void {
  const request = sendIpi(target)
  store(thisCpu() + Cpu.statIpisSent, load(thisCpu() + Cpu.statIpisSent) + 1)
  while (((readOnce(cpu + Cpu.ipiAcks) - request) | 0) < 0 && readContext(cpu) === context) relax()
}
